"""How predicted records look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from edgesynth.cli.records import show_doubts, show_verdicts

if TYPE_CHECKING:
    from rich.console import Console


def show_predictions(records: Sequence[Mapping[str, Any]], console: Console) -> None:
    """One line per device, what the errors rest on, verdicts and doubts."""
    name, precision, batch = (records[0][key] for key in ("name", "precision", "batch"))
    title = f"{name}, {precision}, batch {batch}: predicted, not measured"
    table = Table(title=escape(title), title_justify="left")
    for column in ("device", "power mode"):
        table.add_column(column)
    for column in ("latency (predicted)", "per second", "energy per inference (predicted)"):
        table.add_column(column, justify="right")
    for record in records:
        model, energy = record["model"], record["energy"]
        table.add_row(
            record["device"]["module"],
            record["device"]["power_mode"],
            f"{record['latency_ms']['mean']:.3g} ms {_error(model['latency_error_percent'])}",
            f"{record['throughput_per_s']:.4g}",
            f"{energy['gross_mj']:.3g} mJ {_error(model['energy_error_percent'])}"
            if "gross_mj" in energy
            else "not predicted",
        )
    console.print(table)
    for record in records:
        for line in _reasons(record):
            console.print(escape(f"{record['device']['module']}: {line}"), soft_wrap=True)
    for record in records:
        show_verdicts(record, console, record["device"]["module"])
        show_doubts(record, console, record["device"]["module"])


def show_layers(record: Mapping[str, Any], console: Console) -> None:
    """Every kernel in execution order: what it costs, how long it takes, and why."""
    title = f"{record['name']} on {record['device']['module']}, predicted layer by layer"
    table = Table(title=escape(title), title_justify="left")
    for column in ("layer", "kind"):
        table.add_column(column, overflow="fold")
    for column in ("MACs", "bytes", "ms"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("bound by")
    for layer in record["layers"]:
        table.add_row(
            escape(layer["name"]),
            layer["kind"],
            f"{layer['macs']:,}",
            f"{layer['bytes']:,}",
            f"{layer['latency_ms']:.4f}",
            layer["bound"],
        )
    console.print(table)


def _error(percent: float | None) -> str:
    """`± 12 %`, or `± ?` where no measurements tell."""
    return "± ?" if percent is None else f"± {percent:.0f} %"


def _reasons(record: Mapping[str, Any]) -> list[str]:
    """What the errors rest on, one line per quantity."""
    model = record["model"]
    lines = [f"latency {model['latency_status']}: {model['latency_basis']}"]
    if "energy_basis" in model:
        lines.append(f"energy {model['energy_status']}: {model['energy_basis']}")
        lines[-1] += f"; at the {record['energy']['rail']}"
    else:
        lines.append(f"energy not predicted: {record['energy']['not_predicted']}")
    return lines
