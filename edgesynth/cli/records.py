"""How records and comparisons look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

_LABELS = {
    "latency_p50_ms": "latency p50",
    "latency_mean_ms": "latency mean",
    "latency_p95_ms": "latency p95",
    "latency_p99_ms": "latency p99",
    "throughput_per_s": "throughput",
    "energy_mj": "energy",
    "size_bytes": "size",
}

_LEVELS = ("easy", "moderate", "hard")


def show_record(record: Mapping[str, Any], console: Console) -> None:
    """One record: latency, throughput, energy, accuracy, cost, verdicts, doubts."""
    device = record["device"]
    title = f"{record['name']}, {record['kind']} on {device['module']}, {record['backend']}"
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for statistic, value in record["latency_ms"].items():
        label, text = ("iterations", f"{value:,}") if statistic == "n" else (
            f"latency {statistic}", _figure(value, "ms"))  # fmt: skip
        table.add_row(label, text)
    table.add_row("throughput", _figure(record["throughput_per_s"], "1/s"))
    table.add_row("energy", _found(record["energy"], "gross_mj", "mJ"))
    table.add_row("accuracy", _accuracy(record["accuracy"]))
    for label, text in _exits(record.get("exits")):
        table.add_row(label, text)
    for key, value in record["cost"].items():
        table.add_row(_LABELS.get(key, key), _figure(value, "B" if key == "size_bytes" else ""))
    console.print(table)
    show_verdicts(record, console)
    show_doubts(record, console)


def _exits(exits: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Where inputs left, beside where they were expected to."""
    if not exits:
        return []
    expected = exits.get("expected") or {}
    rows = []
    for stage, share in exits.get("shares", expected).items():
        words = f"{100 * share:.1f} %"
        if stage in expected and "shares" in exits:
            words += f" (expected {100 * expected[stage]:.1f} %)"
        rows.append((f"leave at {escape(stage)}", words))
    mean = exits.get("mean_cost")
    if mean and mean["value"] is not None:
        rows.append(("mean cost", _figure(mean["value"], mean["unit"])))
    return rows


def show_comparison(document: Mapping[str, Any], console: Console) -> None:
    """Records side by side, then every difference with its interval in a sentence."""
    table = Table(title_justify="left")
    table.add_column()
    for column in document["columns"]:
        where = f"{column['kind']} on {column['device']}\n{column['backend']}"
        table.add_column(escape(f"{column['label']}\n{where}"), justify="right")
    for row in document["rows"]:
        cells = [
            _figure(value, row["unit"]) + ("" if ratio is None else f" ({ratio:.3g}x)")
            for value, ratio in zip(row["values"], row["ratios"], strict=True)
        ]
        table.add_row(_LABELS.get(row["key"], row["key"]), *map(escape, cells))
    console.print(table)
    for entry in document["differences"]:
        console.print(escape(_sentence(entry)), soft_wrap=True)
    for note in document["notes"]:
        console.print(escape(f"note: {note}"), soft_wrap=True)
    for column, record in zip(document["columns"], document["records"], strict=True):
        show_verdicts(record, console, column["label"])
        show_doubts(record, console, column["label"])


def show_verdicts(record: Mapping[str, Any], console: Console, name: str = "") -> None:
    """One line for each requirement: holds, FAILS, or NOT JUDGED with the reason."""
    words = {True: "holds", False: "FAILS", None: "NOT JUDGED"}
    for verdict in record["requirements"]:
        found = verdict.get("reason") or f"{verdict['key']} is {_figure(verdict['value'], '')}"
        line = f"{words[verdict['holds']]}: {verdict['requirement']} ({found})"
        console.print(escape(f"{name}: {line}" if name else line), soft_wrap=True)


def show_doubts(record: Mapping[str, Any], console: Console, name: str = "") -> None:
    """One line for each thing that makes the measurement doubtful."""
    for sentence in record["validity"]:
        console.print(
            escape(f"doubt{f' about {name}' if name else ''}: {sentence}"), soft_wrap=True
        )


def _sentence(entry: Mapping[str, Any]) -> str:
    """`child against parent: latency p50 -0.21 ms [-0.23, -0.19], 0.62x [0.60, 0.64]`."""
    points = entry["key"] == "accuracy"
    scale, unit = (100.0, "points") if points else (1.0, "ms")
    low, high = (f"{scale * bound:+.3g}" for bound in entry["ci95"])
    text = (
        f"{entry['other']} against {entry['base']}: {_LABELS.get(entry['key'], entry['key'])} "
        f"{scale * entry['difference']:+.3g} {unit} [{low}, {high}]"
    )
    if entry["ratio"] is not None:
        text += f", {entry['ratio']:.3g}x [{', '.join(f'{b:.3g}' for b in entry['ratio_ci95'])}]"
    text += " (95 %, interleaved)" if entry["paired"] else " (95 %)"
    if entry["shown"]:
        return text
    inside = entry["ci95"][0] <= 0 <= entry["ci95"][1]
    return text + ": no difference shown" + ("" if inside else " (within 1 %: memory layout)")


def _accuracy(found: Mapping[str, Any]) -> str:
    text = _found(found, "value", found.get("metric", "") if "value" in found else "")
    if "n" in found:
        text += f" of {found['n']:,} ({found['data']}, {found['split']})"
    if "kitti" in found:
        levels = (f"{word} {_figure(found['kitti'][word], '')}" for word in _LEVELS)
        text += f"; KITTI AP {', '.join(levels)}"
    return escape(text)


def _found(found: Mapping[str, Any], key: str, unit: str) -> str:
    if key in found:
        return _figure(found[key], unit)
    reasons = [f"{name.replace('_', ' ')}: {reason}" for name, reason in found.items()]
    return escape("; ".join(reasons))


def _figure(value: float | None, unit: str) -> str:
    """Four significant digits for measures, every digit for counts."""
    if value is None:
        return "-"
    whole = isinstance(value, int) or abs(value) >= 1000
    text = f"{value:,.0f}" if whole else f"{value:.4g}"
    return f"{text} {unit}".rstrip()
