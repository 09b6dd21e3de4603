"""`edgesynth export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgesynth.cli.common import Output, output_options, seed_option

if TYPE_CHECKING:
    from rich.console import Console

    from edgesynth.export.layer_choice import Mode


@click.command("export")
@click.argument("networks", nargs=-1, required=True, metavar="NETWORK...")
@click.option(
    "--target",
    default="jetpack-4.6",
    show_default=True,
    help="jetpack-4.6, jetpack-5.1, jetpack-6.2, jetpack-7, tensorrt-11 or onnxruntime.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Bundle to write (NAME.bundle by default); the folder of all for several networks.",
)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="State dict: .safetensors or torch.save."
)
@click.option("--input-shape", metavar="CxHxW", help="Size of one input, such as 3x224x224.")
@click.option("--labels", type=click.Path(path_type=Path), help="Class names, one per line.")
@click.option("--mean", metavar="A,B,C", help="Per channel, of pixels after --scale.")
@click.option("--std", metavar="A,B,C", help="Per channel, of pixels after --scale.")
@click.option("--scale", type=click.FloatRange(0, min_open=True), help="Pixel factor; 1/255.")
@click.option("--batch", metavar="N|dynamic", help="Samples per inference.  [default: 1]")
@click.option("--data", help="Data set whose validation images become golden inputs.")
@click.option("--output-names", metavar="A,B", help="Names of the outputs.")
@click.option(
    "--operators",
    type=click.Choice(["auto", "all", "none"]),
    default="auto",
    show_default=True,
    help="Which layers become custom operators; auto: low-bit ones, and sparse ones that are "
    "faster by estimate; none: the plain graph.",
)
@click.option("--name", help="Name of the bundle; that of the network by default.")
@click.option("--trust", multiple=True, help="A factory that a .edgenet may import and call.")
@seed_option
@output_options
def command(
    *,
    networks: tuple[str, ...],
    target: str,
    out: Path | None,
    weights: Path | None,
    input_shape: str | None,
    labels: Path | None,
    mean: str | None,
    std: str | None,
    scale: float | None,
    batch: str | None,
    data: str | None,
    output_names: str | None,
    operators: Mode,
    name: str | None,
    trust: tuple[str, ...],
    seed: int,
    output: Output,
) -> None:
    """Write NETWORK as a bundle for a board: one ONNX file, verified, with golden samples.

    NETWORK is a .edgenet folder, a zoo name, your own package.module:function that returns a
    torch.nn.Module, or an ONNX file.

    \b
    Example:
      edgesynth export nets:make_net --weights net.pt --input-shape 3x224x224
    """
    from edgesynth.export import options as given
    from edgesynth.export.summary import export_lines
    from edgesynth.workflows.export import MANY, export

    options = given.ExportOptions(
        weights=weights,
        input_shape=None if input_shape is None else given.parse_input_shape(input_shape),
        batch=None if batch is None else given.parse_batch(batch),
        preprocessing=given.parse_preprocessing(mean, std, scale),
        labels=labels,
        data=data,
        output_names=tuple(output_names.split(",")) if output_names else (),
        operators=operators,
        name=name,
        trust=trust,
    )
    paths = given.bundle_paths(networks, out, name)
    documents = [
        export(each, target=target, out=path, options=options, seed=seed, progress=output.progress)
        for each, path in zip(networks, paths, strict=True)
    ]
    document = documents[0] if len(documents) == 1 else {"schema": MANY, "exports": documents}

    def show(console: Console) -> None:
        for each in documents:
            for line in export_lines(each):
                console.print(line, markup=False)

    output.result(document, show)
