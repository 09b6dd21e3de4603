"""What a generated network costs is known before it is trained, so a seed whose network costs more
than the requirement allows draws another: 1_r(G(s)) = 1 holds by construction but for accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgesynth.core.requirement import Requirement
from edgesynth.networks.network import Network
from edgesynth.synthesis.generative.generator import Generator
from edgesynth.synthesis.generative.inherit import grow
from edgesynth.synthesis.generative.layout import Drawing
from edgesynth.synthesis.generative.space import Point
from edgesynth.synthesis.selection import Predictions

TRIES = 24
"""Draws of one seed; the first one stands where none is admitted."""


@dataclass
class Admission:
    """Draws of `generator` that keep within what `requirements` say of counts and predictions."""

    generator: Generator
    requirements: Sequence[Requirement]
    predict: Callable[[Network], Predictions]
    """See `World.predict`."""
    _drawing: Drawing = field(init=False)

    def __post_init__(self) -> None:
        self._drawing = Drawing(self.generator.prototype, self.generator.card.space)

    def point(self, seed: tuple[int, ...]) -> Point:
        """The first admitted draw of `seed`; always the same one."""
        first, *others = [seed, *((*seed, attempt) for attempt in range(1, TRIES))]
        (point,) = self.generator.points([first])
        if self.admits(point):
            return point
        for other in others:
            (another,) = self.generator.points([other])
            if self.admits(another):
                return another
        return point

    def admits(self, point: Point) -> bool:
        """Whether the network at `point` meets all that needs no training."""
        layout = self._drawing.lay_out(self.generator.card.space.choice(point))
        figures = self._drawing.figures(layout)
        counted: dict[str, float] = {"params": figures.params, "macs": figures.macs}
        for requirement in self.requirements:
            if requirement.key in counted and not requirement.judge(counted).holds:
                return False
        there = [requirement for requirement in self.requirements if requirement.device]
        if not there:
            return True
        predicted = self.predict(grow(self.generator.prototype, layout, seed=0))
        return all(
            requirement.judge(predicted.get(str(requirement.device), {})).holds is not False
            for requirement in there
        )
