"""Tries networks: a short training each, many at a time, none of one architecture twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from edgesynth.core.progress import Progress
from edgesynth.core.search import PROTOTYPE, Candidate
from edgesynth.networks.network import Network
from edgesynth.synthesis.executor import Executor
from edgesynth.synthesis.generative.blueprint import Blueprint
from edgesynth.synthesis.generative.problem import Problem
from edgesynth.synthesis.generative.search_folder import SearchFolder
from edgesynth.synthesis.generative.space import Point, Space, Value, identity_of
from edgesynth.synthesis.jobs import Job, Raised
from edgesynth.synthesis.parcel import pack

Measure = Callable[[Network], Mapping[str, float]]
"""Measures a network on a board: figures by the keys of requirements."""
_SLACK_POINTS = 1.0
_KNOWN_GAINS = 4


@dataclass(frozen=True)
class Proposal:
    """A network that a search wants to be tried."""

    point: Point
    foretold: float | None = None


@dataclass
class Evaluator:
    """Turns proposals into candidates, through the executor and the folder of the search."""

    prototype: Network
    space: Space
    problem: Problem
    folder: SearchFolder
    executor: Executor
    progress: Progress
    budget: str
    seed: int
    command: str
    trust: tuple[str, ...] = ()
    inherit: bool = True
    measure: Measure | None = None
    make: Callable[[Blueprint], Network] | None = None
    """Makes a network to be measured, always with the same weights."""
    _parcel: dict[str, bytes] = field(default_factory=dict)

    def reference(self) -> Candidate:
        """Try the prototype itself; the problem is relative to it from then on."""
        found = self.folder.find(PROTOTYPE)
        if found is None:
            self._submit(PROTOTYPE, {}, None)
            raised = self.executor.wait()
            self.problem = self.problem.with_reference(raised.accuracy)
            found = self._candidate(raised, {}, [], 0, None)
            self.folder.add(found)
        self.problem = self.problem.with_reference(found.accuracy)
        return found

    def evaluate(self, cycle: int, proposals: Sequence[Proposal]) -> list[Candidate]:
        """The candidates of `proposals` in their order; those that the folder holds are not tried
        again, nor is an architecture that an earlier cycle tried."""
        running: dict[str, Proposal] = {}
        needed = self._needed_midway(cycle)
        for index, proposal in enumerate(proposals, start=1):
            identity = f"c{cycle:02d}-{index}"
            if self.folder.find(identity) is not None:
                continue
            choice = self.space.choice(proposal.point)
            twin = self._twin(identity_of(choice), cycle)
            if twin is not None:
                self.folder.add(_copy(twin, identity, cycle, proposal))
                continue
            self._submit(identity, choice, needed)
            running[identity] = proposal
        while running:
            raised = self.executor.wait()
            proposal = running.pop(raised.identity)
            choice = self.space.choice(proposal.point)
            found = self._candidate(
                raised, choice, proposal.point.tolist(), cycle, proposal.foretold
            )
            self.folder.add(found)
            self.progress.say(told(found))
        found_all = (self.folder.find(f"c{cycle:02d}-{n + 1}") for n in range(len(proposals)))
        return [one for one in found_all if one is not None]

    def judged(self, one: Candidate) -> Candidate:
        """A candidate with its verdict by what is known now."""
        return judged(one, self.problem)

    def _twin(self, architecture: str, cycle: int) -> Candidate | None:
        known = (c for c in self.folder.candidates if 0 < c.cycle < cycle and c.same_as is None)
        same = (c for c in known if (c.architecture, c.budget) == (architecture, self.budget))
        return min(same, key=lambda one: (one.cycle, one.id), default=None)

    def _needed_midway(self, cycle: int) -> float | None:
        """What a candidate must reach with half of its training, judged by what the second half
        gave candidates of earlier cycles at most; never more than three quarters of those had."""
        earlier = [one for one in self.folder.candidates if 0 < one.cycle < cycle]
        halves = [one.accuracy_midway for one in earlier if one.accuracy_midway is not None]
        gains = [
            one.accuracy - one.accuracy_midway
            for one in earlier
            if one.accuracy_midway is not None and not one.stopped
        ]
        if len(gains) < _KNOWN_GAINS:
            return None
        return min(
            self.problem.floor() - max(gains) - _SLACK_POINTS / 100,
            float(np.quantile(halves, 0.25)),
        )

    def _submit(self, identity: str, choice: dict[str, Value], needed: float | None) -> None:
        if not self._parcel:
            self._parcel = pack(self.prototype)
        self.executor.submit(
            Job(
                identity=identity,
                name=f"{self.prototype.name}-{identity}",
                generation=2,
                parents=(self._parcel,),
                blueprint=self._blueprint(choice, needed),
                seeds=(self.seed, int(identity_of(choice)[:8], 16)),
                command=self.command,
                trust=self.trust,
            )
        )

    def _blueprint(self, choice: dict[str, Value], needed: float | None) -> Blueprint:
        return Blueprint(
            space=self.space,
            choice=choice,
            inherit=self.inherit,
            settle=True,
            needed_midway=needed,
        )

    def _candidate(
        self,
        raised: Raised,
        choice: dict[str, Value],
        point: list[float],
        cycle: int,
        foretold: float | None,
    ) -> Candidate:
        measured: dict[str, float] = {}
        if self.measure is not None and self.make is not None:
            measured = dict(self.measure(self.make(self._blueprint(choice, None))))
        counted = raised.counted
        found = Candidate(
            id=raised.identity,
            cycle=cycle,
            architecture=identity_of(choice),
            choice=choice,
            point=np.round(point, 6).tolist(),
            budget=self.budget,
            accuracy=raised.accuracy,
            accuracy_at_birth=raised.accuracy_at_birth,
            accuracy_midway=raised.accuracy_midway,
            stopped=raised.stopped,
            params=counted["params"],
            macs=counted["macs"],
            size_bytes=counted["size_bytes"],
            weight_bytes=counted["weight_bytes"],
            predictions=raised.predictions,
            measured=measured,
            utility=None,
            score=0.0,
            feasible=False,
            foretold=foretold,
            reactions=raised.reactions,
            seconds=raised.seconds,
        )
        return self.judged(found)


def figures_of(one: Candidate) -> dict[str, float]:
    """What is counted of a candidate, by the keys of requirements."""
    keys = ("accuracy", "params", "macs", "size_bytes")
    return {key: float(getattr(one, key)) for key in keys}


def predictions_of(one: Candidate) -> dict[str, dict[str, float]]:
    """What is predicted, by device, and under "" what is measured."""
    return {**one.predictions, "": one.measured}


def judged(one: Candidate, problem: Problem) -> Candidate:
    """A candidate with the verdict of `problem`."""
    judgement = problem.judge(figures_of(one), predictions_of(one))
    return msgspec.structs.replace(
        one,
        utility=None if judgement.utility is None else round(judgement.utility, 4),
        score=round(judgement.score, 4),
        feasible=judgement.feasible and not one.stopped,
        gaps=judgement.gaps,
    )


def _copy(twin: Candidate, identity: str, cycle: int, proposal: Proposal) -> Candidate:
    return msgspec.structs.replace(
        twin,
        id=identity,
        cycle=cycle,
        same_as=twin.id,
        point=np.round(proposal.point, 6).tolist(),
        foretold=proposal.foretold,
        seconds=0.0,
    )


def told(one: Candidate) -> str:
    """A line of talk about a candidate."""
    state = "meets all" if one.feasible else "stopped half way" if one.stopped else ""
    state = state or "misses " + ", ".join(one.gaps)
    utility = "undefined" if one.utility is None else f"{one.utility:.2f} dB"
    return (
        f"{one.id}: accuracy {one.accuracy:.4f}, {one.params:,} parameters, {one.macs:,} MACs, "
        f"U {utility}, {state}"
    )
