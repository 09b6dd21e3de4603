"""Power, energy and health of a tegrastats log as one document (Python 3.6, numpy)."""

import numpy as np

from edgesynth_rt import rails
from edgesynth_rt.integrate import trapezoid
from edgesynth_rt.power_checks import clocked_unit, compare_averages, spread, throttling_hints
from edgesynth_rt.tegrastats_time import ASSUMED_ERROR, time_axis

SCHEMA = "edgesynth.power/1"
FEW_SAMPLES = 20
_DUMMY_ZONE = "PMIC"
_DUMMY_CELSIUS = (100.0, 50.0)


def power_document(columns, reader, module=None, interval_ms=None, window_s=None):
    """(document, trace) of a log that was read by `reader` into `columns`.

    module: what the user says the board is; interval_ms: assumed where lines have no times;
    window_s: (start, end) on the clock of the samples' arrivals, else the whole log counts.
    The document is JSON and has no arrays; the trace has `time_s`, `board_mw` (or None), `rails_mw`
    and `gpu_load_percent`, lists of one number (or None) for each sample.
    """
    axis = time_axis(columns.times, interval_ms)
    if window_s is not None:
        origin = columns.times[0][0]
        window_s = (window_s[0] - origin, window_s[1] - origin)
    known = rails.recognise(columns.names("power_mw"), module, columns.first)
    power = {name: columns.column("power_mw", name) for name in columns.names("power_mw")}
    board, board_remarks = _board(known, power)
    inside = _inside(axis.seconds, window_s)
    averages = compare_averages(columns)
    runs = _runs(columns, averages)
    document = {
        "schema": SCHEMA,
        "kind": "log",
        "lines": _lines(reader),
        "module": _module(known),
        "time": _time(axis, columns, window_s),
        "board_power_mw": _figures(board, inside) if board is not None else None,
        "energy": _energy(axis, board, known, window_s, runs),
        "rails": _rails(columns, known, power, board, axis, window_s, runs),
        "averages": averages,
        "gpu": clocked_unit(columns, "gpu"),
        "emc": clocked_unit(columns, "emc"),
        "throttling": throttling_hints(columns),
        "temperatures": _temperatures(columns),
    }
    document["remarks"] = _remarks(document, columns, known, axis) + board_remarks
    return document, _trace(axis, board, power, columns)


def _board(known, power):
    """Board power of every sample, None without a rule; and what to say about it."""
    if known.rule is None:
        return None, []
    board = np.sum([power[name] for name in known.rule.total], axis=0)
    remarks = []
    lacking = int((~np.isfinite(board)).sum())
    if lacking:
        remarks.append(
            "%d samples lack %s, or have it twice, and do not count"
            % (lacking, " or ".join(known.rule.total))
        )
    if len(board) > 1 and board[0] == 0:
        board[0] = np.nan
        remarks.append("the first sample reads 0 W, before its sensor was ready; it does not count")
    return board, remarks


def _inside(seconds, window_s):
    if window_s is None:
        return np.ones(len(seconds), dtype=bool)
    return (seconds >= window_s[0]) & (seconds <= window_s[1])


def _figures(values, inside):
    values = values[inside & np.isfinite(values)]
    figures = spread(values)
    if figures is not None:
        figures["samples"] = len(values)
    return figures


def _lines(reader):
    return {
        "total": reader.lines,
        "samples": reader.samples,
        "cut": reader.cut,
        "foreign": reader.foreign,
        "foreign_examples": [list(example) for example in reader.foreign_examples],
        "unknown_words": dict(reader.unknown),
    }


def _module(known):
    rule = known.rule
    return {
        "names": list(known.modules),
        "title": " or ".join(rails.TITLES[name] for name in known.modules) or None,
        "total": list(rule.total) if rule else None,
        "measures": rule.measures if rule else None,
        "gpu_rail": rule.gpu[0] if rule else None,
        "gpu_rail_feeds": rule.gpu[1] if rule else None,
        "source": rule.source if rule else None,
        "reason": known.reason,
    }


def _time(axis, columns, window_s):
    pauses = np.diff(axis.seconds)
    gaps = np.flatnonzero(pauses > axis.gap_limit_s)
    return {
        "source": axis.source,
        "resolution_s": axis.resolution_s,
        "period_s": axis.period_s,
        "duration_s": float(axis.seconds[-1]) if len(axis.seconds) else 0.0,
        "window_s": None if window_s is None else [float(edge) for edge in window_s],
        "gaps": [
            {"before_line": columns.line_numbers[i + 1], "seconds": float(pauses[i])} for i in gaps
        ],
        "clock_jumps": [columns.line_numbers[i] for i in axis.jumps],
    }


def _runs(columns, averages):
    """Which tegrastats printed each sample, counted from 0: between two, power is not known."""
    return np.searchsorted(averages["restarts"], columns.line_numbers, side="right")


def _energy(axis, board, known, window_s, runs):
    if board is None:
        return {"not_measured": known.reason}
    samples = int(np.isfinite(board[_inside(axis.seconds, window_s)]).sum())
    energy_j, covered_s = _integrate(axis, board, window_s, runs)
    if samples < 2 or not covered_s:
        return {"not_measured": _too_few(samples)}
    start, end = window_s or (0.0, float(axis.seconds[-1]))
    return {
        "board_j": energy_j,
        "mean_w": energy_j / covered_s,
        "covered_s": covered_s,
        "coverage": covered_s / (end - start),
        "samples": samples,
        "method": "trapezoid over the samples, pauses left out that are gaps",
    }


def _integrate(axis, power_mw, window_s, runs):
    """(energy in J, seconds covered); samples without a value are left out, and so are gaps."""
    known = np.isfinite(power_mw)
    start_s, end_s = window_s or (0.0, float(axis.seconds[-1]))
    energy_mj, covered_s = trapezoid(
        axis.seconds[known], power_mw[known], start_s, end_s, axis.gap_limit_s, runs[known]
    )
    return energy_mj / 1e3, covered_s


def _too_few(samples):
    """Why there is no energy, where no two samples follow each other."""
    if samples == 1:
        return "one sample of board power has no duration"
    if samples == 0:
        return "no sample of board power"
    return "no two of %d samples of board power follow each other" % samples


def _rails(columns, known, power, board, axis, window_s, runs):
    inside = _inside(axis.seconds, window_s)
    mean_board = _figures(board, inside) if board is not None else None
    rows = []
    for name, values in power.items():
        figures = _figures(values, inside)
        if figures is None:
            continue
        average = columns.column("average_mw", name)
        average = average[np.isfinite(average)]
        energy_j, covered_s = _integrate(axis, values, window_s, runs)
        rows.append(
            {
                "name": name,
                "role": rails.role(known.rule, name),
                "power_mw": figures,
                "share": figures["mean"] / mean_board["mean"]
                if mean_board and mean_board["mean"] > 0
                else None,
                "energy_j": energy_j if covered_s else None,
                "tegrastats_average_mw": float(average[-1]) if len(average) else None,
            }
        )
    return rows


def _temperatures(columns):
    rows = []
    for name in columns.names("celsius"):
        values = columns.column("celsius", name)
        values = values[np.isfinite(values)]
        if not len(values):  # the zone came twice in its only line
            continue
        dummy = name == _DUMMY_ZONE and values.min() == values.max() in _DUMMY_CELSIUS
        row = {"name": name, "dummy": bool(dummy), "last": float(values[-1])}
        row.update(spread(values))
        rows.append(row)
    return rows


def _remarks(document, columns, known, axis):
    remarks = list(known.remarks)
    if axis.source == "assumed" and len(columns) > 1:
        remarks.append(ASSUMED_ERROR % (axis.period_s * 1e3))
    if axis.jumps:
        remarks.append("the clock of the stamps went backwards; one period is put there")
    covered_s = document["energy"].get("covered_s")
    if axis.resolution_s and covered_s:
        remarks.append(
            "the stamps are whole seconds: duration and energy are uncertain by up to %g s, %.1f %%"
            % (axis.resolution_s, 100 * axis.resolution_s / covered_s)
        )
    for name in sorted(columns.repeated):
        remarks.append("rail %s occurs twice in a line; those lines do not count for it" % name)
    restarts = document["averages"]["restarts"]
    if restarts:
        more = " (and %d times later)" % (len(restarts) - 1) if len(restarts) > 1 else ""
        remarks.append(
            "a new tegrastats began at line %d%s; the time before it does not count"
            % (restarts[0], more)
        )
    if document["averages"]["agrees"] is False:
        remarks.append("tegrastats' own averages differ: lines are missing, or were edited")
    samples = document["energy"].get("samples", FEW_SAMPLES)
    if samples < FEW_SAMPLES:
        remarks.append("%d samples are few: energy needs %d or more" % (samples, FEW_SAMPLES))
    if document["emc"] is None and columns.first.engine("EMC_FREQ"):
        remarks.append("clocks are missing: tegrastats prints them to root only")
    return remarks


def _trace(axis, board, power, columns):
    load = columns.column("load_percent", "gpu")
    return {
        "time_s": [round(second, 6) for second in axis.seconds.tolist()],
        "board_mw": None if board is None else _numbers(board),
        "rails_mw": {name: _numbers(values) for name, values in power.items()},
        "gpu_load_percent": _numbers(load) if np.isfinite(load).any() else None,
    }


def _numbers(values):
    """For JSON: NaN is null."""
    return [value if np.isfinite(value) else None for value in values.tolist()]
