"""Offspring come out alike wherever they are raised, and no worker outlives or stops its run."""

from __future__ import annotations

from contextlib import contextmanager

import msgspec
import pytest

from edgesynth.core.errors import MissingError, UserError
from edgesynth.core.progress import Silent
from edgesynth.synthesis.executor import ATTEMPTS, ExecutorPlan, InProcess, open_executor
from edgesynth.synthesis.jobs import Job, Order
from edgesynth.synthesis.local_workers import LocalWorkers
from edgesynth.synthesis.parcel import pack, unpack, write_parcel
from raising_worlds import World, job, spec
from small_networks import Plain, network


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said, self.tracked = [], []

    @contextmanager
    def track(self, label, total):
        self.tracked.append((label, total))
        with super().track(label, total) as task:
            yield task

    def say(self, text):
        self.said.append(text)


def local(folder, workers=1, progress=None, **behaviour):
    return LocalWorkers(workers, spec(folder, **behaviour), 1, progress or Silent())


def raise_all(executor, count):
    """What `count` jobs give, by identity; times differ and are left out."""
    with executor:
        for index in range(1, count + 1):
            executor.submit(job(index))
        raised = [executor.wait() for _ in range(count)]
    return {one.identity: msgspec.structs.replace(one, seconds=0.0) for one in raised}


def test_a_worker_that_dies_costs_one_offspring_which_is_raised_again_to_the_same(tmp_path):
    here = raise_all(InProcess(World({}), 1, Silent()), 3)
    assert sorted(here) == ["g02-1", "g02-2", "g02-3"]
    assert len({one.weights_sha256 for one in here.values()}) == 3
    heard = Heard()
    assert raise_all(local(tmp_path, 2, heard, g02_2="dies_once"), 3) == here
    assert heard.said == ["g02-2: its worker died (SIGKILL); it is raised again"]


def test_a_job_that_always_kills_its_worker_ends_in_one_line(tmp_path):
    with (
        pytest.raises(UserError, match=f"g02-1: its worker died {ATTEMPTS} times.*exit code 7"),
        local(tmp_path, g02_1="dies") as executor,
    ):
        executor.submit(job(1))
        executor.wait()


def test_what_a_worker_says_and_where_it_fails_arrive_here(tmp_path):
    heard = Heard()
    behaviour = {"g02_1": "chatter", "g02_2": "lacks", "g02_3": "errs"}
    with local(tmp_path, progress=heard, **behaviour) as executor:
        for index in (1, 2, 3):
            executor.submit(job(index))
        assert executor.wait().identity == "g02-1"
        assert heard.said == ["g02-1: warning: a user's code warns"]
        assert heard.tracked == [("g02-1", 10)]
        with pytest.raises(MissingError, match=r"^g02-2: there is no such thing; install it$"):
            executor.wait()
        with pytest.raises(RuntimeError, match=r"(?s)ZeroDivisionError in a worker.*, in errs"):
            executor.wait()


def test_an_order_survives_the_journey(tmp_path):
    order = Order(job=job(1), world=spec(tmp_path), threads=2)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=Order) == order
    plain = msgspec.structs.replace(order.job, parents=())
    assert msgspec.json.decode(msgspec.json.encode(plain), type=Job) == plain


def test_a_parcel_is_an_edgenet_and_never_leaves_its_folder(tmp_path):
    parcel = pack(network(Plain))
    assert sorted(parcel) == ["network.json", "weights.safetensors"]
    with pytest.raises(UserError, match="add --trust small_networks:Plain"):
        unpack(parcel, ())
    again = pack(unpack(parcel, ("small_networks:Plain",)))
    assert again == parcel
    for name in ("../network.json", "/tmp/x", ".part", "a/b"):
        with pytest.raises(UserError, match="no name of a file"):
            write_parcel({name: b""}, tmp_path / "x.edgenet")
    assert not list(tmp_path.iterdir())


def test_one_offspring_needs_no_process(tmp_path):
    world, here = World({}), spec(tmp_path)

    def opened(plan, offspring):
        return open_executor(plan, world, here, offspring=offspring, threads=1, progress=Silent())

    assert isinstance(opened(ExecutorPlan(), 1), InProcess)
    assert isinstance(opened(ExecutorPlan(workers=1), 4), InProcess)
    assert isinstance(opened(ExecutorPlan(workers=2), 1), LocalWorkers)
    with pytest.raises(UserError, match="is for --executor ray"):
        opened(ExecutorPlan(address="auto"), 1)
    with pytest.raises(UserError, match='no executor "dask"'):
        opened(ExecutorPlan(kind="dask"), 1)
