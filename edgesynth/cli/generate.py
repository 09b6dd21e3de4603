"""`edgesynth generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.common import Output, output_options, seed_option
from edgesynth.cli.generation import family_plan, generation_options, generation_plan, show
from edgesynth.cli.raising import executor_options

if TYPE_CHECKING:
    from edgesynth.workflows.measured_cost import MeasuredCost


@click.command("generate")
@click.argument("parent", required=False)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@generation_options
@click.option(
    "--from",
    "generator",
    type=click.Path(path_type=Path),
    metavar="GENERATOR",
    help="A saved .generator, instead of PARENT: makes --networks of new seeds without a search.",
)
@click.option("--measure", metavar="USER@HOST", help="Measure every network on this board.")
@click.option(
    "--measure-cache",
    type=click.Path(path_type=Path),
    help="Folder of what boards have measured.  [default: OUT/measured]",
)
@click.option(
    "--ssh-config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Another configuration file for ssh (ssh -F), for --measure.",
)
@click.option("--remote-dir", help="Folder on the board of --measure.")
@click.option("--python", help="Python on the board of --measure.")
@click.option(
    "--target", default="jetpack-4.6", show_default=True, help="That --measure exports for."
)
@click.option(
    "--duration",
    type=click.FloatRange(0),
    default=3.0,
    show_default=True,
    help="Seconds that --measure takes for a network.",
)
@executor_options
@click.option("--resume", is_flag=True, help="Go on with the search in --out, if there is one.")
@seed_option
@output_options
def command(output: Output, **options: Any) -> int:
    """Learn a generator of networks that meet a requirement from PARENT, a trained .edgenet.

    Networks of the generator are trained shortly and judged, cycle after cycle; the best are then
    trained fully. OUT/NAME.generator makes further networks later, with --from. Exit code 1 means
    that nothing meets the requirement; the best found and what stands in the way are told.

    \b
    Example:
      edgesynth generate lenet5.edgenet --data fashion-mnist --out family --require "macs<=300k"
    """
    from edgesynth.core.errors import UserError
    from edgesynth.synthesis.executor import ExecutorPlan
    from edgesynth.workflows.generate import generate
    from edgesynth.workflows.generated import generate_from

    if (options["parent"] is None) == (options["generator"] is None):
        raise UserError("give PARENT, a trained network, or --from GENERATOR")
    shared: dict[str, Any] = {
        "executor": ExecutorPlan(options["executor"], options["workers"], options["address"]),
        "measure": _measure(options, output),
        "resume": options["resume"],
        "trust": options["trust"],
        "progress": output.progress,
    }
    if options["generator"] is not None:
        document = generate_from(
            options["generator"], options["out"], plan=family_plan(options), **shared
        )
    else:
        if options["data"] is None:
            raise UserError("--data says what networks are trained on; give for example digits")
        document = generate(
            options["parent"],
            options["data"],
            options["out"],
            plan=generation_plan(options),
            weights=options["weights"],
            **shared,
        )
    output.result(document, lambda console: show(document, console))
    return 0 if document["holds"] else 1


def _measure(options: dict[str, Any], output: Output) -> MeasuredCost | None:
    if options["measure"] is None:
        return None
    from edgesynth.remote.hosts import named_hosts
    from edgesynth.workflows.deploy import Reach
    from edgesynth.workflows.measured_cost import MeasuredCost
    from edgesynth.workflows.measuring import MeasuringPlan

    return MeasuredCost(
        named_hosts([options["measure"]])[0],
        options["measure_cache"] or options["out"] / "measured",
        Reach(
            remote_dir=options["remote_dir"],
            python=options["python"],
            ssh_config=options["ssh_config"],
        ),
        MeasuringPlan(duration_s=options["duration"]),
        options["target"],
        output.progress,
    )
