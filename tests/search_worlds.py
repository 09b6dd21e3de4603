"""A world to search in without training: what a network reaches follows from its widths alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesynth.core.progress import Silent
from edgesynth.core.requirement import parse_requirements
from edgesynth.core.search import Search
from edgesynth.networks.network import Network
from edgesynth.synthesis.executor import InProcess
from edgesynth.synthesis.generative.evaluation import Evaluator
from edgesynth.synthesis.generative.pair import GeneratorInquisitor
from edgesynth.synthesis.generative.probe import stimuli
from edgesynth.synthesis.generative.problem import Problem, Utility
from edgesynth.synthesis.generative.search_folder import SearchFolder
from edgesynth.synthesis.generative.searchers import Searcher, rival_search
from edgesynth.synthesis.generative.space import SpaceOptions, derive_space
from small_networks import Plain, network

TRUST = ("small_networks:Plain",)


class WidthWorld:
    """Accuracy saturates with the width of every layer, at another place for each."""

    def __init__(self) -> None:
        self.trained: list[str] = []

    def train(self, network, *, seed, hooks, lesson, progress, label) -> None:
        self.trained.append(label)

    def accuracy(self, network: Network) -> float:
        value = 0.95
        for name, needed in (("c1", 2.0), ("c2", 2.5), ("f1", 4.0)):
            layer = network.module.get_submodule(name)
            layer = layer[1] if isinstance(layer, nn.Sequential) else layer
            width = getattr(layer, "out_channels", getattr(layer, "out_features", 1))
            value *= 1 - math.exp(-width / needed)
        return value

    def predict(self, network: Network) -> dict[str, Any]:
        return {}

    def calibration(self, network: Network):
        generator = torch.Generator().manual_seed(0)
        return iter([torch.randn(8, *network.description.input_shape, generator=generator)])

    def costs(self) -> dict[str, Any]:
        return {}


def evaluator_in(
    folder: Path, *requirements: str, world: WidthWorld | None = None, seed: int = 0
) -> Evaluator:
    """An evaluator of networks made of `Plain`, one after the other in this process."""
    world, prototype = world or WidthWorld(), network(Plain)
    space = derive_space(prototype, SpaceOptions(vary=("width", "kernel")))
    search = Search(
        command="", plan={}, prototype="plain", prototype_sha256="", data="none",
        metric="accuracy", versions={},
    )  # fmt: skip
    return Evaluator(
        prototype=prototype,
        space=space,
        problem=Problem(
            utility=Utility("netscore"),
            requirements=parse_requirements(requirements),
            margin=0.0,
            prototype_accuracy=world.accuracy(prototype),
        ),
        folder=SearchFolder.create(folder, search),
        executor=InProcess(world, 1, Silent()),
        progress=Silent(),
        budget="none",
        seed=seed,
        command="",
        trust=TRUST,
    )


def searcher_of(name: str, evaluator: Evaluator, seed: int = 0) -> Searcher:
    """The generator-inquisitor pair or a rival."""
    if name != "generator":
        return rival_search(name, evaluator.space, seed)
    stimulus = stimuli(WidthWorld().calibration(evaluator.prototype))
    return GeneratorInquisitor(evaluator.prototype, evaluator.space, evaluator, stimulus, seed=seed)
