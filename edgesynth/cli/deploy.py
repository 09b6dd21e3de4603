"""`edgesynth deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgesynth.cli.boards import reach_options
from edgesynth.cli.common import Output, output_options, seed_option
from edgesynth.cli.measuring import measuring_options

if TYPE_CHECKING:
    from edgesynth.workflows.deploy import Reach
    from edgesynth.workflows.measuring import MeasuringPlan


@click.command("deploy")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("hosts", nargs=-1, metavar="[USER@HOST]...")
@click.option(
    "--hosts",
    "hosts_file",
    type=click.Path(path_type=Path),
    help="A hosts.toml with further boards: [NAME] and address, python, remote-dir, timeout.",
)
@click.option("--bench", is_flag=True, help="Measure there too, and bring the record back.")
@click.option("--clean", is_flag=True, help="Leave nothing behind on the boards.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("records"),
    show_default=True,
    help="Folder of the records, with one folder for each board.",
)
@click.option(
    "--require",
    "requirements",
    multiple=True,
    help="A bound such as latency_p95<=15ms; needs --bench; exit 1 when one does not hold.",
)
@reach_options
@measuring_options
@seed_option
@output_options
def command(
    output: Output,
    *,
    bundle: Path,
    hosts: tuple[str, ...],
    hosts_file: Path | None,
    bench: bool,
    clean: bool,
    out: Path,
    requirements: tuple[str, ...],
    plan: MeasuringPlan,
    reach: Reach,
) -> int:
    """Send BUNDLE to boards over SSH, build and verify it there, and measure it with --bench.

    Your own ssh configuration, keys and jump hosts are used; host keys are always checked. Only
    what changed is sent. Boards work at the same time; the exit code is 3 when any was out of
    reach, else that of the first that failed. `local:` is this machine, in a temporary folder.

    \b
    Example:
      edgesynth deploy child.bundle nvidia@tx2.local --bench --precision fp16
    """
    from edgesynth.cli.deployment import show_deployment, tell_errors
    from edgesynth.core.errors import UserError
    from edgesynth.core.requirement import parse_requirements
    from edgesynth.remote.hosts import named_hosts, read_hosts
    from edgesynth.workflows.board_steps import DeployPlan
    from edgesynth.workflows.deploy import deploy

    if requirements and not bench:
        raise UserError("--require judges a measurement; add --bench")
    document = deploy(
        bundle,
        [*named_hosts(hosts), *(read_hosts(hosts_file) if hosts_file else ())],
        plan=DeployPlan(
            bench=bench,
            clean=clean,
            measuring=plan,
            requirements=parse_requirements(requirements),
            out=out,
        ),
        reach=reach,
        progress=output.progress,
    )
    output.result(document, lambda console: show_deployment(document, console))
    tell_errors(document)
    return int(document["exit_code"])
