"""The benchmark of one bundle, from runner to record, here and on the host (Python 3.6)."""

import time
from collections import namedtuple

from edgesynth_rt import host
from edgesynth_rt.exits import doubt_of, exits_of
from edgesynth_rt.measure import measure
from edgesynth_rt.powered import measure_powered
from edgesynth_rt.record import measured
from edgesynth_rt.samples import golden_batches
from edgesynth_rt.statistics import PERCENTILES
from edgesynth_rt.validity import doubts, refuse_throttled

Timing = namedtuple("Timing", "warm_up_ms duration_s iterations seed percentiles")
"""trtexec's --warmUp, --duration, --iterations and --percentile; seed: of the order of turns."""

Setting = namedtuple("Setting", "device software")
"""The machine before the run: `host.device_facts()`, and the versions of what took part."""


def setting(runner, versions):
    """The `Setting` of a run; versions: of the backend, beside those of the machine."""
    software = dict(host.software_facts(), **versions)
    software.setdefault(runner.name, runner.version)
    return Setting(host.device_facts(), software)


def measure_one(runner, bundle, batch, timing, power, device, watch=lambda share: None):
    """Measure one bundle alone, with its energy; returns a `powered.Outcome`.

    runner: a runner of `bundle`, its golden outputs verified; batch: inferences an iteration;
    power: a `powered.PowerPlan`; watch: called with the share done, 0 to 1.
    Raises MeasurementError when the machine was slowed down; see `measure_powered` for the rest.
    """
    call = runner.prepared(golden_batches(bundle, batch))

    def run(duration_s):
        (series,) = measure(
            [call],
            warm_up_ms=timing.warm_up_ms,
            iterations=timing.iterations,
            duration_s=timing.duration_s if duration_s is None else duration_s,
            seed=timing.seed,
            clock=time.monotonic,  # the clock of the power samples
            watch=watch,
        )
        return series

    throttled = host.throttle_count()
    outcome = measure_powered(run, batch, power, device, runner.name == "tensorrt")
    refuse_throttled(throttled, host.throttle_count())
    return outcome


def make_record(bundle, runner, batch, timing, outcome, where, accuracy, command="", run=None):
    """The record of a measured bundle.

    outcome: a `powered.Outcome`; where: a `Setting`; accuracy: for the record; run: a name that all
    records measured in turns share, or None.
    """
    accuracy = dict(accuracy)
    source = "%s, %s split" % (accuracy.get("data"), accuracy.get("split"))
    exits = exits_of(bundle, runner, accuracy.pop("left", None), source)
    record = measured(
        bundle,
        outcome.series,
        batch=batch,
        backend=runner.name,
        device=where.device,
        software=where.software,
        energy=outcome.energy,
        accuracy=accuracy,
        measurement=_measurement(timing, runner, outcome, run),
        validity=_validity(bundle, runner, where.device, outcome, exits),
        percentiles=PERCENTILES + tuple(timing.percentiles),
        command=command,
    )
    return dict(record, exits=exits)


def _measurement(timing, runner, outcome, run):
    """How it was measured."""
    facts = {
        "warm_up_ms": timing.warm_up_ms,
        "duration_s": timing.duration_s,
        "iterations": timing.iterations,
        "threads": runner.threads,
        "seed": timing.seed,
        "inputs": "golden",
        "run": run,
    }
    if runner.precision is not None:
        facts["precision"] = runner.precision
    facts.update(runner.facts)
    facts.update(outcome.conditions)
    return facts


def _validity(bundle, runner, device, outcome, exits):
    found = doubts(device, outcome.series.latency_ms)
    operators = [operator["type"] for operator in bundle.manifest["operators"]]
    if operators and runner.name == "onnxruntime":
        found.append(
            "custom operators (%s) ran by their functions in standard operators: this says nothing "
            "of the plugins' speed" % ", ".join(operators)
        )
    if doubt_of(exits) is not None:
        found.append(doubt_of(exits))
    if len(bundle.stages) > 1 and bundle.policy is None:
        found.append("all %d stages ran for every input: no early exit" % len(bundle.stages))
    if outcome.energy.get("replayed"):
        found.append("the power is that of a replayed log: the energy is of no machine")
    return found
