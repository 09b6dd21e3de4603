"""Worlds to raise offspring in without data, and jobs for them, for the tests of executors."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from edgesynth.core.errors import MissingError
from edgesynth.core.precision import FULL_PRECISION
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.jobs import Job, WorldSpec
from edgesynth.synthesis.parcel import pack
from edgesynth.synthesis.stress import Stress
from small_networks import Plain, network


class World:
    """Training adds noise from the seed; `behaviour` says of each offspring what else it does."""

    def __init__(self, behaviour: dict[str, str], folder: str = "") -> None:
        self.behaviour, self.folder = behaviour, Path(folder)

    def train(self, network, *, seed, hooks, lesson, progress, label) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in network.module.parameters():
                parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
        network.apply_masks()
        if label in self.behaviour:
            getattr(self, self.behaviour[label])(progress, label)

    def chatter(self, progress, label) -> None:
        print("a user's code prints")
        warnings.warn("a user's code warns", stacklevel=1)
        with progress.track("train", 10) as bar:
            for _ in range(10):
                time.sleep(0.05)
                bar.advance(note="on the way")

    def lacks(self, progress, label) -> None:
        raise MissingError("there is no such thing; install it")

    def errs(self, progress, label) -> None:
        raise ZeroDivisionError("a mistake of ours")

    def dies(self, progress, label) -> None:
        os._exit(7)

    def dies_once(self, progress, label) -> None:
        mark = self.folder / label
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)

    def accuracy(self, network) -> float:
        with torch.no_grad():
            return float(network.module(network.example_input(2)).abs().sum().clamp(max=1))

    def predict(self, network) -> dict[str, Any]:
        return {}

    def calibration(self, network):
        return ()

    def costs(self):
        return {}


def make_world(settings: dict[str, Any]) -> World:
    """The world of `settings`, as workers make it."""
    return World(**settings)


def spec(folder: Path, **behaviour: str) -> WorldSpec:
    """How workers make the world where the offspring `g02_1` does what is given for it."""
    behaviour = {label.replace("_", "-"): what for label, what in behaviour.items()}
    settings = {"behaviour": behaviour, "folder": str(folder)}
    return WorldSpec("raising_worlds:make_world", settings)


def job(index: int) -> Job:
    """A job that takes milliseconds."""
    return Job(
        identity=f"g02-{index}",
        name=f"plain-g02-{index}",
        generation=2,
        parents=(pack(network(Plain)),),
        genome=Genome(),
        stress=Stress(),
        precision=FULL_PRECISION,
        seeds=(0, 2, index),
        command="",
        trust=("small_networks:Plain",),
    )
