"""`edgesynth doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgesynth.cli.common import Output, output_options

if TYPE_CHECKING:
    from rich.console import Console

    from edgesynth.workflows.doctor import Examination


@click.command("doctor")
@click.option(
    "--load", is_flag=True, help="Also import every package found, to see that it works (seconds)."
)
@output_options
def command(load: bool, output: Output) -> int:
    """Show what this machine can do, and the command that adds what is missing.

    Ends with 4 when torch, onnx or ONNX Runtime is missing, else with 0.

    \b
    Example:
      edgesynth doctor
    """
    from edgesynth.core.errors import MissingError
    from edgesynth.workflows.doctor import examine

    examination = examine(load=load)
    output.result(examination, lambda console: _show(examination, console))
    essentials = examination.missing_essentials
    for capability in essentials:
        output.say(f"edgesynth: {capability.name} is missing; run: {capability.add}")
    return MissingError.exit_code if essentials else 0


def _show(examination: Examination, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("capability", "status", "detail"):
        table.add_column(heading, overflow="fold")
    for c in examination.capabilities:
        style = "green" if c.status == "ok" else "red" if c.essential else "yellow"
        table.add_row(c.name, Text(c.status, style), Text(c.detail))
    console.print(table)
    missing = [c for c in examination.capabilities if c.add]
    if not missing:
        return
    console.print("\nto add what is missing", style="bold")
    width = max(len(c.name) for c in missing)
    for c in missing:
        console.print(Text(f"{c.name:{width}}  {c.add}"), soft_wrap=True)
