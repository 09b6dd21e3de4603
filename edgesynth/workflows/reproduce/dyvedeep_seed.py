"""One network of one seed of `reproduce dyvedeep`: trained, tuned in every way, counted, timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import MissingError, UserError
from edgesynth.core.progress import Progress
from edgesynth.core.requirement import parse_requirements
from edgesynth.dynamic.effort.knobs import FOR_TIME_ALONE, KNOBS, Knobs
from edgesynth.dynamic.effort.layers import EffortNetwork, with_knobs
from edgesynth.dynamic.effort.settings import settings_of
from edgesynth.dynamic.effort.trials import OPERATIONS, TIME, answers, try_settings
from edgesynth.dynamic.effort.tuner import Judged, Tuned, judge, set_knobs, tune
from edgesynth.hardware.counting import count
from edgesynth.networks import edgenet
from edgesynth.networks.network import Network
from edgesynth.operators.effort_spec import EXACT
from edgesynth.synthesis.environment import parse_environment
from edgesynth.synthesis.evolution import EvolutionPlan
from edgesynth.synthesis.genome import Genome
from edgesynth.workflows.adapt.calibration import calibration_data
from edgesynth.workflows.adapt.effort_clock import clock_effort
from edgesynth.workflows.adapt.effort_figures import images_of, side_by_side
from edgesynth.workflows.evolve import evolve
from edgesynth.workflows.reproduce.dyvedeep_recipe import EffortRecipe
from edgesynth.workflows.train import train

ALL, FOR_TIME, ZEROS = "all knobs", "all knobs, for time", "zero skipping"
COMPRESSED = "compressed"
METHODS: Mapping[str, tuple[tuple[str, ...], str]] = {
    **{name: ((name,), OPERATIONS) for name in KNOBS if name not in FOR_TIME_ALONE},
    ALL: (KNOBS, OPERATIONS),
    FOR_TIME: (KNOBS, TIME),
}
"""The knobs that may be set, and what they are to save."""
CLOCKED = (ALL, FOR_TIME)
_EXACT_IMAGES = 64


class EffortRow(msgspec.Struct, frozen=True, kw_only=True):
    """One network with some knobs on test images."""

    seed: int
    subject: str
    method: str
    """A knob alone, `ALL`, `FOR_TIME`, or `ZEROS` without any knob."""
    macs: int
    """Of the whole network, dense."""
    accuracy: dict[str, float]
    """Before and after."""
    lost_points: float
    operations: dict[str, float]
    """See `effort_figures`."""
    layers: dict[str, dict[str, float]]
    knobs: dict[str, Any]
    """As `adapt` writes them."""
    calibration_lost_points: float = 0.0
    exact: dict[str, float] | None = None
    """Exact saturation on every layer that takes it: images, how many keep their class, and the
    share of the operations that is left."""
    clock: dict[str, Any] | None = None
    """See `effort_clock`."""
    not_clocked: str = ""
    doubts: list[str] = []


@dataclass(frozen=True)
class Job:
    """One network of one seed."""

    seed: int
    subject: str
    """A network of the recipe, or `COMPRESSED`."""

    @property
    def place(self) -> str:
        """Its folder in that of the results."""
        readable = "".join(c if c.isalnum() or c in ".-=" else "-" for c in self.subject)
        return f"s{self.seed}/{readable.strip('-')}"


def run_job(
    folder: Path, job: Job, data: str, recipe: EffortRecipe, progress: Progress
) -> list[EffortRow]:
    """All rows of one network; what `folder` holds of it is not trained again."""
    place = _network(folder, job, data, recipe, progress)
    network = edgenet.load(place)
    dataset, doubts = calibration_data(str(place), data, job.seed, (), progress)
    effort = with_knobs(edgenet.load(place).module)
    test, labels = images_of(dataset.test, len(dataset.test), network)
    progress.say(f"seed {job.seed} {job.subject}: all test images without knobs")
    before = judge(effort, test, labels)
    shared: dict[str, Any] = {
        "seed": job.seed,
        "subject": job.subject,
        "macs": count(network.module, network.description.input_shape).macs,
        "doubts": doubts,
    }
    rows = [
        EffortRow(
            **shared, method=ZEROS, **_figures(before, before), knobs={},
            exact=_exact(effort, before, test[:_EXACT_IMAGES]),
        )
    ]  # fmt: skip
    tunings = _tunings(effort, dataset, network, recipe, progress)
    for method, tuned in tunings.items():
        set_knobs(effort, tuned.knobs)
        progress.say(f"seed {job.seed} {job.subject}: all test images, {method}")
        after = judge(effort, test, labels) if tuned.knobs else before
        row = EffortRow(
            **shared,
            method=method,
            **_figures(before, after),
            knobs=settings_of(effort),
            calibration_lost_points=100 * (tuned.before.accuracy - tuned.after.accuracy),
        )
        if method in CLOCKED:
            row = msgspec.structs.replace(row, **_clocked(effort, network, test, recipe))
        rows.append(row)
    return rows


def _figures(before: Judged, after: Judged) -> dict[str, Any]:
    found = side_by_side(before, after)
    return {key: found[key] for key in ("accuracy", "lost_points", "operations", "layers")}


def _tunings(
    effort: EffortNetwork,
    dataset: Dataset,
    network: Network,
    recipe: EffortRecipe,
    progress: Progress,
) -> dict[str, Tuned]:
    number = min(recipe.images, len(dataset.validation))
    inputs, labels = images_of(dataset.validation, number, network)
    trials = try_settings(effort, inputs[: recipe.trial_images], progress)
    before = judge(effort, inputs, labels)
    return {
        method: tune(
            effort,
            inputs,
            labels,
            max_loss=recipe.max_loss / 100,
            objective=objective,
            only=only,
            trials=trials,
            before=before,
            progress=progress,
        )
        for method, (only, objective) in METHODS.items()
    }


def _exact(effort: EffortNetwork, before: Judged, inputs: Any) -> dict[str, float] | None:
    """Check D2 on this network: exact saturation changes no class."""
    able = {
        name: module
        for name, module in effort.modules.items()
        if module.layer.rectified and module.layer.positive and module.layer.channels > 1
    }
    if not able:
        return None
    off = answers(effort, inputs)
    for module in able.values():
        module.set(Knobs(EXACT, max(1, module.layer.channels // 8)))
    try:
        exact = answers(effort, inputs)
        counted = judge(effort, inputs, before.right[: len(inputs)].astype("int64"))
    finally:
        for module in able.values():
            module.set(Knobs())
    tallies = [counted.tallies[name] for name in able]
    return {
        "images": float(len(inputs)),
        "same_class": float((exact.argmax(1) == off.argmax(1)).sum()),
        "of_operations": sum(t.operations for t in tallies) / sum(t.dense for t in tallies),
    }


def _clocked(
    effort: EffortNetwork, network: Network, test: Any, recipe: EffortRecipe
) -> dict[str, Any]:
    try:
        return {"clock": clock_effort(effort, network.module, test[: recipe.clocked])}
    except MissingError as error:
        return {"not_clocked": str(error)}


def _network(folder: Path, job: Job, data: str, recipe: EffortRecipe, progress: Progress) -> Path:
    """The trained network of a job, made if it is not there yet."""
    if job.subject != COMPRESSED:
        return _trained(folder, job.seed, job.subject, data, recipe, progress)
    given = Path(recipe.compressed)
    if (given / "best.edgenet").is_dir():
        return given / "best.edgenet"
    if (given / "network.json").is_file():
        return given
    place = folder / job.place / "evolution"
    if not (place / "best.edgenet").is_dir():
        ancestor = _trained(folder, job.seed, recipe.compressed, data, recipe, progress)
        plan = EvolutionPlan(
            generations=recipe.generations,
            genome=Genome(parse_environment(recipe.environment), encoding="cluster"),
            epochs=recipe.epochs,
            requirements=parse_requirements(("accuracy_loss<=2",)),
            distill=0.5,
            threads=recipe.threads,
            seed=job.seed,
        )
        training = recipe.offspring_plan(recipe.epochs)
        evolve(str(ancestor), data, place, plan=plan, training=training, resume=True,
               progress=progress)  # fmt: skip
    return place / "best.edgenet"


def _trained(
    folder: Path, seed: int, spec: str, data: str, recipe: EffortRecipe, progress: Progress
) -> Path:
    if spec.endswith(".edgenet"):
        if not (Path(spec) / "network.json").is_file():
            raise UserError(f"there is no {spec}")
        return Path(spec)
    place = folder / Job(seed, spec).place / "ancestor.edgenet"
    if not place.exists():
        plan = recipe.ancestor_plan()
        train(spec, data, place, plan=plan, seed=seed, resume=True, progress=progress)
    return place
