"""Energy per inference from a power trace and the times of the inferences (Python 3.6, numpy).

The energy of a window is integrated between its two ends and divided by the inferences that were
done in it. Gross is all that the rails gave, which is what a battery pays; net is gross without
what the board draws when it idles in the same power mode at the same clocks. A window with too few
independent readings, or with holes, is refused.
"""

import math
from collections import namedtuple

import numpy as np

from edgesynth_rt import bootstrap
from edgesynth_rt.errors import MeasurementError
from edgesynth_rt.integrate import covered_s, energy_mj, independent, shares_s

MIN_SAMPLES = 20
MIN_COVERAGE = 0.95
SETTLE_S = 0.5
"""A monitor's reading lags the load by up to its averaging time (430 ms on a TX2)."""
_LONGEST_GAP = 3  # periods; a longer pause between two readings is a hole

Window = namedtuple("Window", "start_s end_s inferences")
"""A stretch of the monotonic clock with only the load in it, and the inferences done in it."""

Power = namedtuple("Power", "mean_mw half_width_mw quantisation_mw samples readings coverage")
"""Mean power of one or more windows: `samples` independent values out of `readings`."""

Idle = namedtuple("Idle", "power state")
"""Power while nothing runs, and the state of mode and clocks that it was measured in."""


def steady_window(start_s, ends_s, batch=1, settle_s=SETTLE_S):
    """The part of a loop that the sensor has caught up with, cut at ends of iterations.

    start_s: when the loop began; ends_s: when each iteration ended, ascending; batch: inferences
    of an iteration. Raises MeasurementError when the loop is over before `settle_s` has passed.
    """
    ends_s = np.asarray(ends_s, dtype=np.float64)
    first = int(np.searchsorted(ends_s, start_s + settle_s))
    if first >= len(ends_s) - 1:
        raise MeasurementError(
            "%d iterations in %.2f s are too few to measure energy after the first %.1f s; "
            "measure longer (--duration)"
            % (len(ends_s), ends_s[-1] - start_s if len(ends_s) else 0.0, settle_s)
        )
    return Window(float(ends_s[first]), float(ends_s[-1]), (len(ends_s) - 1 - first) * batch)


def mean_power(trace, rails, windows, seed=0):
    """The mean power of `rails` together over `windows`, as a `Power`.

    trace: a `PowerTrace`; rails: names whose sum is wanted (one rail of many boards, the module's
    own rule of others); windows: `Window`s, or (start_s, end_s) pairs.
    Raises MeasurementError with the counts when fewer than 20 independent readings lie inside, or
    readings cover less than 95 % of the time; UserError for an unknown rail.
    """
    stamps_s, power_mw, readings = trace.sum(rails)
    spans = [(float(window[0]), float(window[1])) for window in windows]
    duration_s = float(sum(end - start for start, end in spans))
    if duration_s <= 0:
        raise MeasurementError("the window of the energy is empty; measure longer (--duration)")
    inside = np.zeros(len(stamps_s), dtype=bool)
    covered = 0.0
    for start_s, end_s in spans:
        inside |= (stamps_s >= start_s) & (stamps_s <= end_s)
        covered += covered_s(stamps_s, start_s, end_s, _LONGEST_GAP * trace.period_s)
    conversions = independent(stamps_s, readings, trace.refresh_s)
    samples = len(np.unique(conversions[inside]))
    coverage = min(covered / duration_s, 1.0)
    if samples < MIN_SAMPLES or coverage < MIN_COVERAGE:
        raise MeasurementError(_refusal(trace, samples, inside, coverage, duration_s))
    shares = sum(shares_s(stamps_s, start, end, trace.interval_means) for start, end in spans)
    total_mj = sum(_energy_mj(trace, stamps_s, power_mw, start, end) for start, end in spans)
    weights = np.bincount(conversions, shares)
    sums = np.bincount(conversions, shares * power_mw)
    used = weights > 0
    half_width_mw = bootstrap.half_width_95(sums[used] / weights[used], weights[used], seed)
    return Power(
        float(total_mj) / duration_s,
        half_width_mw,
        _quantisation_mw(trace, rails, readings[inside], samples),
        samples,
        int(inside.sum()),
        coverage,
    )


def idle_power(trace, rails, start_s, end_s, state=None, seed=0):
    """What the rails draw from `start_s` to `end_s`, while nothing runs, as an `Idle`.

    state: whatever describes power mode and clocks, comparable with ==. Raises as `mean_power`.
    """
    return Idle(mean_power(trace, rails, [(start_s, end_s)], seed), state)


def energy_per_inference(trace, rails, windows, idle=None, state=None, seed=0):
    """The record's `energy`: mJ per inference with its uncertainty, everything else beside it.

    trace, rails: see `mean_power`; windows: `Window`s, see `steady_window`; idle: an `Idle` or
    None; state: mode and clocks while the load ran. ci95 is the 95 % interval of gross_mj: how far
    another run of this length could differ, not what the sensor itself may be wrong by.
    Raises MeasurementError as `mean_power`, and when idle was measured in another state.
    """
    rails = (rails,) if isinstance(rails, str) else tuple(rails)
    power = mean_power(trace, rails, windows, seed)
    duration_s = float(sum(window.end_s - window.start_s for window in windows))
    inferences = sum(window.inferences for window in windows)
    if inferences <= 0 or power.mean_mw <= 0:
        raise MeasurementError(
            "%d inferences at a mean of %.0f mW on %s give no energy per inference; "
            "is it the rail that feeds the work?" % (inferences, power.mean_mw, "+".join(rails))
        )
    per_inference_s = duration_s / inferences
    gross_mj = power.mean_mw * per_inference_s
    half_mj = power.half_width_mw * per_inference_s
    result = {
        "source": trace.source,
        "rail": "+".join(rails),
        "gross_mj": gross_mj,
        "ci95": [gross_mj - half_mj, gross_mj + half_mj],
        "inferences_per_joule": 1e3 / gross_mj,
        "mean_w": power.mean_mw / 1e3,
        "samples": power.samples,
        "readings": power.readings,
        "coverage": power.coverage,
        "quantisation_mj": _times(power.quantisation_mw, per_inference_s),
        "window_s": duration_s,
        "inferences": inferences,
    }
    result.update(_net(power, per_inference_s, idle, state))
    return result


def _net(power, per_inference_s, idle, state):
    """What of the result depends on the idle window; every key is there, with or without one."""
    result = {"net_mj": None, "net_ci95": None, "idle_w": None, "idle_samples": None}
    if idle is None:
        result["why_no_net"] = "no idle window was measured"
        return result
    if idle.state != state:
        raise MeasurementError(
            "idle power was measured in another state of mode and clocks (%s) than the load (%s); "
            "measure both with --lock-clocks" % (idle.state, state)
        )
    result.update(idle_w=idle.power.mean_mw / 1e3, idle_samples=idle.power.samples)
    net_mj = (power.mean_mw - idle.power.mean_mw) * per_inference_s
    if net_mj < 0:
        result["why_no_net"] = (
            "the board drew more while idle (%.2f W) than under load (%.2f W)"
            % (
                idle.power.mean_mw / 1e3,
                power.mean_mw / 1e3,
            )
        )
        return result
    half_mj = math.hypot(power.half_width_mw, idle.power.half_width_mw) * per_inference_s
    result.update(net_mj=net_mj, net_ci95=[net_mj - half_mj, net_mj + half_mj])
    return result


def _energy_mj(trace, stamps_s, power_mw, start_s, end_s):
    """Energy of one window; an end without readings counts with the mean power of the rest."""
    first_s, last_s = max(start_s, float(stamps_s[0])), min(end_s, float(stamps_s[-1]))
    if last_s <= first_s:
        raise MeasurementError(
            "source %s has no reading between %.2f and %.2f s" % (trace.source, start_s, end_s)
        )
    energy = energy_mj(stamps_s, power_mw, first_s, last_s, trace.interval_means)
    return energy * (end_s - start_s) / (last_s - first_s)


def _quantisation_mw(trace, rails, readings, samples):
    """Standard error of the mean that the sensor's steps leave, None where a step is not known.

    step / sqrt(12 n) when noise spreads the readings over the steps. A rail that stays on one step
    is rounded the same way each time, and then more readings do not help.
    """
    rails = (rails,) if isinstance(rails, str) else tuple(rails)
    variance = 0.0
    for rail, values in zip(rails, readings.T):
        step = trace.lsb_mw.get(rail) or likely_step_mw(values)
        if step is None:
            return None
        averaged = samples if values.std() >= step / 2 else 1
        variance += step**2 / (12.0 * averaged)
    return math.sqrt(variance)


def likely_step_mw(values):
    """The sensor's step as many readings show it, None when all are equal.

    Different readings lie a step apart or several, and sometimes a little apart, when the voltage
    wobbles: so the lower quartile of their distances. In logs of TX2, Nano and Xavier NX boards it
    gives 38, 33 and 40 mW for steps of 38, 40 and 40 mW.
    """
    distinct = np.unique(values)
    return float(np.percentile(np.diff(distinct), 25)) if len(distinct) > 1 else None


def _refusal(trace, samples, inside, coverage, duration_s):
    message = (
        "energy is not measured: %d independent samples (%d readings of %s every %g s) cover "
        "%.1f %% of %.1f s; %d samples and %.0f %% are needed"
        % (
            samples,
            inside.sum(),
            trace.source,
            trace.period_s,
            100 * coverage,
            duration_s,
            MIN_SAMPLES,
            100 * MIN_COVERAGE,
        )
    )
    if trace.failure:
        return "%s; the source ended early: %s" % (message, trace.failure)
    if coverage < MIN_COVERAGE:
        return message + "; let nothing else run on the board, and measure again"
    if not samples:
        return message + "; measure longer (--duration)"
    longer_s = math.ceil(1.25 * duration_s * MIN_SAMPLES / samples + SETTLE_S)
    return "%s; measure longer (--duration %d)" % (message, longer_s)


def _times(value, factor):
    return None if value is None else value * factor
