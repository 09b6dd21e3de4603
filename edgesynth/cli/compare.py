"""`edgesynth compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgesynth.cli.common import Output, output_options, seed_option
from edgesynth.cli.measuring import measuring_options

if TYPE_CHECKING:
    from edgesynth.workflows.measuring import MeasuringPlan


@click.command("compare")
@click.argument("things", nargs=-1, required=True, type=click.Path(path_type=Path))
@measuring_options
@seed_option
@output_options
def command(output: Output, things: tuple[Path, ...], plan: MeasuringPlan) -> None:
    """Compare records, or bundles by measuring them in turns, with the first of them.

    Each difference comes with its 95 % interval; "no difference shown" means that it holds 0.
    The measuring options are for bundles.

    \b
    Example:
      edgesynth compare parent.record.json child.record.json
    """
    from edgesynth.cli.records import show_comparison
    from edgesynth.workflows.compare import compare

    document = compare(things, plan=plan, progress=output.progress)
    output.result(document, lambda console: show_comparison(document, console))
