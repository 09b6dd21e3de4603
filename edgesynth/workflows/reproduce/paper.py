"""What a reproduction of one paper consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgesynth.core.equal_accuracy import Comparison, Point, compare, is_larger
from edgesynth.core.reproduction import ANCESTOR, Check, Row, Summary, of_rival, summarize
from edgesynth.workflows.reproduce.recipe import Recipe
from edgesynth.workflows.reproduce.rival import Rival


@dataclass(frozen=True)
class Findings:
    """All that a run has found so far."""

    rows: Sequence[Row]
    rivals: Mapping[str, Rival]
    """Of the paper, run or not, by name."""
    summaries: list[Summary] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "summaries", summarize(self.rows))

    def of(self, rival: str) -> dict[int, Summary]:
        """The generations of one rival, by number."""
        return of_rival(self.summaries, rival)

    @property
    def ours(self) -> list[Summary]:
        """Of edgesynth's own rivals, from generation 2 on."""
        return [
            one
            for one in self.summaries
            if one.rival in self.rivals
            and self.rivals[one.rival].kind == "edgesynth"
            and one.generation > 1
        ]

    def compare(self, measure: str) -> list[Comparison]:
        """Sizes at equal test accuracy; see `equal_accuracy`. Empty without an ancestor."""
        if not self.of(ANCESTOR):
            return []
        ancestor = self.of(ANCESTOR)[1]
        curves: dict[str, list[Point]] = {}
        for one in self.summaries:
            if one.rival in self.rivals and one.generation > 1:
                curves.setdefault(one.rival, [_point(ancestor, ancestor, measure)])
                curves[one.rival].append(_point(one, ancestor, measure))
        mine = [name for name in curves if self.rivals[name].kind == "edgesynth"]
        return compare(measure, curves, mine, ancestor.test_accuracy.mean)


def _point(one: Summary, ancestor: Summary, measure: str) -> Point:
    """Size and accuracy relative to the ancestors of the same seeds."""
    size = ancestor.sizes[measure] / one.fewer[measure].mean
    return Point(size, ancestor.test_accuracy.mean - one.lost_points.mean / 100)


@dataclass(frozen=True)
class Quote:
    """A figure that a paper's abstract states, and why this run is no reproduction of it."""

    arxiv: str
    title: str
    network: str
    data: str
    device: str
    claimed: str
    differs: str
    """What is not the same here."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One PAPER of `edgesynth reproduce`."""

    name: str
    title: str
    arxiv: str
    generations: int
    """By default; the ancestor is the first."""
    rivals: Callable[[Recipe], list[Rival]]
    """In an order in which each comes after the one that it follows."""
    quotes: tuple[Quote, ...]
    measures: tuple[str, ...]
    """Sizes that are compared at equal accuracy."""
    check: Callable[[Findings], list[Check]]
    further: Callable[[Findings], dict[str, Any]] = lambda findings: {}
    """Further figures of `result.json`."""


def at_least(
    name: str, findings: Findings, key: str, times: float, points: float, rivals: Sequence[str] = ()
) -> Check:
    """Whether a network of edgesynth has `times` fewer of `key` and loses at most `points`."""
    what = key.replace("_", " ").replace("params", "dense parameters")
    claim = f"at least {times:g} times fewer {what}, at most {points:g} points below the ancestor"
    claim += f" ({' or '.join(rivals)})" if rivals else ""
    known = [one for one in findings.ours if not rivals or one.rival in rivals]
    if not known:
        return Check(name, claim, None, "no such rival was run")
    reaching = [one for one in known if one.fewer[key].mean >= times]
    if not reaching:
        best = max(known, key=lambda one: one.fewer[key].mean)
        return Check(name, claim, False, f"not small enough: {described(best, key)}")
    best = min(reaching, key=lambda one: one.lost_points.mean)
    return Check(name, claim, best.lost_points.mean <= points, described(best, key))


def described(one: Summary, key: str) -> str:
    """One summary in a line: how much smaller, and how much it loses."""
    lost = one.lost_points
    return (
        f"{one.rival} g{one.generation:02d}: {one.fewer[key].mean:.1f} times at {lost.mean:.2f} "
        f"points ({lost.low:.2f} to {lost.high:.2f}, {len(one.seeds)} seeds)"
    )


def smallest_at_equal_accuracy(name: str, findings: Findings, measure: str) -> Check:
    """Whether edgesynth is at least as small as the best baseline at every accuracy compared."""
    what = measure.replace("_", " ").replace("params", "dense parameters")
    claim = f"at equal accuracy at most as many {what} as the best baseline of the run"
    told = [one for one in findings.compare(measure) if one.ratio is not None]
    if not told:
        return Check(name, claim, None, "no accuracy that both edgesynth and a baseline reach")
    words = [
        f"{one.ratio:.2f} at {one.lost_points:g} points ({one.ours} / {one.baseline})"
        for one in told
    ]
    worse = any(one.ratio is not None and is_larger(one.ratio) for one in told)
    return Check(name, claim, not worse, "size over the best baseline's: " + ", ".join(words))
