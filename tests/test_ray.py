"""Offspring raised on a Ray cluster are those that this process raises."""

from __future__ import annotations

import os
import sys

import msgspec
import pytest

from edgesynth.core.errors import MissingError, UserError
from edgesynth.core.progress import Silent
from edgesynth.synthesis.executor import ExecutorPlan, InProcess, open_executor
from raising_worlds import World, job, spec


def raised(executor, count):
    """What `count` jobs give, by identity; times differ and are left out."""
    with executor:
        for index in range(1, count + 1):
            executor.submit(job(index))
        found = [executor.wait() for _ in range(count)]
    return {one.identity: msgspec.structs.replace(one, seconds=0.0) for one in found}


class Heard(Silent):
    def __init__(self) -> None:
        self.said = []

    def say(self, text):
        self.said.append(text)


def test_without_ray_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingError, match=r"pip install 'edgesynth\[ray\]'"):
        open_executor(
            ExecutorPlan("ray"),
            World({}),
            spec(tmp_path),
            offspring=1,
            threads=1,
            progress=Silent(),
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_ray_workers_one_of_them_killed_in_training(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # the cluster finds the test world
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default: a busy machine starves them
    heard = Heard()
    here = spec(tmp_path, g02_2="dies_once")

    def cluster(world):
        plan = ExecutorPlan("ray", workers=2)
        return open_executor(plan, World({}), world, offspring=3, threads=1, progress=heard)

    found = raised(cluster(here), 3)
    assert found == raised(InProcess(World({}), 1, Silent()), 3)
    assert heard.said == ["g02-2: its worker died (WorkerCrashedError); it is raised again"]
    with pytest.raises(UserError, match="g02-1: its worker died 3 times"):
        raised(cluster(spec(tmp_path, g02_1="dies")), 1)
