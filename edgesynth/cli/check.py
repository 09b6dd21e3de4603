"""`edgesynth check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgesynth.cli.common import Output, output_options, seed_option

if TYPE_CHECKING:
    from rich.console import Console


@click.command("check")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--against", help="The network it was made from; run beside it on fresh inputs too.")
@click.option(
    "--weights", type=click.Path(path_type=Path), help="State dict of the --against network."
)
@click.option(
    "--atol", type=click.FloatRange(0), help="Absolute tolerance; the manifest's by default."
)
@click.option(
    "--rtol", type=click.FloatRange(0), help="Relative tolerance; the manifest's by default."
)
@click.option("--require", multiple=True, help='A requirement to hold, such as "params<=43k".')
@click.option("--trust", multiple=True, help="A factory that a .edgenet may import and call.")
@seed_option
@output_options
def command(
    bundle: Path,
    against: str | None,
    weights: Path | None,
    atol: float | None,
    rtol: float | None,
    require: tuple[str, ...],
    trust: tuple[str, ...],
    seed: int,
    output: Output,
) -> int:
    """Check BUNDLE: its files, its numbers, its target's limits, and NVIDIA's own parser.

    An element of an output passes when |found - expected| <= atol + rtol * |expected|.
    The exit code is 1 when anything fails.

    \b
    Example:
      edgesynth check net.bundle --against nets:make_net --weights net.pt
    """
    from edgesynth.export.against import Against
    from edgesynth.export.summary import check_rows
    from edgesynth.workflows.check import check

    if weights is not None and against is None:
        raise click.UsageError("--weights belong to the --against network; name it")
    document = check(
        bundle,
        against=None if against is None else Against(against, weights, trust),
        atol=atol,
        rtol=rtol,
        require=require,
        seed=seed + 1,  # the exporter drew its golden inputs with the seed itself
        progress=output.progress,
    )

    def show(console: Console) -> None:
        from rich.table import Table
        from rich.text import Text

        colours = {"PASSED": "green", "FAILED": "bold red"}
        table = Table.grid(padding=(0, 2))
        for verdict, name, detail in check_rows(document):
            table.add_row(Text(verdict, colours.get(verdict, "yellow")), name, Text(detail))
        console.print(table)
        verdict = "PASSED" if document["passed"] else "FAILED"
        console.print(Text(f"{document['bundle']['path']}: {verdict}", colours[verdict]))

    output.result(document, show)
    return 0 if document["passed"] else 1
