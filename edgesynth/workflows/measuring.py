"""Measuring bundles on this machine: what `bench` and `compare` share."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import MissingError, UserError
from edgesynth.core.progress import Progress
from edgesynth.core.provenance import command_line
from edgesynth_rt import host
from edgesynth_rt.bundle import Bundle, open_bundle
from edgesynth_rt.evaluate import evaluate
from edgesynth_rt.measure import Series, measure
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.record import measured
from edgesynth_rt.samples import golden_batches
from edgesynth_rt.statistics import MIN_SAMPLES, PERCENTILES
from edgesynth_rt.validity import doubts, refuse_throttled
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
    power: str = "auto"
    data: str | None = None


@dataclass(frozen=True)
class Measured:
    """One bundle's record, and the latencies that it was made from."""

    record: dict[str, Any]
    series: Series


def measure_bundles(
    paths: Sequence[Path], plan: MeasuringPlan, *, distinct: bool = False, progress: Progress
) -> list[Measured]:
    """Verify and measure bundles on this machine, several of them in turns within one run.

    Golden outputs are checked before any time is taken. Nothing is written. `distinct`: refuse
    bundles that share a name, because their records would overwrite each other.

    Raises MissingError when backend or power source are not there, UserError for a bad bundle,
    CheckError when golden outputs differ, MeasurementError when the processor throttled.
    """
    _check_backend(plan.backend)
    energy = _energy(plan.power)
    dataset = _dataset(plan, progress)
    with ExitStack() as stack:
        bundles = [stack.enter_context(open_bundle(path)) for path in paths]
        if distinct:
            _check_names(bundles)
        shared = len(bundles) > 1
        runners = [OnnxRuntimeRunner(bundle, plan.threads, shared) for bundle in bundles]
        batches = [_batch(bundle, plan.batch) for bundle in bundles]
        for runner, bundle in zip(runners, bundles, strict=True):
            verify_golden(runner, bundle)
        device = host.device_facts()
        accuracies = [  # before the timing, so that data that do not fit are refused at once
            _accuracy(runner, bundle, dataset, progress)
            for runner, bundle in zip(runners, bundles, strict=True)
        ]
        series = _time(bundles, runners, batches, plan, progress)
        run = uuid.uuid4().hex if shared else None
        found = []
        for bundle, runner, batch, times, accuracy in zip(
            bundles, runners, batches, series, accuracies, strict=True
        ):
            record = measured(
                bundle,
                times,
                batch=batch,
                backend=runner.name,
                device=device,
                software={**host.software_facts(), runner.name: runner.version},
                energy=energy,
                accuracy=accuracy,
                measurement=_measurement(plan, runner, run),
                validity=doubts(device, times.latency_ms),
                percentiles=PERCENTILES + plan.percentiles,
                command=command_line(),
            )
            found.append(Measured(record, times))
        return found


def _check_backend(backend: str) -> None:
    if backend == "tensorrt":
        raise MissingError(
            "the TensorRT backend is not in this version: engines are built and timed on the "
            "board itself; use --backend onnxruntime here, or trtexec on the board"
        )


def _check_names(bundles: Sequence[Bundle]) -> None:
    names = [bundle.name for bundle in bundles]
    for bundle in bundles:
        if names.count(bundle.name) > 1:
            raise UserError(
                f'two bundles are called "{bundle.name}", so their records would overwrite each '
                "other; export one of them under another name"
            )


def _energy(power: str) -> dict[str, Any]:
    """Why there is no energy; asking for a named source that is not there is an error."""
    if power == "none":
        return {"not_measured": "switched off with --power none"}
    if power == "auto":
        return {"not_measured": "this version reads no power source on this machine"}
    raise MissingError(
        f"power source {power} is not in this version; use --power none, and on a board log "
        "tegrastats beside the run"
    )


def _dataset(plan: MeasuringPlan, progress: Progress) -> Dataset | None:
    if plan.data is None:
        return None
    from edgesynth.data.source import load_dataset

    return load_dataset(plan.data, seed=0, progress=progress)


def _batch(bundle: Bundle, wanted: int | None) -> int:
    fixed: int | None = bundle.single_stage.batch
    if fixed is None:
        return wanted or 1
    if wanted not in (None, fixed):
        raise UserError(
            f"bundle {bundle.path} has a fixed batch of {fixed}, not {wanted}; "
            "leave --batch out, or export it with --batch dynamic"
        )
    return fixed


def _time(
    bundles: Sequence[Bundle],
    runners: Sequence[OnnxRuntimeRunner],
    batches: Sequence[int],
    plan: MeasuringPlan,
    progress: Progress,
) -> list[Series]:
    """The series of every bundle; with several, enough iterations for an interval."""
    calls = [
        runner.prepared(golden_batches(bundle, batch))
        for runner, bundle, batch in zip(runners, bundles, batches, strict=True)
    ]
    throttled = host.throttle_count()
    with progress.track("measure " + ", ".join(bundle.name for bundle in bundles), 100) as task:
        done = 0

        def watch(share: float) -> None:
            nonlocal done
            percent = int(100 * share)
            if percent > done:
                task.advance(percent - done)
                done = percent

        series: list[Series] = measure(
            calls,
            warm_up_ms=plan.warm_up_ms,
            iterations=max(plan.iterations, MIN_SAMPLES if len(calls) > 1 else 1),
            duration_s=plan.duration_s,
            seed=plan.seed,
            watch=watch,
        )
    refuse_throttled(throttled, host.throttle_count())
    return series


def _accuracy(
    runner: OnnxRuntimeRunner, bundle: Bundle, dataset: Dataset | None, progress: Progress
) -> dict[str, Any]:
    """Accuracy on the test split, or why it was not measured."""
    if dataset is None:
        return {"not_measured": "no --data was given"}
    test = dataset.test
    with progress.track(f"accuracy of {bundle.name}", len(test)) as task:
        found = evaluate(runner, bundle, test.images, test.labels, task.advance)
    return {**found, "data": dataset.name, "split": "test"}


def _measurement(plan: MeasuringPlan, runner: OnnxRuntimeRunner, run: str | None) -> dict[str, Any]:
    """How it was measured; `run` is shared by all records that were measured in turns."""
    return {
        "warm_up_ms": plan.warm_up_ms,
        "duration_s": plan.duration_s,
        "iterations": plan.iterations,
        "threads": runner.threads,
        "seed": plan.seed,
        "inputs": "golden",
        "run": run,
    }
