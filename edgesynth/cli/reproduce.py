"""`edgesynth reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.common import Output, output_options, seed_option
from edgesynth.cli.recipe import recipe_of, recipe_options
from edgesynth.cli.reproduction import run_apart, run_without_lineages, show_checks
from edgesynth.cli.searches import (
    refuse_search_options,
    search_options,
    search_recipe,
    show_searches,
)

if TYPE_CHECKING:
    from rich.console import Console


@click.command("reproduce")
@click.argument("paper")
@click.option("--data", default="fashion-mnist", show_default=True, help="As in train.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of results.")
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many, from --seed."
)
@click.option(
    "--generations",
    type=click.IntRange(2),
    help="Counts the ancestor as generation 1.  [default: the paper's]",
)
@click.option("--rival", "rivals", multiple=True, help="Only this one; may be given several times.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes, one seed each.",
)
@recipe_options
@search_options
@seed_option
@output_options
def command(output: Output, **options: Any) -> int:
    """Hold what PAPER claims beside what is obtained here.

    PAPER is stressednets, precision, ferminets, adaptive or dyvedeep.

    All rivals start from the same ancestor and are trained alike. Networks that --out holds are not
    made again, and the results of several calls in one --out add up.

    \b
    Example:
      edgesynth reproduce stressednets --data fashion-mnist --out stressednets --workers 2
    """
    if options["paper"] == "ferminets":
        return _ferminets(options, output)
    refuse_search_options(options)
    if options["paper"] == "adaptive":
        return _adaptive(options, output)
    if options["paper"] == "dyvedeep":
        return _dyvedeep(options, output)
    from edgesynth.workflows.reproduce import ReproductionPlan, reproduce

    first = options["seed"]
    plan = ReproductionPlan(
        seeds=range(first, first + options["seeds"]),
        generations=options["generations"],
        rivals=options["rivals"],
        workers=options["workers"],
    )
    document = reproduce(
        options["paper"],
        options["data"],
        options["out"],
        plan=plan,
        recipe=recipe_of(options),
        progress=output.progress,
    )
    output.result(document, lambda console: _show(document, console))
    return 0 if document["holds"] else 1


def _ferminets(options: dict[str, Any], output: Output) -> int:
    """Searches have no generations and no lineages, so they run apart."""
    from edgesynth.workflows.reproduce.ferminets import reproduce_ferminets

    return run_apart(
        options,
        output,
        reproduce_ferminets,
        show_searches,
        searches=options["rivals"],
        recipe=search_recipe(options),
    )


def _adaptive(options: dict[str, Any], output: Output) -> int:
    from edgesynth.cli.adaptation import show_reproduction
    from edgesynth.workflows.reproduce.adaptive import reproduce_adaptive
    from edgesynth.workflows.reproduce.adaptive_recipe import adaptive_recipe

    return run_without_lineages(
        options, output, reproduce_adaptive, adaptive_recipe, show_reproduction
    )


def _dyvedeep(options: dict[str, Any], output: Output) -> int:
    from edgesynth.cli.effort_reproduction import show_effort_reproduction
    from edgesynth.workflows.reproduce.dyvedeep import reproduce_dyvedeep
    from edgesynth.workflows.reproduce.dyvedeep_recipe import effort_recipe

    return run_without_lineages(
        options, output, reproduce_dyvedeep, effort_recipe, show_effort_reproduction
    )


def _show(document: dict[str, Any], console: Console) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    heading = f"{document['paper']['name']} on {document['data']}, test accuracy"
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD)
    for title in ("rival", "gen", "synapses x", "dense x", "MACs x", "bytes x",
                  "accuracy % (min..max)", "lost pt"):  # fmt: skip
        table.add_column(title, justify="left" if title == "rival" else "right", no_wrap=True)
    for one in document["summary"]:
        fewer = (one["fewer"][key] for key in ("synapses", "params", "macs", "weight_bytes"))
        mean, low, high = (100 * one["test_accuracy"][key] for key in ("mean", "low", "high"))
        table.add_row(
            one["rival"],
            str(one["generation"]),
            *(f"{ratio['mean']:.2f}" for ratio in fewer),
            f"{mean:.2f} ({low:.2f}..{high:.2f})",
            f"{one['lost_points']['mean']:.2f}",
        )
    console.print(table)
    for each in document["not_run"]:
        console.print(f"not run: {each['rival']}: {each['reason']}", markup=False)
    show_checks(document, console)
