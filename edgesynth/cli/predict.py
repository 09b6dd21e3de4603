"""`edgesynth predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.common import Output, output_options

if TYPE_CHECKING:
    from rich.console import Console


@click.command("predict")
@click.argument("network", metavar="BUNDLE|ONNX", type=click.Path(path_type=Path))
@click.option("--device", "devices", multiple=True, required=True, help="A board such as tx2.")
@click.option("--power-mode", help="An nvpmodel mode of the board, such as MAXQ; the fastest.")
@click.option(
    "--precision",
    type=click.Choice(["fp16", "fp32", "int8"]),
    default="fp16",
    show_default=True,
    help="Arithmetic of the engine.",
)
@click.option("--batch", type=click.IntRange(1), help="Samples at once; the file's own batch.")
@click.option(
    "--require",
    "requirements",
    multiple=True,
    help="A bound such as latency<=15ms@tx2; exit 1 when one does not hold.",
)
@click.option("--layers", is_flag=True, help="Also show the time of every layer.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Record to write (a folder for several devices).",
)
@output_options
def command(
    output: Output,
    network: Path,
    devices: tuple[str, ...],
    power_mode: str | None,
    precision: str,
    batch: int | None,
    requirements: tuple[str, ...],
    layers: bool,
    out: Path | None,
) -> int:
    """Predict latency and energy of BUNDLE or an ONNX file on boards that are not here.

    The figures are a model's, labelled predicted. Beside each stands its mean error on published
    measurements of networks that the model had not seen.

    \b
    Example:
      edgesynth predict child.bundle --device tx1 --device tx2 --require "latency<=15ms@tx2"
    """
    from edgesynth.core.requirement import parse_requirements
    from edgesynth.core.verdicts import all_hold
    from edgesynth.workflows.predict import predict

    records = predict(
        network,
        devices,
        power_mode=power_mode,
        precision=precision,
        batch=batch,
        requirements=parse_requirements(requirements),
        out=out,
        progress=output.progress,
    )
    document = {"schema": "edgesynth.predictions/1", "records": records}
    output.result(document, lambda console: _show(records, layers, console))
    return 0 if all(all_hold(record["requirements"]) for record in records) else 1


def _show(records: Sequence[Mapping[str, Any]], layers: bool, console: Console) -> None:
    from edgesynth.cli.predictions import show_layers, show_predictions

    show_predictions(records, console)
    if layers:
        for record in records:
            show_layers(record, console)
