"""Measuring energy until its confidence interval is narrow enough (Python 3.6)."""

from edgesynth_rt.energy import energy_per_inference, mean_power
from edgesynth_rt.errors import MeasurementError, UserError

MINIMUM_S = 30.0
MAXIMUM_S = 600.0
_GROWTH = 1.5


def measure_until_ci(
    run,
    sampler,
    rails,
    target,
    idle=None,
    state=None,
    minimum_s=MINIMUM_S,
    maximum_s=MAXIMUM_S,
    seed=0,
):
    """Run the load until the 95 % interval of the mean power is within +-`target` of it.

    run: a function of seconds that runs the load about that long and returns the `energy.Window`
    of it, without the sensor's settling time; sampler: a started `Sampler`; target: a fraction,
    0.02 for 2 %; idle, state, rails: see `energy.energy_per_inference`; minimum_s, maximum_s: how
    long the load runs, all stretches together.

    There are few looks at the interval, each after at least 1.5 times as long as the one before:
    who looks all the time stops at a moment when the interval happens to be narrow.

    Returns (the record's `energy` with "until_ci": {"target", "half_width", "reached"}, windows).
    Raises MeasurementError when the readings are too few or too thin even then.
    """
    if not 0 < target < 1:
        raise UserError("--until-ci %g is no share between 0 and 1, such as 2%%" % target)
    if not 0 < minimum_s <= maximum_s:
        raise UserError("--until-ci runs %g s at least but %g s at most" % (minimum_s, maximum_s))
    windows, next_s = [], minimum_s
    while True:
        windows.append(run(next_s))
        done_s = sum(window.end_s - window.start_s for window in windows)
        sampler.wait_past(windows[-1].end_s)
        trace = sampler.trace()
        last = done_s >= maximum_s * (1 - 1e-9) or trace.failure is not None
        try:
            power = mean_power(trace, rails, windows, seed)
        except MeasurementError:
            if last:
                raise
            half_width = None
        else:
            half_width = power.half_width_mw / abs(power.mean_mw) if power.mean_mw else None
        if last or (half_width is not None and half_width <= target):
            break
        next_s = _next_stretch_s(done_s, half_width, target, maximum_s)
    result = energy_per_inference(trace, rails, windows, idle, state, seed)
    result["until_ci"] = {
        "target": target,
        "half_width": half_width,
        "reached": half_width is not None and half_width <= target,
    }
    return result, windows


def _next_stretch_s(done_s, half_width, target, maximum_s):
    """Seconds to run next: the width falls with the square root of the time."""
    wanted_s = done_s * _GROWTH
    if half_width is not None:
        wanted_s = max(wanted_s, done_s * (half_width / target) ** 2)
    return min(wanted_s, maximum_s) - done_s
