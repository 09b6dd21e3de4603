"""`edgesynth build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.common import Output, output_options
from edgesynth.cli.measuring import engine_options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edgesynth.workflows.backends import EnginePlan


_TIMES = ("plugin_ms", "dense_ms")


@click.command("build")
@click.argument("bundle", type=click.Path(path_type=Path))
@engine_options
@click.option("--batch", type=click.IntRange(1), help="For a dynamic batch; 1 otherwise.")
@click.option("--force", is_flag=True, help="Build also what is in the cache.")
@output_options
def command(
    output: Output, bundle: Path, engine: EnginePlan, batch: int | None, force: bool
) -> int:
    """Build the TensorRT engines of BUNDLE on this machine, verify and cache them.

    \b
    Example:
      edgesynth build child.bundle --precision fp16
    """
    from edgesynth.workflows.build import build

    document = build(bundle, engine=engine, batch=batch, force=force, progress=output.progress)
    output.result(document, lambda console: _show(document, console))
    return 0


def _show(document: dict[str, Any], console: Console) -> None:
    from rich.markup import escape

    software = document["software"]
    console.print(
        escape(
            f"{document['bundle']['name']} on {software['gpu']} (sm {software['sm']}), "
            f"TensorRT {software['tensorrt']}, CUDA {software['cuda']}"
        )
    )
    for engine in document["engines"]:
        made = engine["build"]
        how = "from the cache" if engine["cached"] else f"built in {made['seconds']:.1f} s"
        console.print(
            escape(
                f"stage {engine['key']['stage']}: {made['layers']} layers, "
                f"{made['plugin_layers']} of plugins, {made['size_bytes']:,} bytes, {how}"
            ),
            soft_wrap=True,
        )
        for found in engine["verified"]:
            console.print(
                escape(
                    f"  {found['output']}: largest error {found['error']:.3g}, "
                    f"tolerance {found['tolerance']:.3g}"
                ),
                soft_wrap=True,
            )
        if made.get("operators"):
            console.print(_choices(made["operators"]))
        for warning in made["warnings"]:
            console.print(escape(f"  TensorRT warns: {warning}"), soft_wrap=True)
        console.print(escape(f"  {engine['path']}"), soft_wrap=True)


def _choices(found: dict[str, Any]) -> Table:
    """One row for each operator of ours: both times, and what was taken."""
    from rich.table import Table
    from rich.text import Text

    how = {"timing": "timed on this GPU", "estimate": "an estimate", "option": "as asked for"}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title_justify="left")
    table.title = f"  plugin or dense, {how[found['decided_by']]}"
    for heading in ("layer", "operator", "plugin", "dense", "taken", "why"):
        table.add_column(heading, justify="right" if heading in ("plugin", "dense") else "left")
    for row in found["layers"]:
        times = ["-" if row[key] is None else f"{row[key]:.4g} ms" for key in _TIMES]
        words = [row["node"], row["operator"], *times, row["chosen"], row["reason"]]
        table.add_row(*(Text(word) for word in words))
    return table
