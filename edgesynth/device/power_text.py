"""A power document for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from edgesynth.core.errors import shown
from edgesynth.device.plot import column_chart, sparkline

if TYPE_CHECKING:
    from rich.console import Console

_CHART_ROWS = 7
_SPARK_WIDTH = 20
ROLES = {  # of `edgesynth_rt.rails.role`
    "total": "the total",
    "summed": "summed",
    "inside": "part of the total",
    "around": "outside of the module",
    "unknown": "",
}
_TIMES = {
    "arrival": "stamped on arrival",
    "prefix": "time from the stamps before the lines",
    "tegrastats": "time from tegrastats' stamps, whole seconds",
    "assumed": "time assumed",
}


def show_power(document: dict[str, Any], trace: dict[str, Any], console: Console) -> None:
    """Print the figures of a power document, its rails and a chart of its trace."""
    ascii_only = not console.encoding.lower().startswith("utf")
    rows = facts(document)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        _line(console, f"{name:{width}}  {text}")
    if document["rails"]:
        console.print()
        console.print(_rail_table(document, trace, ascii_only))
    if trace["board_mw"] is not None:
        watts = [None if mw is None else mw / 1e3 for mw in trace["board_mw"]]
        chart = column_chart(
            trace["time_s"], watts, min(console.width, 100), _CHART_ROWS, ascii_only=ascii_only
        )
        for row in [""] * bool(chart) + chart:
            _line(console, row)
    for remark in document["remarks"]:
        _line(console, f"remark: {remark}")
    for reason in document["validity"]:
        _line(console, f"invalid: {reason}")


def _line(console: Console, text: str) -> None:
    """One line, its words not read as markup; the terminal may wrap it."""
    console.print(shown(text, 2000), markup=False, soft_wrap=True)


def facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures of a power document as (name, text), in the order of importance."""
    return list(_facts(document))


def _facts(document: dict[str, Any]) -> Iterable[tuple[str, str]]:
    yield "source", document["source"] + _of_kind(document)
    yield "lines", _lines(document["lines"])
    module = document["module"]
    yield "module", module["title"] or "not known"
    yield "board power", _board_power(document)
    yield "energy", _energy(document)
    yield "time", _time(document["time"])
    yield "average", _averages(document["averages"])
    for name, title in (("gpu", "GPU"), ("emc", "EMC")):
        if document[name]:
            yield title, _unit(document[name])
    yield "throttling", _some(document["throttling"]) or "no sign of it"
    if document["temperatures"]:
        yield "temperatures", _temperatures(document["temperatures"])


def _of_kind(document: dict[str, Any]) -> str:
    if document["kind"] == "log":
        return ""
    command = document["command"]
    ended = f"ended with {command['exit_status']} after {command['duration_s']:.2f} s"
    return f" while a command ran ({document['kind']}; it {ended})"


def _lines(lines: dict[str, Any]) -> str:
    parts = [f"{_count(lines['samples'], 'sample')} in {_count(lines['total'], 'line')}"]
    if lines["cut"]:
        parts.append(f"{lines['cut']} cut, dropped")
    if lines["foreign"]:
        number, text = lines["foreign_examples"][0]
        parts.append(f'{lines["foreign"]} not from tegrastats (line {number}: "{shown(text, 40)}")')
    unknown = lines["unknown_words"]
    if unknown:
        parts.append("unknown words, kept: " + ", ".join(shown(w, 20) for w in list(unknown)[:8]))
    return "; ".join(parts)


def _board_power(document: dict[str, Any]) -> str:
    module, figures = document["module"], document["board_power_mw"]
    if figures is None:
        return f"not known: {module['reason'] or 'no sample has the total'}"
    low, mean, high = (figures[key] / 1e3 for key in ("min", "mean", "max"))
    total = " + ".join(module["total"])
    return f"mean {mean:.3f} W ({low:.3f} to {high:.3f}) = {total}, {module['measures']}"


def _energy(document: dict[str, Any]) -> str:
    energy = document["energy"]
    if "not_measured" in energy:
        return f"none: {energy['not_measured']}"
    covered, coverage = energy["covered_s"], energy["coverage"]
    return (
        f"{energy['board_j']:.2f} J in {covered:.2f} s (trapezoid of {energy['samples']} samples, "
        f"{energy['mean_w']:.3f} W, {coverage:.1%} covered)"
    )


def _time(time: dict[str, Any]) -> str:
    parts = [f"{_TIMES[time['source']]}, a sample every {time['period_s']:.3g} s"]
    gaps = time["gaps"]
    if gaps:
        longest = max(gaps, key=lambda gap: float(gap["seconds"]))
        parts.append(
            f"{_count(len(gaps), 'gap')}, the longest {longest['seconds']:g} s before line "
            f"{longest['before_line']}, not counted"
        )
    elif time["source"] != "assumed":
        parts.append("no gap")
    return "; ".join(parts)


def _averages(averages: dict[str, Any]) -> str:
    if averages["agrees"] is None:
        return f"not compared: {averages['reason']}"
    difference = averages["largest_difference_mw"]
    if averages["agrees"]:
        return (
            f"as tegrastats' own on every line: at most {difference:.2f} mW apart, it truncates to "
            "1 mW"
        )
    return f"not tegrastats' own: up to {difference:.0f} mW apart"


def _unit(unit: dict[str, Any]) -> str:
    parts = []
    if unit["load_percent"]:
        load = unit["load_percent"]
        parts.append(f"{load['mean']:.0f} % busy ({load['min']:g} to {load['max']:g})")
    clocks = unit["clocks_mhz"]
    if clocks:
        most = " ".join(f"{clock:g} ({lines})" for clock, lines in clocks[:6])
        rest = f" and {len(clocks) - 6} more" if len(clocks) > 6 else ""
        parts.append(f"{_count(unit['changes'], 'clock change')}; MHz (lines): {most}{rest}")
    else:
        parts.append("no clock printed")
    return ", ".join(parts)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _some(hints: list[str], limit: int = 3) -> str:
    more = [f"and {len(hints) - limit} more"] if len(hints) > limit else []
    return "; ".join(hints[:limit] + more)


def _temperatures(rows: list[dict[str, Any]]) -> str:
    real = [row for row in rows if not row["dummy"]]
    parts = [f"{row['name']} {row['min']:g} to {row['max']:g}" for row in real]
    return ", ".join(parts) + " C" if parts else "only placeholders"


def _rail_table(document: dict[str, Any], trace: dict[str, Any], ascii_only: bool) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("rail")
    for heading in ("min W", "mean W", "max W", "share", "energy J"):
        table.add_column(heading, justify="right")
    table.add_column("over time", no_wrap=True)
    table.add_column("")
    for rail in document["rails"]:
        power = rail["power_mw"]
        values = trace["rails_mw"][rail["name"]]
        table.add_row(
            Text(rail["name"]),
            *(f"{power[key] / 1e3:.3f}" for key in ("min", "mean", "max")),
            "" if rail["share"] is None else f"{rail['share']:.0%}",
            "" if rail["energy_j"] is None else f"{rail['energy_j']:.2f}",
            sparkline(trace["time_s"], values, _SPARK_WIDTH, ascii_only=ascii_only),
            ROLES[rail["role"]],
        )
    return table
