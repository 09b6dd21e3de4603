"""`edgesynth inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from edgesynth.cli.common import Output, output_options


@click.command("inspect")
@click.argument("artefact", type=click.Path(path_type=Path))
@click.option("--trust", multiple=True, help="A factory that a .edgenet may import and call.")
@click.option(
    "--replay",
    metavar="ID",
    help="Raise this offspring of a run again; exit code 1 when its weights differ in one bit.",
)
@output_options
def command(output: Output, artefact: Path, trust: tuple[str, ...], replay: str | None) -> int:
    """Say what is in ARTEFACT, verifying its hashes on the way.

    ARTEFACT is a .edgenet folder, a .bundle folder or .tar, a run folder or its history.jsonl, the
    folder of a search, a .generator, a *.record.json, or an .onnx file.

    \b
    Example:
      edgesynth inspect run/best.edgenet
      edgesynth inspect run --replay g03-2
    """
    if replay is not None:
        from edgesynth.cli.lineage import show_replay
        from edgesynth.workflows.replay import replay as raise_again

        again = raise_again(artefact, replay, trust=trust, progress=output.progress)
        output.result(again, lambda console: show_replay(again, console))
        return 0 if again["identical"] else 1
    from edgesynth.cli.artefacts import show
    from edgesynth.workflows.inspect import inspect

    document = inspect(artefact, trust=trust)
    output.result(document, lambda console: show(document, console))
    return 0
