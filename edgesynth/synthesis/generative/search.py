"""The search: cycle after cycle of networks that are drawn, tried and learned from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgesynth.core.progress import Progress
from edgesynth.core.requirement import Requirement
from edgesynth.core.search import Candidate, Cycle, rank_correlation
from edgesynth.synthesis.generative.evaluation import Evaluator, figures_of, predictions_of
from edgesynth.synthesis.generative.layout import Drawing
from edgesynth.synthesis.generative.problem import is_accuracy
from edgesynth.synthesis.generative.searchers import Searcher
from edgesynth.synthesis.generative.trainings import Trainings, ranked


@dataclass(frozen=True)
class Effort:
    """How much a search may spend."""

    evaluations: int = 48
    """Short trainings, without the prototype's."""
    per_cycle: int = 8
    full: int = 0
    """Candidates that are trained fully during the search."""

    @property
    def looks(self) -> set[int]:
        """Cycles behind which one is: the first, and then evenly spread up to the last but one."""
        last = max(1, self.cycles - 1)
        return {1 + round(index * (last - 1) / max(1, self.full)) for index in range(self.full)}

    @property
    def cycles(self) -> int:
        return math.ceil(self.evaluations / self.per_cycle)

    def count(self, cycle: int) -> int:
        """Networks of one cycle, counted from 1."""
        return min(self.per_cycle, self.evaluations - (cycle - 1) * self.per_cycle)


MOST_LOOKS = 3


def looks_of(networks: int) -> int:
    """How many of the networks that a search delivers are trained fully while it runs."""
    return min(networks - 1, MOST_LOOKS)


def run_search(
    searcher: Searcher,
    evaluator: Evaluator,
    effort: Effort,
    progress: Progress,
    trainings: Trainings | None = None,
) -> list[Candidate]:
    """Run or resume a search and return its candidates in order, the prototype left out, judged by
    all that is known at the end.

    With `trainings`, the best candidate so far is trained fully after the cycles of `Effort.looks`,
    which tells what short trainings mean. It ends early, after one cycle, when no network of the
    space can meet the requirement.
    """
    folder = evaluator.folder
    evaluator.reference()
    walls = impossible(evaluator)
    everyone: list[Candidate] = []
    folder.search.cycles = []
    with progress.track("generate", effort.evaluations) as task:
        for number in range(1, effort.cycles + 1):
            theta = searcher.theta()
            likely = searcher.likely()
            found = evaluator.evaluate(number, searcher.ask(number, effort.count(number)))
            searcher.tell(number, found)
            everyone += found
            utilities = [one.utility for one in found if one.utility is not None]
            folder.search.cycles.append(
                Cycle(
                    number=number,
                    mu=[] if theta is None else theta.mu.tolist(),
                    sd=[] if theta is None else theta.sd.tolist(),
                    mean_utility=sum(utilities) / len(utilities) if utilities else None,
                    best_score=max(one.score for one in found),
                    feasible=sum(one.feasible for one in found),
                    candidates=len(found),
                    likely=likely,
                )
            )
            _keep_correlation(evaluator, everyone)
            folder.save()
            task.advance(len(found), f"{sum(one.feasible for one in everyone)} meet all")
            if walls:
                break
            if trainings is not None and number in effort.looks:
                trainings.look(everyone)
    folder.search.obstacles = walls
    return [evaluator.judged(one) for one in everyone]


def _keep_correlation(evaluator: Evaluator, everyone: Sequence[Candidate]) -> None:
    """How well the inquisitor ranked networks before they were trained."""
    whole = [one for one in everyone if one.same_as is None and not one.stopped]
    foretold = [one for one in whole if one.foretold is not None]
    found = rank_correlation(
        [one.foretold for one in foretold if one.foretold is not None],
        [one.accuracy for one in foretold],
    )
    search = evaluator.folder.search
    search.rank_correlation = None if found is None else round(found, 4)
    search.foretold = len(foretold)


def impossible(evaluator: Evaluator) -> list[str]:
    """What no network of the space can meet, because its cheapest one does not.

    Counts only: what a board needs is not known for a network that nobody made.
    """
    space, problem = evaluator.space, evaluator.problem
    layout = Drawing(evaluator.prototype, space).lay_out(space.choice(space.smallest))
    figures = Drawing(evaluator.prototype, space).figures(layout)
    least = {"params": figures.params, "macs": figures.macs}
    walls = []
    for requirement in problem.requirements:
        value = least.get(requirement.key)
        if value is None or requirement.relation.startswith(">"):
            continue
        if not requirement.judge({requirement.key: value}).holds:
            walls.append(
                f"{requirement.text}: the smallest network that can be made of "
                f"{evaluator.prototype.name} has {value:,} {requirement.metric}"
            )
    return walls


def obstacles(
    candidates: Sequence[Candidate], requirements: Sequence[Requirement], evaluator: Evaluator
) -> list[str]:
    """For every requirement that the best network misses, how near the search came to it: among all
    networks, and among those that meet everything else."""
    told = []
    best = ranked(candidates)[0]
    for requirement in requirements:
        if requirement.text not in best.gaps:
            continue
        values = [(value_of(one, requirement), one) for one in candidates]
        known = [(value, one) for value, one in values if value is not None]
        if not known:
            told.append(f"{requirement.text}: nothing is known of {requirement.metric} there")
            continue
        pick = max if requirement.relation.startswith(">") else min
        if is_accuracy(requirement):
            known = [(one.accuracy, one) for _, one in known]
            pick = max
        others = [pair for pair in known if set(pair[1].gaps) <= {requirement.text}]
        nearest, at = pick(known, key=lambda pair: pair[0])
        line = f"{requirement.text}: of {len(known)} networks the nearest, {at.id}, reaches "
        line += _figure(nearest, requirement)
        if others:
            value, one = pick(others, key=lambda pair: pair[0])
            line += f"; of those that meet the rest, {one.id} reaches {_figure(value, requirement)}"
        else:
            line += "; none meets the rest"
        if is_accuracy(requirement):
            line += f" (a short training; the floor for it is {evaluator.problem.floor():.4f})"
        told.append(line)
    return told


def value_of(one: Candidate, requirement: Requirement) -> float | None:
    """The figure of a candidate that a requirement bounds; of an accuracy, that itself."""
    if is_accuracy(requirement):
        return one.accuracy
    predictions = predictions_of(one)
    if requirement.device:
        there = predictions.get(requirement.device, {})
        return there.get(requirement.key)
    return figures_of(one).get(requirement.key, predictions[""].get(requirement.key))


def _figure(value: float, requirement: Requirement) -> str:
    if is_accuracy(requirement):
        return f"{value:.4f}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
