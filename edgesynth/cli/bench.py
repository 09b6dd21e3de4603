"""`edgesynth bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgesynth.cli.common import Output, output_options, seed_option
from edgesynth.cli.measuring import measuring_options

if TYPE_CHECKING:
    from edgesynth.workflows.measuring import MeasuringPlan


@click.command("bench")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@measuring_options
@click.option(
    "--require",
    "requirements",
    multiple=True,
    help="A bound such as latency_p95<=15ms or accuracy>=0.905; exit 1 when one does not hold.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Record to write (a folder for several bundles), raw latencies beside it.",
)
@click.option(
    "--export-times",
    type=click.Path(path_type=Path),
    help="Write every latency, as trtexec does.",
)
@click.option(
    "--import",
    "times",
    type=click.Path(path_type=Path),
    help="Measure nothing: take trtexec's --exportTimes of a board.",
)
@click.option("--import-profile", type=click.Path(path_type=Path), help="And its --exportProfile.")
@click.option("--device", help="The board that --import comes from: tx2, nano, ...")
@seed_option
@output_options
def command(
    output: Output,
    bundles: tuple[Path, ...],
    plan: MeasuringPlan,
    requirements: tuple[str, ...],
    out: Path | None,
    export_times: Path | None,
    times: Path | None,
    import_profile: Path | None,
    device: str | None,
) -> int:
    """Measure BUNDLES on this machine; several take turns within one run.

    \b
    Example:
      edgesynth bench child.bundle --require "latency_p95<=5ms" --out child.record.json
    """
    from edgesynth.cli.records import show_comparison, show_record
    from edgesynth.core.requirement import parse_requirements
    from edgesynth.core.verdicts import all_hold
    from edgesynth.workflows.bench import bench, bench_imported

    wanted = parse_requirements(requirements)
    if times or import_profile or device:
        document = bench_imported(
            bundles, times, import_profile, device, plan=plan, requirements=wanted, out=out
        )
    else:
        document = bench(
            bundles,
            plan=plan,
            requirements=wanted,
            out=out,
            export_times=export_times,
            progress=output.progress,
        )
    show = show_record if len(bundles) == 1 else show_comparison
    output.result(document, lambda console: show(document, console))
    records = document.get("records", [document])
    return 0 if all(all_hold(record["requirements"]) for record in records) else 1
