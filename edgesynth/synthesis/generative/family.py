"""The networks that are delivered, fully trained: of a generator's seeds, or a search's best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesynth.core.netscore import netscore_of
from edgesynth.core.progress import Progress
from edgesynth.core.requirement import Requirement
from edgesynth.core.search import Member
from edgesynth.networks.grid import storage_of
from edgesynth.networks.network import Network
from edgesynth.synthesis.executor import Executor
from edgesynth.synthesis.generative.blueprint import Blueprint
from edgesynth.synthesis.generative.problem import Utility
from edgesynth.synthesis.generative.search_folder import SearchFolder
from edgesynth.synthesis.generative.space import Point, Space, Value, identity_of
from edgesynth.synthesis.jobs import Job, Raised
from edgesynth.synthesis.parcel import pack, unpack
from edgesynth.synthesis.raising import World, counted
from edgesynth.synthesis.selection import judge

PROTOTYPE = "prototype"


@dataclass(frozen=True)
class Draft:
    """A network to be delivered, not yet trained."""

    id: str
    choice: dict[str, Value]
    seed: int


@dataclass
class Nursery:
    """Trains drafts fully, judges them, and keeps them in the folder."""

    prototype: Network
    space: Space
    world: World
    score_test: Callable[[Network], float]
    """Figure of merit on test data."""
    utility: Utility
    requirements: Sequence[Requirement]
    folder: SearchFolder
    executor: Executor
    progress: Progress
    command: str
    distill: float = 0.0
    trust: tuple[str, ...] = ()
    inherit: bool = True
    measure: Callable[[Network], Mapping[str, float]] | None = None
    make: Callable[[Blueprint], Network] | None = None

    def first(self) -> Member:
        """The prototype as a member of the family, which it is compared with."""
        found = self._find(PROTOTYPE)
        if found is None:
            relative = f"networks/{PROTOTYPE}.edgenet"
            self.folder.keep_network(pack(self.prototype), relative)
            own = counted(self.prototype)
            found = self._member(
                PROTOTYPE, {}, relative, self.prototype, own, self.world.accuracy(self.prototype),
                self.world.predict(self.prototype), 0, 0.0,
            )  # fmt: skip
            self._keep(found)
        return found

    def raise_all(self, drafts: Sequence[Draft]) -> list[Member]:
        """The members made of `drafts`, in their order; those in the folder are not made again."""
        self.first()
        parcel = pack(self.prototype)
        running: dict[str, Draft] = {}
        for draft in drafts:
            if self._find(draft.id) is None:
                running[draft.id] = draft
                self.executor.submit(self._job(draft, parcel))
        with self.progress.track("family", len(drafts)) as task:
            task.advance(len(drafts) - len(running))
            while running:
                raised = self.executor.wait()
                member = self._deliver(raised, running.pop(raised.identity))
                self.progress.say(told(member))
                task.advance(1, member.id)
        found = (self._find(draft.id) for draft in drafts)
        return [member for member in found if member is not None]

    def _job(self, draft: Draft, parcel: dict[str, bytes]) -> Job:
        return Job(
            identity=draft.id,
            name=f"{self.prototype.name}-{draft.id}",
            generation=2,
            parents=(parcel,),
            blueprint=self._blueprint(draft),
            teacher=parcel if self.distill else None,
            distill=self.distill,
            seeds=(draft.seed, int(identity_of(draft.choice)[:8], 16)),
            command=self.command,
            trust=self.trust,
        )

    def _blueprint(self, draft: Draft) -> Blueprint:
        return Blueprint(space=self.space, choice=draft.choice, inherit=self.inherit)

    def _deliver(self, raised: Raised, draft: Draft) -> Member:
        relative = f"networks/{draft.id}.edgenet"
        self.folder.keep_network(raised.parcel, relative)
        network = unpack(raised.parcel, self.trust)
        member = self._member(
            draft.id, draft.choice, relative, network, raised.counted, raised.accuracy,
            raised.predictions, draft.seed, raised.seconds,
        )  # fmt: skip
        self._keep(member)
        return member

    def _member(
        self,
        identity: str,
        choice: dict[str, Value],
        relative: str,
        network: Network,
        own: Mapping[str, int],
        accuracy: float,
        predictions: Mapping[str, Mapping[str, float]],
        seed: int,
        seconds: float,
    ) -> Member:
        measured: dict[str, float] = {}
        if self.measure is not None and self.make is not None:
            draft = Draft(identity, choice, seed)
            measured = dict(self.measure(self.make(self._blueprint(draft))))
        test = self.score_test(network)
        here = {**measured, **own, "accuracy": accuracy}
        parent = self._find(PROTOTYPE)
        reference = accuracy if parent is None else parent.accuracy
        verdicts = judge(here, reference, self.requirements, predictions)
        everywhere = {**predictions, "": measured}
        return Member(
            id=identity,
            architecture=identity_of(choice),
            choice=choice,
            network=relative,
            accuracy=accuracy,
            test_accuracy=test,
            params=own["params"],
            macs=own["macs"],
            size_bytes=own["size_bytes"],
            weight_bytes=own["weight_bytes"],
            precision=storage_of(network).precision,
            predictions={device: dict(values) for device, values in predictions.items()},
            measured=measured,
            utility=self.utility({**here, "accuracy": accuracy}, everywhere),
            netscore=netscore_of(test, own["params"], own["macs"]) if test > 0 else None,
            requirements=[verdict.document() for verdict in verdicts],
            seed=seed,
            seconds=seconds,
        )

    def _find(self, identity: str) -> Member | None:
        return next((one for one in self.folder.search.family if one.id == identity), None)

    def _keep(self, member: Member) -> None:
        self.folder.search.family.append(member)
        self.folder.save()


def drafts_of(points: Sequence[Point], space: Space, seed: int) -> list[Draft]:
    """One draft for each distinct network of `points`, numbered by its seed."""
    drafts: dict[str, Draft] = {}
    for number, point in enumerate(points):
        choice = space.choice(np.asarray(point))
        name = f"s{seed}-{number:02d}"
        drafts.setdefault(identity_of(choice), Draft(name, choice, seed))
    return list(drafts.values())


def best_member(family: Sequence[Member]) -> Member:
    """Of those that meet all requirements the one with the greatest U; where none does, the one
    that misses the fewest, then by U. The prototype counts only where there is nothing else."""
    made = [one for one in family if one.id != PROTOTYPE] or list(family)

    def worth(one: Member) -> tuple[int, float]:
        missed = sum(verdict["holds"] is not True for verdict in one.requirements)
        return -missed, -1e9 if one.utility is None else one.utility

    return max(made, key=worth)


def told(member: Member) -> str:
    """A line of talk about a member."""
    missed = [str(v["requirement"]) for v in member.requirements if v["holds"] is not True]
    state = "misses " + ", ".join(missed) if missed else "meets all"
    return (
        f"{member.id}: test {member.test_accuracy:.4f}, {member.params:,} parameters, "
        f"{member.macs:,} MACs, {state}"
    )
