"""Choosing a policy: curves of all methods, bounds, and the one that meets the goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress
from edgesynth.data.source import load_dataset
from edgesynth.dynamic.answers import Answers, Point
from edgesynth.dynamic.bounds import chance, oracle
from edgesynth.dynamic.curve import (
    LEARNED,
    METHODS,
    PENALTIES,
    Candidate,
    Goal,
    choose,
    densified,
    learned_curve,
    refined,
    threshold_curve,
)
from edgesynth.dynamic.learned import CHAIN, SHAPES, TREE
from edgesynth.workflows.adapt.wanted import Wanted
from edgesynth.workflows.unseen import validation_seed


@dataclass(frozen=True)
class Calibrated:
    """What was found on calibration data."""

    curves: dict[str, list[Candidate]]
    """By method."""
    goal: Goal
    chosen: Candidate
    holds: bool
    """Whether the chosen policy meets the goal; else it is the most accurate one."""
    oracle: Point
    chance: Point | None
    """Lets as many leave everywhere as the chosen policy, whichever they are; None in a tree."""


def calibrate(
    answers: Answers,
    costs: Sequence[float],
    wanted: Wanted,
    reference: float,
    progress: Progress,
    *,
    kind: str = "exits",
) -> Calibrated:
    """Learn and screen policies on `answers` and choose by the goal.

    costs: of running each stage, in `wanted.cost.unit`; reference: accuracy of the network as it
    was, on the same images; kind: `exits`, or `cascade`, for which a tree is learned besides.
    """
    goal = wanted.goal(reference)
    curves = curves_of(answers, costs, kind, wanted.cost.unit, progress, goal)
    pool = [each for name, curve in curves.items() if name.startswith(wanted.policy)
            for each in curve]  # fmt: skip
    found = choose(pool, goal)
    chosen = found or max(pool, key=lambda each: each.expected.accuracy)
    tree = any(len(node.choices) > 2 for node in chosen.policy.nodes)
    return Calibrated(
        curves,
        goal,
        chosen,
        found is not None,
        oracle(answers, costs, TREE if kind == "cascade" else CHAIN),
        None if tree else chance(answers, costs, chosen.expected.shares),
    )


def curves_of(
    answers: Answers,
    costs: Sequence[float],
    kind: str,
    unit: str,
    progress: Progress,
    goal: Goal,
) -> dict[str, list[Candidate]]:
    """Policies of every method on `answers`, by method; finer where `goal` is just met."""
    curves: dict[str, list[Candidate]] = {}
    shapes = SHAPES if kind == "cascade" else (CHAIN,)
    steps = len(shapes) * len(PENALTIES) + len(METHODS) - 1
    with progress.track("choose a policy", steps) as task:
        for shape in shapes:
            name = LEARNED if shape == CHAIN else f"{LEARNED} {TREE}"

            def make(penalties: Sequence[float], shape: str = shape) -> list[Candidate]:
                return learned_curve(
                    answers, costs, kind=kind, shape=shape, unit=unit, penalties=penalties,
                    watch=task.advance,
                )  # fmt: skip

            curve = refined(make, goal)
            if shape == CHAIN:
                curve = densified(curve, answers, costs, unit, kind)
            curves[name] = curve
        for method in METHODS[1:]:
            curves[method] = threshold_curve(answers, costs, method, unit, kind=kind)
            task.advance(note=method)
    return curves


def calibration_data(
    parent: str, data: str, seed: int, trust: tuple[str, ...], progress: Progress
) -> tuple[Dataset, list[str]]:
    """(data set, doubts): its validation images are those that `parent` was not trained on.

    They are drawn with the seed that `parent` was trained with, where it tells.
    """
    doubts: list[str] = []
    drawn, told = validation_seed(parent, data, seed)
    if not told:
        doubts.append(
            f"{parent} does not say that it was trained on {data}: calibration images may be among "
            "those that it has seen, and gates may trust it too much"
        )
    dataset = load_dataset(data, seed=drawn, progress=progress)
    if dataset.task != "classification":
        raise UserError(f"policies are for classifiers; {data} is for {dataset.task}")
    return dataset, doubts
