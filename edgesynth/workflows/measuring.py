"""Measuring bundles on this machine: what `bench` and `compare` share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesynth.core.dataset import BoxedSplit, Dataset, GradedSplit, boxed, graded, labelled
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Task
from edgesynth.core.provenance import command_line
from edgesynth.workflows.backends import EnginePlan, Runner, open_runners
from edgesynth_rt import host
from edgesynth_rt.benchmark import Timing, make_record, measure_one, setting
from edgesynth_rt.bundle import Bundle, open_bundle
from edgesynth_rt.clock_lock import lock_clocks
from edgesynth_rt.evaluate import evaluate
from edgesynth_rt.evaluate_boxes import evaluate_boxes
from edgesynth_rt.measure import Series, measure
from edgesynth_rt.power_trace import PowerTrace
from edgesynth_rt.powered import Outcome, PowerPlan
from edgesynth_rt.samples import golden_batches
from edgesynth_rt.statistics import MIN_SAMPLES
from edgesynth_rt.tensorrt_backend import fixed_batch
from edgesynth_rt.validity import refuse_throttled
from edgesynth_rt.verify import verify_golden


@dataclass(frozen=True)
class MeasuringPlan:
    """How to measure; names and defaults are trtexec's where it has them."""

    warm_up_ms: float = 200.0
    duration_s: float = 3.0
    """Seconds for each bundle, at least."""
    iterations: int = 10
    """For each bundle, at least."""
    threads: int = 1
    """For one inference; 0 is every core. One thread disturbs the least and is the default."""
    batch: int | None = None
    """For bundles with a dynamic batch, which run at 1 otherwise."""
    percentiles: tuple[float, ...] = ()
    """Besides 90, 95 and 99."""
    seed: int = 0
    """Of the order in which several bundles take turns."""
    backend: str = "auto"
    engine: EnginePlan = field(default_factory=EnginePlan)
    """Of the backend "tensorrt"."""
    power: str = "auto"
    idle_s: float | None = None
    """Idle power is measured this long before; None is 10 s for a named source, else none."""
    until_ci: float | None = None
    """Run until the energy's 95 % interval is within this share of it, such as 0.02."""
    lock_clocks: bool = False
    data: str | None = None

    @property
    def timing(self) -> Timing:
        """What the runtime's measuring loop wants to know."""
        return Timing(
            self.warm_up_ms, self.duration_s, self.iterations, self.seed, self.percentiles
        )


@dataclass(frozen=True)
class Measured:
    """One bundle's record, and the latencies and the power that it was made from."""

    record: dict[str, Any]
    series: Series
    trace: PowerTrace | None


def measure_bundles(
    paths: Sequence[Path], plan: MeasuringPlan, *, distinct: bool = False, progress: Progress
) -> list[Measured]:
    """Verify and measure bundles on this machine, several of them in turns within one run.

    Golden outputs are checked before any time is taken. Nothing is written. `distinct`: refuse
    bundles that share a name, because their records would overwrite each other.

    Raises MissingError when backend or power source are not there, UserError for a bad bundle,
    CheckError when golden outputs differ, MeasurementError when the processor throttled.
    """
    dataset = _dataset(plan, progress)
    with ExitStack() as stack:
        bundles = [stack.enter_context(open_bundle(path)) for path in paths]
        if distinct:
            _check_names(bundles)
        runners, versions = open_runners(
            bundles, plan.backend, threads=plan.threads, batch=plan.batch, engine=plan.engine,
            say=progress.say,
        )  # fmt: skip
        batches = [fixed_batch(bundle, plan.batch) for bundle in bundles]
        for runner, bundle in zip(runners, bundles, strict=True):
            verify_golden(runner, bundle)
        where = setting(runners[0], versions)
        accuracies = [  # before the timing, so that data that do not fit are refused at once
            _accuracy(runner, bundle, dataset, progress)
            for runner, bundle in zip(runners, bundles, strict=True)
        ]
        outcomes = _time(bundles, runners, batches, plan, where.device, progress)
        run = uuid.uuid4().hex if len(bundles) > 1 else None
        return [
            Measured(
                make_record(bundle, runner, batch, plan.timing, outcome, where, accuracy,
                            command_line(), run),
                outcome.series,
                outcome.trace,
            )
            for bundle, runner, batch, outcome, accuracy in zip(
                bundles, runners, batches, outcomes, accuracies, strict=True
            )
        ]  # fmt: skip


def _check_names(bundles: Sequence[Bundle]) -> None:
    names = [bundle.name for bundle in bundles]
    for bundle in bundles:
        if names.count(bundle.name) > 1:
            raise UserError(
                f'two bundles are called "{bundle.name}", so their records would overwrite each '
                "other; export one of them under another name"
            )


def _dataset(plan: MeasuringPlan, progress: Progress) -> Dataset | None:
    if plan.data is None:
        return None
    from edgesynth.data.source import load_dataset

    return load_dataset(plan.data, seed=0, progress=progress)


def _time(
    bundles: Sequence[Bundle],
    runners: Sequence[Runner],
    batches: Sequence[int],
    plan: MeasuringPlan,
    device: dict[str, Any],
    progress: Progress,
) -> list[Outcome]:
    """Time and energy of every bundle."""
    with progress.track("measure " + ", ".join(bundle.name for bundle in bundles), 100) as task:
        watch = _percents(task)
        if len(bundles) > 1:
            return _in_turns(bundles, runners, batches, plan, watch)
        power = PowerPlan(plan.power, plan.idle_s, plan.until_ci, plan.lock_clocks)
        one = measure_one(runners[0], bundles[0], batches[0], plan.timing, power, device, watch)
        return [one]


def _in_turns(
    bundles: Sequence[Bundle],
    runners: Sequence[Runner],
    batches: Sequence[int],
    plan: MeasuringPlan,
    watch: Callable[[float], None],
) -> list[Outcome]:
    """Several bundles, with enough iterations for an interval.

    Turns take milliseconds, and no sensor tells whose they were.
    """
    if plan.power not in ("auto", "none") or plan.until_ci is not None:
        raise UserError(
            f"power {plan.power} cannot be told apart between bundles that take turns; measure "
            "them one by one, or with --power none"
        )
    calls = [
        runner.prepared(golden_batches(bundle, batch))
        for runner, bundle, batch in zip(runners, bundles, batches, strict=True)
    ]
    throttled = host.throttle_count()
    with lock_clocks() if plan.lock_clocks else nullcontext() as locked:
        series: list[Series] = measure(
            calls,
            warm_up_ms=plan.warm_up_ms,
            iterations=max(plan.iterations, MIN_SAMPLES),
            duration_s=plan.duration_s,
            seed=plan.seed,
            watch=watch,
        )
    refuse_throttled(throttled, host.throttle_count())
    energy = {"not_measured": "bundles that take turns share the power; bench them one by one"}
    conditions = {"clocks_locked": bool(locked and locked["locked"])}
    return [Outcome(times, energy, conditions, None) for times in series]


def _percents(task: Task) -> Callable[[float], None]:
    """Turn shares of the whole into steps of a bar of 100."""
    done = 0

    def watch(share: float) -> None:
        nonlocal done
        percent = min(int(100 * share), 100)  # a run until the interval is narrow begins anew
        if percent > done:
            task.advance(percent - done)
            done = percent

    return watch


def _accuracy(
    runner: Runner, bundle: Bundle, dataset: Dataset | None, progress: Progress
) -> dict[str, Any]:
    """Accuracy on the test split, or why it was not measured."""
    if dataset is None:
        return {"not_measured": "no --data was given"}
    with progress.track(f"accuracy of {bundle.name}", len(dataset.test)) as task:
        if dataset.task == "detection":
            found = _detections(runner, bundle, boxed(dataset.test), task)
        else:
            test = labelled(dataset.test)
            found = evaluate(runner, bundle, test.images, test.labels, task.advance)
    return {**found, "data": dataset.name, "split": "test"}


def _detections(runner: Runner, bundle: Bundle, test: BoxedSplit, task: Task) -> dict[str, Any]:
    kitti = graded(test)
    found: dict[str, Any] = evaluate_boxes(
        runner,
        bundle,
        test.images,
        lambda indices: [(o.corners, o.classes, o.ignored) for o in test.boxes(indices)],
        len(test),
        task.advance,
        None if kitti is None else partial(_difficulties, kitti),
    )
    return found


def _difficulties(split: GradedSplit, indices: npt.NDArray[np.int64]) -> Iterable[Any]:
    return zip(split.levels(indices), split.vertical_scales(indices), strict=True)
