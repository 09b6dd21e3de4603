"""`edgesynth reproduce dyvedeep`, which has no generations and no lineages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesynth.cli.common import Output
from edgesynth.cli.reproduction import recipe_without_lineages, show_checks

if TYPE_CHECKING:
    from rich.console import Console


def run(options: dict[str, Any], output: Output) -> int:
    """Run it with the options of `reproduce`."""
    from edgesynth.workflows.reproduce.dyvedeep import reproduce_dyvedeep
    from edgesynth.workflows.reproduce.dyvedeep_recipe import effort_recipe

    own = recipe_without_lineages(options)
    first = options["seed"]
    document = reproduce_dyvedeep(
        options["data"],
        options["out"],
        seeds=range(first, first + options["seeds"]),
        workers=options["workers"],
        recipe=effort_recipe(own),
        progress=output.progress,
    )
    output.result(document, lambda console: _show(document, console))
    return 0 if document["holds"] else 1


def _show(document: dict[str, Any], console: Console) -> None:
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
