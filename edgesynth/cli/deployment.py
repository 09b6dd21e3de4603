"""How a deployment looks in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from edgesynth.cli.records import show_doubts, show_verdicts

if TYPE_CHECKING:
    from rich.console import Console


def show_deployment(document: Mapping[str, Any], console: Console) -> None:
    """One row for each board, then the verdicts and doubts of their records."""
    table = Table(title=escape(f"{document['bundle']['name']} on boards"), title_justify="left")
    table.add_column("board")
    table.add_column("state")
    for heading in ("sent", "latency p50", "latency p95", "energy"):
        table.add_column(heading, justify="right")
    table.add_column("record", overflow="fold")
    for outcome in document["hosts"]:
        table.add_row(*(escape(cell) for cell in _cells(outcome)))
    console.print(table)
    for outcome in document["hosts"]:
        if "record" in outcome:
            show_verdicts(outcome["record"], console, outcome["host"])
            show_doubts(outcome["record"], console, outcome["host"])


def tell_errors(document: Mapping[str, Any]) -> None:
    """The one line of each board that failed, on stderr."""
    for outcome in document["hosts"]:
        if "error" in outcome:
            print(f"edgesynth: {outcome['error']}", file=sys.stderr)


def _cells(outcome: Mapping[str, Any]) -> list[str]:
    sent = outcome.get("sent")
    record = outcome.get("record")
    latency = record["latency_ms"] if record else {}
    energy = record["energy"].get("gross_mj") if record else None
    return [
        outcome["host"],
        f"failed ({outcome['exit_code']})" if "error" in outcome else "done",
        f"{sent['bytes'] / 1e6:.1f} MB" if sent else "-",
        *(f"{latency[key]:.4g} ms" if key in latency else "-" for key in ("p50", "p95")),
        "-" if energy is None else f"{energy:.4g} mJ",
        outcome.get("record_file", "-"),
    ]
