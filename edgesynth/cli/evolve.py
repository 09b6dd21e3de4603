"""`edgesynth evolve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.common import Output, output_options, seed_option
from edgesynth.cli.genome import genome, genome_options
from edgesynth.cli.raising import executor_options, selection_options
from edgesynth.cli.training import precision_options, schedule_of, training_options, training_plan

if TYPE_CHECKING:
    from rich.console import Console


@click.command("evolve")
@click.argument("parent")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder to make.")
@training_options(epochs=4, each="each offspring")
@precision_options(takes="Weights, as int4; or per generation, as fp32,fp16,int8,int4.")
@click.option(
    "--generations",
    type=click.IntRange(2),
    default=4,
    show_default=True,
    help="Counts the ancestor as generation 1.",
)
@click.option(
    "--offspring",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Networks per generation.",
)
@genome_options
@click.option(
    "--require",
    "requirements",
    multiple=True,
    default=["accuracy_loss<=1"],
    show_default=True,
    help="Bounds such as accuracy>=0.905, params<=43k, macs<=1.2M.",
)
@click.option(
    "--distill",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of PARENT's outputs in the loss of every offspring.",
)
@selection_options
@executor_options
@click.option("--resume", is_flag=True, help="Go on with the run in --out, if there is one.")
@seed_option
@output_options
def command(output: Output, **options: Any) -> int:
    """Evolve smaller networks from PARENT, a trained .edgenet (or a factory with --weights).

    \b
    Example:
      edgesynth evolve lenet5.edgenet --data fashion-mnist --out run --require "macs<=900k"
    """
    from edgesynth.core.requirement import parse_requirements
    from edgesynth.synthesis.evolution import EvolutionPlan
    from edgesynth.synthesis.executor import ExecutorPlan
    from edgesynth.synthesis.stress import parse_stress
    from edgesynth.workflows.evolve import evolve

    plan = EvolutionPlan(
        generations=options["generations"],
        offspring=options["offspring"],
        genome=genome(options),
        stress=parse_stress(options["stress"]),
        parents=options["parents"],
        selection=options["selection"],
        reject=options["reject"],
        tries=options["tries"],
        threads=options["threads"],
        distill=options["distill"],
        epochs=options["epochs"],
        requirements=parse_requirements(options["requirements"]),
        seed=options["seed"],
        precision=schedule_of(options),
    )
    training = training_plan(options)
    document = evolve(
        options["parent"],
        options["data"],
        options["out"],
        plan=plan,
        training=training,
        weights=options["weights"],
        executor=ExecutorPlan(options["executor"], options["workers"], options["address"]),
        resume=options["resume"],
        trust=options["trust"],
        progress=output.progress,
    )
    output.result(document, lambda console: _show(document, console))
    return 0 if document["holds"] else 1


def _show(document: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    ancestor, best = document["ancestor"], document["best"]
    table = Table(title=f"{document['network']} ({best['id']})", title_justify="left")
    for column, justify in (("", "left"), ("ancestor", "right"), ("best", "right"), ("", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for name in ("test_accuracy", "accuracy"):
        label = f"{'test' if name == 'test_accuracy' else 'validation'} {document['metric']}"
        change = f"{100 * (best[name] - ancestor[name]):+.2f} pt"
        table.add_row(label, f"{ancestor[name]:.4f}", f"{best[name]:.4f}", change)
    table.add_row("precision", ancestor["precision"], best["precision"], "")
    for name in (
        "synapses", "clusters", "params", "macs", "size_bytes", "weight_bytes",
        "weight_bytes_with_index",
    ):  # fmt: skip
        ratio = f"{ancestor[name] / best[name]:.2f}x fewer"
        table.add_row(name.replace("_", " "), f"{ancestor[name]:,}", f"{best[name]:,}", ratio)
    console.print(table)
    console.print(f"stopped: {document['stopped']}")
    for verdict in document["requirements"]:
        console.print(f"{'holds' if verdict['holds'] else 'FAILS'}: {verdict['requirement']}")
