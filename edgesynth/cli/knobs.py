"""How an adaptation by `--method effort` looks in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_SPLITS = ("validation", "test")


def show(document: dict[str, Any], console: Console) -> None:
    """Print the document of an adaptation by knobs."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=f"{document['name']}: operations per test image", box=SIMPLE_HEAD)
    table.title_justify = "left"
    for title in ("layer", "knobs", "dense", "effort", "of it checks", "zero skipping", "both"):
        table.add_column(title, justify="left" if title in ("layer", "knobs") else "right")
    for each in document["layers"]:
        counts = ("dense", "effort", "of_it_checks", "zero_skipping_alone",
                  "effort_and_zero_skipping")  # fmt: skip
        table.add_row(
            each["layer"], " ".join(each["knobs"]), *(f"{each[key]:,.0f}" for key in counts)
        )
    console.print(table)
    for split in _SPLITS:
        found = document[split]
        operations = found["operations"]
        console.print(
            f"{split}: {operations['times_fewer']:.2f} times fewer operations in convolutions, "
            f"{operations['times_fewer_zero_skipping_alone']:.2f} by skipping zeros alone, "
            f"{operations['times_fewer_with_zero_skipping']:.2f} by both; "
            f"{found['lost_points']:+.2f} points lost",
            markup=False,
        )
    for doubt in document["doubts"]:
        console.print(f"doubt: {doubt}", markup=False)
    verdict = "holds" if document["holds"] else "FAILS"
    console.print(f"{verdict}: at most {document['max_loss_points']:g} points lost")
    console.print(f"next: edgesynth bench {document['bundle']}", markup=False)
