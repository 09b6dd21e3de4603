"""`edgesynth train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from edgesynth.cli.common import Output, output_options, seed_option

if TYPE_CHECKING:
    from rich.console import Console


@click.command("train")
@click.argument("network")
@click.option("--data", required=True, help="fashion-mnist, cifar10:DIR, imagefolder:DIR, ...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="NAME.edgenet to make.")
@click.option("--weights", type=click.Path(path_type=Path), help="State dict to start from.")
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Passes over the data.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Images per training step.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0),
    default=2e-3,
    show_default=True,
    help="At its peak.",
)
@click.option("--resume", is_flag=True, help="Go on after an interruption.")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@click.option("--trust", multiple=True, help="A factory that a .edgenet may import and call.")
@seed_option
@output_options
def command(
    network: str,
    data: str,
    out: Path,
    weights: Path | None,
    epochs: int,
    batch: int,
    learning_rate: float,
    resume: bool,
    force: bool,
    trust: tuple[str, ...],
    seed: int,
    output: Output,
) -> None:
    """Train NETWORK: a zoo name, a .edgenet folder, or package.module:factory.

    \b
    Example:
      edgesynth train lenet5 --data fashion-mnist --out lenet5.edgenet
    """
    from edgesynth.tasks.training import TrainingPlan
    from edgesynth.workflows.train import train

    document = train(
        network,
        data,
        out,
        plan=TrainingPlan(epochs=epochs, batch=batch, learning_rate=learning_rate),
        weights=weights,
        seed=seed,
        resume=resume,
        force=force,
        trust=trust,
        progress=output.progress,
    )

    def show(console: Console) -> None:
        accuracy = document["accuracy"]
        console.print(
            f"{document['network']}: test accuracy {accuracy['test']:.4f} "
            f"(validation {accuracy['validation']:.4f}), {document['params']:,} parameters, "
            f"{document['macs']:,} MACs"
        )

    output.result(document, show)
