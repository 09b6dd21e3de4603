"""Options of `adapt`, and how an adaptation looks in a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgesynth.cli.reproduction import show_checks

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edgesynth.workflows.adapt import Wanted

F = TypeVar("F", bound=Callable[..., Any])


def _head(context: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d)x(\d{1,4})", value)
    if match is None or not int(match[2]):
        raise click.BadParameter(f'"{value}" is not CONVOLUTIONSxCHANNELS such as 2x32')
    return int(match[1]), int(match[2])


def _batch(context: click.Context, option: click.Parameter, value: str) -> int | None:
    from edgesynth.export.options import parse_batch

    wanted = parse_batch(value)
    return None if wanted == "dynamic" else int(wanted)


_WANTED = (
    click.option(
        "--max-loss",
        type=click.FloatRange(0),
        default=1.0,
        show_default=True,
        help="Points of accuracy that may be lost on validation images.",
    ),
    click.option(
        "--require",
        "requirements",
        multiple=True,
        help="Further bounds: accuracy>=0.9, macs<=1.2M, or latency_mean<=5ms@tx2 with --cost.",
    ),
    click.option(
        "--cost",
        default="macs",
        show_default=True,
        help="What is saved: macs, measured (ms here), latency@tx2 or energy@tx2 (predicted).",
    ),
    click.option(
        "--policy",
        type=click.Choice(["learned", "entropy", "maximum", "margin"]),
        default="learned",
        show_default=True,
        help="How gates decide: learned ones, or one threshold for each exit.",
    ),
    click.option("--target", default="jetpack-4.6", show_default=True, help="As in export."),
    click.option(
        "--export-batch",
        default="1",
        show_default=True,
        callback=_batch,
        help="Of the bundle: a number, or dynamic.",
    ),
)
_EXITS = (
    click.option(
        "--exit",
        "exits",
        multiple=True,
        metavar="LAYER[:CxN]",
        help="An exit behind LAYER, with C convolutions of N channels; may be given several times."
        "  [default: layers that a break-even calculation finds]",
    ),
    click.option(
        "--exits",
        "number",
        type=click.IntRange(1, 8),
        default=3,
        show_default=True,
        help="How many, where no --exit names them.",
    ),
    click.option(
        "--head",
        default="2x32",
        show_default=True,
        callback=_head,
        help="Convolutions and their channels in the classifier of an exit; 0x1 has none.",
    ),
    click.option(
        "--backbone",
        type=click.Choice(["joint", "frozen"]),
        default="joint",
        show_default=True,
        help="joint trains all weights for all exits; frozen trains the heads only.",
    ),
    click.option(
        "--early-weight",
        type=click.FloatRange(0, min_open=True),
        default=1.0,
        show_default=True,
        help="Of each early exit in the loss, where the last one has 1.",
    ),
    click.option(
        "--distill",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default=True,
        help="Share of the last exit's outputs in the loss of the others.",
    ),
)


def wanted_options(command: F) -> F:
    """Add `--max-loss --require --cost --policy --target --export-batch`; see `wanted_of`."""
    return _add(_WANTED, command)


def exit_options(command: F) -> F:
    """Add the options that say where exits go and how they are trained."""
    return _add(_EXITS, command)


def _add(options: tuple[Callable[[Any], Any], ...], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def wanted_of(options: dict[str, Any]) -> Wanted:
    """What the options of `wanted_options` ask for; raises UserError naming what is wrong."""
    from edgesynth.core.requirement import parse_requirements
    from edgesynth.workflows.adapt import Wanted
    from edgesynth.workflows.adapt.wanted import parse_cost

    return Wanted(
        max_loss=options["max_loss"],
        requirements=parse_requirements(options["requirements"]),
        cost=parse_cost(options["cost"]),
        policy=options["policy"],
        target=options["target"],
        batch=options["export_batch"],
    )


def show_reproduction(document: dict[str, Any], console: Console) -> None:
    """Print the document of `reproduce adaptive`."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    for subject, methods in document["curves"].items():
        table = Table(title=f"{subject}, test images", title_justify="left", box=SIMPLE_HEAD)
        for title in ("method", "budget", "lost pt (worst)", "MACs x fewer", "p99 of MACs"):
            table.add_column(title, justify="left" if title == "method" else "right")
        for method, curve in methods.items():
            for each in curve:
                lost, fewer = each["lost_points"], each["times_fewer"]
                table.add_row(
                    f"always {each['stage']}" if method == "stage" else method,
                    "" if each["budget"] is None else f"{each['budget']:g}",
                    f"{lost['mean']:.2f} ({lost['high']:.2f})",
                    f"{fewer['mean']:.2f}",
                    f"{100 * each['p99_of_macs']:.0f} %",
                )
        console.print(table)
    show_checks(document, console)


def show(document: dict[str, Any], console: Console) -> None:
    """Print the document of an adaptation."""
    chosen, unit = document["chosen"], document["cost"]["unit"]
    console.print(_stages(document))
    for split in ("validation", "test"):
        console.print(
            f"{split}: {chosen['times_fewer'][split]:.2f} times less {unit} than "
            f"{document['parent']['network']}, {chosen['lost_points'][split]:+.2f} points lost"
        )
    executed = document["executed"]
    console.print(
        f"executed for real: {executed['same_class']:,} of {executed['n']:,} test images get the "
        f"simulated class, {executed['same_exit']:,} leave where simulated"
    )
    for doubt in document["doubts"]:
        console.print(f"doubt: {doubt}", markup=False)
    verdict = "holds" if document["holds"] else "FAILS"
    console.print(f"{verdict}: at most {document['max_loss_points']:g} points lost, and all bounds")
    console.print(f"next: edgesynth bench {document['bundle']}", markup=False)


def _stages(document: dict[str, Any]) -> Table:
    """One line for each stage."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    chosen, unit = document["chosen"], document["cost"]["unit"]
    table = Table(title=f"{document['name']}: stages", title_justify="left", box=SIMPLE_HEAD)
    for title in ("stage", "behind", unit, "of it head", "alone %", "leave % expected", "test"):
        table.add_column(title, justify="left" if title in ("stage", "behind") else "right")
    expected = chosen["policy"]["expected"]["exits"]
    for each in document["exits"]:
        name = each["id"]
        table.add_row(
            name,
            each.get("layer") or each.get("network") or "",
            f"{each['trunk'] + each['head']:,.4g}",
            f"{each['head']:,.4g}",
            f"{100 * each['accuracy']['validation']:.2f}",
            f"{100 * expected.get(name, 0):.1f}",
            f"{100 * chosen['test']['shares'].get(name, 0):.1f}",
        )
    return table
