"""A generated network as plain data, and how a worker makes it of the prototype."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from edgesynth.core.precision import FORMATS, FULL, FULL_PRECISION, PrecisionPolicy
from edgesynth.networks.grid import weighted_layers
from edgesynth.networks.network import Network
from edgesynth.synthesis.generative.inherit import grow
from edgesynth.synthesis.generative.layout import Drawing
from edgesynth.synthesis.generative.space import Space, Value
from edgesynth.tasks.hooks import Hook, Moment, StopTraining


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a job makes of a prototype."""

    space: Space
    choice: dict[str, Value]
    """Gene -> value; none at all is the prototype itself."""
    inherit: bool = True
    """Whether it begins with the prototype's weights where shapes allow."""
    settle: bool = False
    """Whether the statistics of its normalization are taken anew before every score, as a short
    training needs it."""
    needed_midway: float | None = None
    """Accuracy below which the second half of the training is left out; None never does that."""


def build(prototype: Network, blueprint: Blueprint, seed: int) -> Network:
    """The network of `blueprint`, untrained; `seed` draws its fresh weights."""
    layout = Drawing(prototype, blueprint.space).lay_out(blueprint.choice)
    return grow(prototype, layout, seed=seed, inherit=blueprint.inherit)


def policy_of(network: Network, blueprint: Blueprint) -> PrecisionPolicy:
    """The formats that the genes of precision give the layers of `network`."""
    genes = [gene for gene in blueprint.space.genes if gene.kind == "precision"]
    formats = {gene.stage: str(blueprint.choice.get(gene.name, FULL)) for gene in genes}
    if not formats:
        return FULL_PRECISION
    stages = blueprint.space.stages
    layers = {
        name: formats.get(stages.get(name, stages.get(name.rpartition(".")[0], -1)), FULL)
        for name in weighted_layers(network.module)
    }
    return PrecisionPolicy(FORMATS[FULL], by_layer=tuple(layers.items()))


class MidwayHook(Hook):
    """Scores a network in the middle of its training and ends that where the rest is hopeless."""

    def __init__(self, score: Callable[[], float], needed: float | None) -> None:
        """`score` gives the accuracy as it is; below `needed` the training ends."""
        self._score, self._needed = score, needed
        self.accuracy: float | None = None
        self.stopped = False

    def after_step(self, moment: Moment) -> None:
        """Look at the network once, when half of the steps are done."""
        if moment.done < 0.5 or self.accuracy is not None:
            return
        self.accuracy = self._score()
        if self._needed is not None and self.accuracy < self._needed:
            self.stopped = True
            raise StopTraining
