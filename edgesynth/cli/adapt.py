"""`edgesynth adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.adaptation import exit_options, wanted_of, wanted_options
from edgesynth.cli.common import Output, output_options, seed_option
from edgesynth.cli.training import training_options, training_plan

if TYPE_CHECKING:
    from rich.console import Console

METHODS = ("exits", "cascade", "effort")


@click.command("adapt")
@click.argument("networks", nargs=-1, required=True)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    required=True,
    help="exits: early exits for one network; cascade: a choice among several; effort: "
    "convolutions that leave out what an input does not need.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@training_options(epochs=5, each="the exits")
@wanted_options
@exit_options
@click.option(
    "--objective",
    type=click.Choice(["operations", "time"]),
    default="operations",
    show_default=True,
    help="Of effort: operations of a scalar machine, or work of the compiled operator.",
)
@click.option("--force", is_flag=True, help="Replace --out if it holds an adaptation.")
@seed_option
@output_options
def command(networks: tuple[str, ...], output: Output, **options: Any) -> int:
    """Make NETWORKS do less work for easy inputs: a trained .edgenet, or several networks.

    The folder --out gets adapted.bundle, to be measured with bench, and adaptation.json. A cascade
    also takes ONNX files; it trains nothing but its policy. effort (DyVEDeep) trains nothing.

    \b
    Example:
      edgesynth adapt lenet5.edgenet --method exits --data fashion-mnist --out adapted
    """
    document = _run(networks, output, options)
    output.result(document, lambda console: _show(document, console))
    return 0 if document["holds"] else 1


def _run(networks: tuple[str, ...], output: Output, options: dict[str, Any]) -> dict[str, Any]:
    from edgesynth.core.errors import UserError
    from edgesynth.workflows import adapt

    wanted = wanted_of(options)
    shared: dict[str, Any] = {
        "wanted": wanted,
        "seed": options["seed"],
        "force": options["force"],
        "progress": output.progress,
    }
    if options["method"] == "cascade":
        plan = adapt.CascadePlan(options["trust"])
        return adapt.adapt_cascade(networks, options["data"], options["out"], plan=plan, **shared)
    if len(networks) > 1:
        method = options["method"]
        raise UserError(f"--method {method} takes one network; --method cascade takes several")
    if options["method"] == "effort":
        effort = adapt.EffortPlan(
            objective=options["objective"], trust=options["trust"], weights=options["weights"]
        )
        return adapt.adapt_effort(
            networks[0], options["data"], options["out"], plan=effort, **shared
        )
    from edgesynth.dynamic.training import ExitPlan

    training = ExitPlan(
        training_plan(options), options["backbone"], options["early_weight"], options["distill"]
    )
    exits = adapt.ExitsPlan(training, options["exits"], options["number"], *options["head"])
    return adapt.adapt_exits(
        networks[0],
        options["data"],
        options["out"],
        plan=exits,
        weights=options["weights"],
        trust=options["trust"],
        **shared,
    )


def _show(document: dict[str, Any], console: Console) -> None:
    from edgesynth.cli import adaptation, knobs

    (knobs if document["method"] == "effort" else adaptation).show(document, console)
