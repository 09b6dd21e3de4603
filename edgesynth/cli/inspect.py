"""`edgesynth inspect`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from edgesynth.cli.common import Output, output_options


@click.command("inspect")
@click.argument("artefact", type=click.Path(path_type=Path))
@click.option("--trust", multiple=True, help="A factory that a .edgenet may import and call.")
@output_options
def command(output: Output, artefact: Path, trust: tuple[str, ...]) -> None:
    """Say what is in ARTEFACT, verifying its hashes on the way.

    ARTEFACT is a .edgenet folder, a .bundle folder or .tar, a run folder or its history.jsonl, a
    *.record.json, or an .onnx file.

    \b
    Example:
      edgesynth inspect run/best.edgenet
    """
    from edgesynth.cli.artefacts import show
    from edgesynth.workflows.inspect import inspect

    document = inspect(artefact, trust=trust)
    output.result(document, lambda console: show(document, console))
