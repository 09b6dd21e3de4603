"""What `edgesynth reproduce dyvedeep` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesynth.cli.reproduction import show_checks

if TYPE_CHECKING:
    from rich.console import Console


def show_effort_reproduction(document: dict[str, Any], console: Console) -> None:
    """Print the document of `reproduce dyvedeep`."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    for subject, found in document["subjects"].items():
        table = Table(title=f"{subject}, test images", title_justify="left", box=SIMPLE_HEAD)
        for title in ("knobs", "lost pt (worst)", "operations x fewer", "with zeros skipped"):
            table.add_column(title, justify="left" if title == "knobs" else "right")
        for method, each in found["methods"].items():
            lost = each["lost_points"]
            table.add_row(
                method,
                f"{lost['mean']:.2f} ({lost['high']:.2f})",
                f"{each['times_fewer']['mean']:.2f}",
                f"{each['times_fewer_with_zero_skipping']['mean']:.2f}",
            )
        console.print(table)
    show_checks(document, console)
