"""`edgesynth train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.common import Output, output_options, seed_option
from edgesynth.cli.training import policy_of, precision_options, training_options, training_plan

if TYPE_CHECKING:
    from rich.console import Console


@click.command("train")
@click.argument("network")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="NAME.edgenet to make.")
@training_options(epochs=10, each="the network")
@precision_options(takes="Weights: fp32, fp16, int8, int4, int3, int2 or ternary.")
@click.option("--resume", is_flag=True, help="Go on after an interruption.")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@seed_option
@output_options
def command(network: str, out: Path, output: Output, **options: Any) -> None:
    """Train NETWORK: a zoo name, a .edgenet folder, a darknet .cfg, or package.module:factory.

    Arguments of a zoo network follow its name: yolov2:width=0.125,stride=16.

    \b
    Example:
      edgesynth train lenet5 --data fashion-mnist --out lenet5.edgenet
    """
    from edgesynth.workflows.train import train

    plan = training_plan(options)
    document = train(
        network,
        options["data"],
        out,
        plan=plan,
        precision=policy_of(options),
        weights=options["weights"],
        seed=options["seed"],
        resume=options["resume"],
        force=options["force"],
        trust=options["trust"],
        progress=output.progress,
    )

    def show(console: Console) -> None:
        accuracy = document["accuracy"]
        console.print(
            f"{document['network']}: test {document['metric']} {accuracy['test']:.4f} "
            f"(validation {accuracy['validation']:.4f}), {document['params']:,} parameters, "
            f"{document['macs']:,} MACs, {document['precision']} weights of "
            f"{document['weight_bytes']:,} bytes"
        )

    output.result(document, show)
