"""A load measured together with its energy, clocks held, throttling watched (Python 3.6)."""

import time
from collections import namedtuple
from contextlib import ExitStack

import numpy as np

from edgesynth_rt import throttle
from edgesynth_rt.clock_lock import lock_clocks
from edgesynth_rt.clocks import limits, locked_gpu_mhz, read_clocks
from edgesynth_rt.energy import SETTLE_S, energy_per_inference, idle_power, steady_window
from edgesynth_rt.errors import MeasurementError, MissingError, UserError
from edgesynth_rt.host import HOST
from edgesynth_rt.rails import TITLES, recognise
from edgesynth_rt.sampler import source_sampler, tegrastats_sampler
from edgesynth_rt.tegrastats_reader import readings
from edgesynth_rt.until_ci import measure_until_ci

SOURCES = ("auto", "tegrastats", "ina3221", "nvml", "rapl", "none")
IDLE_S = 10.0
"""Of a source that was asked for by name; twenty readings of a TX2's monitor take 9 s."""
_FIRST_READING_S = 5.0  # the first line of tegrastats does not count, the second takes its time

PowerPlan = namedtuple("PowerPlan", "source idle_s until_ci lock_clocks")
"""source: one of SOURCES; idle_s: how long to measure idle power first, None for IDLE_S with a
named source and nothing with "auto"; until_ci: share such as 0.02, or None; lock_clocks: whether
jetson_clocks holds the clocks meanwhile."""

Outcome = namedtuple("Outcome", "series energy conditions trace")
"""series: a `measure.Series`; energy: for a record; conditions: the clocks, for a record's
`measurement`; trace: the `PowerTrace`, or None."""


def measure_powered(run, batch, plan, device, on_gpu, root="/"):
    """Run a load and measure its time and energy; returns an `Outcome`.

    run: a function that runs the load about as many seconds as it is told, or as long as it wants
    to for None, and returns a `measure.Series` measured with `time.monotonic`; batch: inferences an
    iteration; device: `host.device_facts()`; on_gpu: whether the load runs on the GPU.

    "auto" takes what the machine has, and where that gives no energy the record says why. A source
    that is asked for by name has to give one: MissingError where it is not there or unreadable,
    MeasurementError where there are too few readings. MeasurementError also when the board was
    slowed down by heat or current.
    """
    on_board = device["module"] != HOST
    with ExitStack() as stack:
        locked = stack.enter_context(lock_clocks(root=root)) if plan.lock_clocks else None
        sampler, absent = _start(stack, plan, on_board, on_gpu, root)
        before = throttle.snapshot(root)
        begin_s = time.monotonic()
        if sampler is None:
            series, energy, trace = run(None), {"not_measured": absent}, None
        else:
            series, energy, trace = _with_energy(run, batch, sampler, plan, device, root)
        after = throttle.snapshot(root)
        clocks = read_clocks(root)
    if on_board:
        load = [(begin_s, time.monotonic())]
        watched = trace.watched_in(load) if trace is not None else None
        held_mhz = locked_gpu_mhz(clocks) if locked else None
        throttle.refuse(throttle.reasons(before, after, watched, held_mhz))
    if not on_board and trace is not None and trace.source == "tegrastats":
        # there is no such program for this machine, so this one replays another's log
        energy["replayed"] = True
    energy = {name: _plain(value) for name, value in energy.items()}
    conditions = {"clocks_locked": bool(locked and locked["locked"]), "limits": limits(clocks)}
    return Outcome(series, energy, conditions, trace)


def _start(stack, plan, on_board, on_gpu, root):
    """(started sampler, None), or (None, why there is none)."""
    if plan.until_ci is not None and plan.source == "none":
        raise UserError("--until-ci needs a power source; leave out --power none")
    if plan.source == "none":
        return None, "switched off with --power none"
    try:
        return stack.enter_context(open_sampler(plan.source, on_board, on_gpu, root)), None
    except MissingError as error:
        if plan.source != "auto" or plan.until_ci is not None:
            raise
        return None, str(error)


def open_sampler(source, on_board, on_gpu, root="/"):
    """A `Sampler` that is not started yet; see `measure_powered` for "auto"."""
    watch = throttle.files_to_watch(root) if on_board else {}
    if source == "tegrastats":
        return tegrastats_sampler(readings)
    if source != "auto":
        return source_sampler(source, root, watch=watch)
    candidates = ("ina3221",) if on_board else ("nvml",) if on_gpu else ("rapl",)
    return source_sampler("auto", root, watch=watch, candidates=candidates)


def _with_energy(run, batch, sampler, plan, device, root):
    """(series, energy, trace) of a load beside a running sampler."""
    wanted = plan.source != "auto" or plan.until_ci is not None
    idle_s = (IDLE_S if plan.source != "auto" else 0.0) if plan.idle_s is None else plan.idle_s
    idle_begin_s = time.monotonic()
    time.sleep(idle_s)
    idle_end_s = time.monotonic()
    sampler.wait_past(idle_end_s)
    series = None
    try:
        rails = _rails(sampler, device)
        idle = None
        if idle_s:
            state = _state(device, root)
            idle = idle_power(sampler.trace(), rails, idle_begin_s, idle_end_s, state)
        if plan.until_ci is not None:
            state = _state(device, root)
            return _until_ci(run, batch, sampler, rails, plan.until_ci, idle, state)
        series = run(None)
        window = steady_window(series.begin_s, series.ends_s(), batch)
        sampler.wait_past(window.end_s)
        trace = sampler.trace()
        energy = energy_per_inference(trace, rails, [window], idle, _state(device, root))
        return series, energy, trace
    except MeasurementError as error:
        if wanted:
            raise
        trace = sampler.trace()
        series = run(None) if series is None else series
        return series, {"not_measured": str(error)}, trace


def _until_ci(run, batch, sampler, rails, target, idle, state):
    """As `_with_energy`, as long as the interval needs."""
    stretches = []

    def load(duration_s):
        # the sensor needs its time to settle in every stretch, also in a short last one
        series = run(max(duration_s, SETTLE_S) + SETTLE_S)
        stretches.append(series)
        return steady_window(series.begin_s, series.ends_s(), batch)

    energy, _ = measure_until_ci(load, sampler, rails, target, idle, state)
    for later in stretches[1:]:
        stretches[0].extend(later)
    return stretches[0], energy, sampler.trace()


def _rails(sampler, device):
    """The rails of the board's power, as soon as a reading names them."""
    until_s = time.monotonic() + _FIRST_READING_S
    trace = sampler.trace()
    while not trace.rails and trace.failure is None and time.monotonic() < until_s:
        time.sleep(0.05)
        trace = sampler.trace()
    return total_rails(trace, device)


def total_rails(trace, device):
    """The rails whose sum is the board's power, by the source or the module's own rule."""
    if trace.total is not None:
        return trace.total
    module = device["module"] if device["module"] in TITLES else None
    found = recognise(trace.rails, module)
    if found.rule is None:
        raise MeasurementError("energy is not measured: %s" % found.reason)
    return found.rule.total


def _plain(value):
    """Numbers of numpy as Python's own, which every JSON writer takes."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _state(device, root):
    """What has to be equal for idle and load to be comparable."""
    return {"power_mode": device["power_mode"], "clocks": limits(read_clocks(root))}
