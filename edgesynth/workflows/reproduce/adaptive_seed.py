"""One seed of `reproduce adaptive`: training, recorded answers, policies for every budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgesynth.core.dataset import Dataset
from edgesynth.core.network import Exit
from edgesynth.core.progress import Progress
from edgesynth.dynamic.answers import Answers, Point, judge
from edgesynth.dynamic.bounds import chance, oracle
from edgesynth.dynamic.costs import macs_of
from edgesynth.dynamic.curve import Candidate, Goal, choose
from edgesynth.dynamic.learned import CHAIN, TREE
from edgesynth.dynamic.placing import candidates, choose_exits
from edgesynth.dynamic.training import train_exits
from edgesynth.hardware.counting import count
from edgesynth.networks import edgenet
from edgesynth.networks.exits import ExitNetwork
from edgesynth.networks.network import Network
from edgesynth.workflows.adapt.calibration import curves_of
from edgesynth.workflows.adapt.exits import stage_ids, with_exits
from edgesynth.workflows.adapt.recording import of_module, record
from edgesynth.workflows.reproduce.adaptive_clock import clock
from edgesynth.workflows.reproduce.adaptive_recipe import (
    BUDGETS,
    CLAIMED_BUDGET,
    AdaptiveRecipe,
)
from edgesynth.workflows.train import train
from edgesynth_rt.policy import Policy


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One policy of one seed on test images, a line of `rows.jsonl`."""

    seed: int
    subject: str
    """Network with exits, or `cascade`."""
    method: str
    """`learned`, `learned tree`, `entropy`, `maximum`, `margin`, `chance`, `oracle`, or `stage`,
    which always answers at one stage."""
    budget: float | None
    """Points that could be lost on validation images; None for what no budget chooses."""
    reference: float
    """Test accuracy without a policy: of the network as it was, or of the last one."""
    accuracy: float
    full: float
    """MACs of the reference."""
    cost: float
    """Mean MACs of an input, gates and heads included."""
    p99: float
    shares: dict[str, float]
    gates: list[str] = []
    latency: dict[str, float] | None = None
    """Measured at the claimed budget: see `adaptive_clock.clock`."""

    @property
    def lost_points(self) -> float:
        """Of accuracy."""
        return 100 * (self.reference - self.accuracy)

    @property
    def times_fewer(self) -> float:
        """MACs than the reference."""
        return self.full / self.cost


@dataclass(frozen=True)
class Subject:
    """Recorded answers of one network with exits, or of several networks."""

    name: str
    kind: str
    """`exits` or `cascade`."""
    seen: Answers
    test: Answers
    costs: tuple[float, ...]
    full: float
    reference: dict[str, float]
    """Accuracy by split."""


def run_seed(
    folder: Path, seed: int, dataset: Dataset, recipe: AdaptiveRecipe, progress: Progress
) -> list[Row]:
    """All rows of one seed; what `folder` holds of it is not done again."""
    rows = []
    for spec in recipe.networks:
        subject, network = exits_subject(folder, seed, spec, dataset, recipe, progress)
        rows += rows_of(subject, seed, progress, network, dataset)
    if recipe.cascade:
        subject = cascade_subject(folder, seed, dataset, recipe, progress)
        rows += rows_of(subject, seed, progress)
    return rows


def exits_subject(
    folder: Path,
    seed: int,
    spec: str,
    dataset: Dataset,
    recipe: AdaptiveRecipe,
    progress: Progress,
) -> tuple[Subject, Network]:
    """The network `spec` with exits, trained, and its recorded answers."""
    parent = _ancestor(folder, seed, spec, dataset, recipe, progress)
    place = _place(folder, seed, spec, "exits.edgenet")
    if not place.exists():
        head = Exit("", *recipe.head)
        found = candidates(parent.module, dataset.input_shape, len(dataset.classes), head)
        exits = choose_exits(found, recipe.exits, head)
        network, _ = with_exits(parent, exits, dataset, seed)
        train_exits(network, dataset, recipe.exit_plan(), seed=seed, progress=progress)
        edgenet.save(network, place)
    network = edgenet.load(place)
    if not isinstance(network.module, ExitNetwork):
        raise TypeError(f"{place} has no exits")
    costs = macs_of(network.module, dataset.input_shape)
    ids = stage_ids(network.description.exits)
    seen, test = _answers(network, ids, dataset, progress)
    before = _answers(parent, ["final"], dataset, progress)
    reference = {
        split: float(answers.right[-1].mean())
        for split, answers in zip(("validation", "test"), before, strict=True)
    }
    return Subject(spec, "exits", seen, test, tuple(costs.stages), costs.full, reference), network


def cascade_subject(
    folder: Path, seed: int, dataset: Dataset, recipe: AdaptiveRecipe, progress: Progress
) -> Subject:
    """The networks of the cascade, trained, and their recorded answers."""
    networks = [_ancestor(folder, seed, spec, dataset, recipe, progress) for spec in recipe.cascade]
    macs = [float(count(each.module, dataset.input_shape).macs) for each in networks]
    order = np.argsort(macs)
    ids = [recipe.cascade[k] for k in order]
    pairs = [_answers(networks[k], [recipe.cascade[k]], dataset, progress) for k in order]
    seen, test = (
        Answers(tuple(ids), tuple(pair[k].logits[0] for pair in pairs), pairs[0][k].labels)
        for k in (0, 1)
    )
    gate = float(len(dataset.classes))
    costs = [macs[k] + gate for k in order[:-1]] + [macs[order[-1]]]
    reference = {
        "validation": float(seen.right[-1].mean()),
        "test": float(test.right[-1].mean()),
    }
    return Subject("cascade", "cascade", seen, test, tuple(costs), costs[-1], reference)


def rows_of(
    subject: Subject,
    seed: int,
    progress: Progress,
    network: Network | None = None,
    dataset: Dataset | None = None,
) -> list[Row]:
    """Every method at every budget, bounds, and single stages; latencies where there is a
    `network` with exits."""
    curves = curves_of(
        subject.seen, subject.costs, subject.kind, "macs", progress,
        Goal(subject.reference["validation"], CLAIMED_BUDGET),
    )  # fmt: skip
    rows = []
    for method, curve in curves.items():
        for budget in BUDGETS:
            chosen = choose(curve, Goal(subject.reference["validation"], budget))
            if chosen is None:
                continue
            point = judge(chosen.policy, subject.test)
            latency = None
            if network is not None and dataset is not None and (method, budget) == _CLOCKED:
                latency = clock(network, subject.test, chosen.policy, dataset, progress)
            rows.append(_row(subject, seed, method, budget, point, chosen, latency))
            if method == "learned":
                blind = chance(subject.test, subject.costs, point.shares)
                rows.append(_row(subject, seed, "chance", budget, blind))
    shape = TREE if subject.kind == "cascade" else CHAIN
    rows.append(_row(subject, seed, "oracle", None, oracle(subject.test, subject.costs, shape)))
    return [*rows, *_single(subject, seed)]


_CLOCKED = ("learned", CLAIMED_BUDGET)


def _single(subject: Subject, seed: int) -> list[Row]:
    """Every stage, if it always answered."""
    cumulative = np.cumsum(subject.costs) if subject.kind == "exits" else subject.costs
    rows = []
    for index, stage in enumerate(subject.test.stages):
        cost = float(cumulative[index])
        accuracy = float(subject.test.right[index].mean())
        rows.append(
            _row(subject, seed, "stage", None, Point(accuracy, cost, cost, cost, {stage: 1.0}))
        )
    return rows


def _row(
    subject: Subject,
    seed: int,
    method: str,
    budget: float | None,
    point: Point,
    chosen: Candidate | None = None,
    latency: dict[str, float] | None = None,
) -> Row:
    policy: Policy | None = None if chosen is None else chosen.policy
    gates = [] if policy is None else [gate.kind for node in policy.nodes for gate in node.gates]
    return Row(
        seed=seed,
        subject=subject.name,
        method=method,
        budget=budget,
        reference=subject.reference["test"],
        accuracy=point.accuracy,
        full=subject.full,
        cost=point.cost,
        p99=point.p99,
        shares=dict(point.shares),
        gates=gates,
        latency=latency,
    )


def _ancestor(
    folder: Path,
    seed: int,
    spec: str,
    dataset: Dataset,
    recipe: AdaptiveRecipe,
    progress: Progress,
) -> Network:
    place = _place(folder, seed, spec, "ancestor.edgenet")
    if not place.exists():
        plan = recipe.ancestor_plan()
        train(spec, dataset.name, place, plan=plan, seed=seed, resume=True, progress=progress)
    return edgenet.load(place)


def _answers(
    network: Network, ids: Sequence[str], dataset: Dataset, progress: Progress
) -> tuple[Answers, Answers]:
    """On validation and on test images."""
    answer = of_module(network.module, network.description.preprocessing)
    return (
        record(answer, ids, dataset.validation, progress, f"{network.name} on validation images"),
        record(answer, ids, dataset.test, progress, f"{network.name} on test images"),
    )


def _place(folder: Path, seed: int, spec: str, name: str) -> Path:
    readable = "".join(c if c.isalnum() or c in ".-" else "-" for c in spec)
    return folder / "networks" / f"s{seed}" / readable / name
