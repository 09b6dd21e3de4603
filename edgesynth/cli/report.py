"""`edgesynth report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.common import Output, output_options

if TYPE_CHECKING:
    from rich.console import Console


@click.command("report")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="HTML file to write.")
@click.option("--title", help="Heading of the page; the names of the networks otherwise.")
@output_options
def command(output: Output, sources: tuple[Path, ...], out: Path, title: str | None) -> None:
    """Write one self-contained HTML page about runs, searches and records.

    SOURCES are folders of runs or of generative searches, *.record.json files, or folders:
    everything in them is taken. The page compares the parent with its best child; measured and
    predicted figures stay apart. A folder that adapt wrote gives its budgets, exits and effort
    maps, with the records in it.

    \b
    Example:
      edgesynth report demo --out report.html
    """
    from edgesynth.workflows.report import report

    document = report(sources, out, title=title)
    output.result(document, lambda console: _show(document, console))


def _show(document: dict[str, Any], console: Console) -> None:
    searches = f"{document['searches']} search(es), " if document["searches"] else ""
    console.print(
        f"{document['report']}: {document['title']}, {document['runs']} run(s), {searches}"
        f"{document['measured']} measured and {document['predicted']} predicted record(s)",
        soft_wrap=True,
        markup=False,
    )
