"""What a tegrastats log tells about itself: its own averages, clocks, throttling (numpy, 3.6)."""

import numpy as np

AVERAGE_STEP_MW = 1.0
"""tegrastats truncates its average to whole milliwatts."""
BUSY_PERCENT = 80.0
CLOCK_DROP = 0.95
"""A clock below this share of the one before has changed; CPU and GPU clocks wobble by 0.2 %."""


def compare_averages(columns):
    """Whether the mean of the power values is the average that tegrastats printed beside them.

    tegrastats averages all that it printed since it began. Returns `agrees` (True, False, or None
    when that cannot be known), `largest_difference_mw`, `restarts` (line numbers where a new
    tegrastats began) and `reason`.
    """
    rails = {
        name: (columns.column("power_mw", name), columns.column("average_mw", name))
        for name in columns.names("average_mw")
    }
    if not rails:
        return _verdict(None, None, (), "the lines have no averages")
    # a tegrastats that has just begun prints each value as its own average
    fresh = np.all([(p == a) | np.isnan(p) | np.isnan(a) for p, a in rails.values()], axis=0)
    differences, restarts = [0.0], set()
    for power, average in rails.values():
        present = np.flatnonzero(np.isfinite(power) & np.isfinite(average))
        if not len(present):
            continue
        if power[present[0]] != average[present[0]]:
            reason = "the log begins after its tegrastats did, so the averages hold unseen lines"
            return _verdict(None, None, (), reason)
        starts, difference = _follow(power[present], average[present], fresh[present])
        differences.append(difference)
        restarts.update(columns.line_numbers[present[start]] for start in starts[1:])
    largest = max(differences)
    return _verdict(largest <= AVERAGE_STEP_MW, largest, sorted(restarts), None)


def _follow(power, average, fresh):
    """Indices where an averaging began, and the largest difference from the running means."""
    starts, largest = [0], 0.0
    while True:
        start = starts[-1]
        length, difference = _agreement(power[start:], average[start:])
        largest = max(largest, difference)
        first = start + length
        if first == len(power):
            return starts, largest
        if not fresh[first]:  # not a new tegrastats: the average itself is wrong
            mean = power[start : first + 1].mean()
            return starts, max(largest, float(abs(mean - average[first])))
        starts.append(first)


def _agreement(power, average):
    """How many values from the first on agree with the running means, and how closely."""
    length = 256
    while True:  # a log of many short runs is not averaged to its end for each of them
        means = np.cumsum(power[:length]) / np.arange(1, len(power[:length]) + 1)
        apart = np.abs(means - average[:length])
        wrong = np.flatnonzero(apart > AVERAGE_STEP_MW)
        if len(wrong) or length >= len(power):
            agreeing = int(wrong[0]) if len(wrong) else len(power)
            return agreeing, float(apart[:agreeing].max())
        length *= 2


def _verdict(agrees, difference, restarts, reason):
    return {
        "agrees": agrees,
        "largest_difference_mw": difference,
        "restarts": list(restarts),
        "reason": reason,
    }


def clocked_unit(columns, name):
    """Load and clock of `gpu` or `emc` over the log; None where no line has either.

    `clocks_mhz` is [MHz, lines] of each clock, highest first; `changes` how often it changed by
    more than the wobble of a constant clock.
    """
    load, clock = columns.column("load_percent", name), columns.column("clock_mhz", name)
    load, clock = load[np.isfinite(load)], clock[np.isfinite(clock)]
    if not len(load) and not len(clock):
        return None
    values, counts = np.unique(clock, return_counts=True)
    return {
        "load_percent": spread(load),
        "clock_mhz": spread(clock),
        "clocks_mhz": [[float(v), int(n)] for v, n in zip(values[::-1], counts[::-1])],
        "changes": int(_changed(clock[:-1], clock[1:]).sum()),
    }


def spread(values):
    """`min mean max` of values, None where there are none."""
    if not len(values):
        return None
    return {"min": float(values.min()), "mean": float(values.mean()), "max": float(values.max())}


def throttling_hints(columns):
    """Signs that the board was held back, in words; hints, for tegrastats prints no such flag."""
    hints = []
    load, clock = columns.column("load_percent", "gpu"), columns.column("clock_mhz", "gpu")
    for index in _drops_while_busy(load, clock):
        hints.append(
            "line %d: the GPU's clock fell from %g to %g MHz while it was %g %% busy"
            % (columns.line_numbers[index], clock[index - 1], clock[index], load[index])
        )
    limit = columns.column("edp_limit", "edp")
    if (limit > 0).any():
        first = columns.line_numbers[int(np.argmax(limit > 0))]
        hints.append("line %d: tegrastats reports an EDP limit of %g" % (first, np.nanmax(limit)))
    cores = columns.column("cores_on", "cpu")
    cores = cores[np.isfinite(cores)]
    if len(cores) and cores.min() != cores.max():
        hints.append("between %g and %g CPU cores were on" % (cores.min(), cores.max()))
    return hints


def _drops_while_busy(load, clock):
    """Indices where the clock fell, and stayed low for two busy samples: no governor does that."""
    if len(load) < 3:
        return []
    busy = load >= BUSY_PERCENT
    fell = (clock[1:-1] < CLOCK_DROP * clock[:-2]) & (clock[2:] < CLOCK_DROP * clock[:-2])
    return (np.flatnonzero(fell & busy[:-2] & busy[1:-1] & busy[2:]) + 1).tolist()


def _changed(before, after):
    return (after < CLOCK_DROP * before) | (before < CLOCK_DROP * after)
