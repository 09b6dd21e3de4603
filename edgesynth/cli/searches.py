"""The options of `reproduce ferminets`, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgesynth.cli.reproduction import show_checks

if TYPE_CHECKING:
    from rich.console import Console

    from edgesynth.workflows.reproduce.ferminets import SearchRecipe

F = TypeVar("F", bound=Callable[..., Any])
_OWN = ("requirements", "evaluations", "per_cycle", "proxy_epochs", "proxy_images", "networks",
        "family", "family_epochs", "margin")  # fmt: skip
_SHARED = ("network", "ancestor_epochs", "batch", "learning_rate", "augment", "offspring_augment",
           "distill", "threads")  # fmt: skip

_OPTIONS = (
    click.option("--require", "requirements", multiple=True,
                 help="ferminets: the requirement; may be given several times."),
    click.option("--evaluations", type=click.IntRange(4),
                 help="ferminets: short trainings of every search."),
    click.option("--per-cycle", type=click.IntRange(1), help="ferminets: of them in a cycle."),
    click.option("--proxy-epochs", type=click.IntRange(1), help="ferminets: of a short training."),
    click.option("--proxy-images", type=click.IntRange(1),
                 help="ferminets: train images of a short training."),
    click.option("--networks", type=click.IntRange(1),
                 help="ferminets: networks of every search that are trained fully."),
    click.option("--family", type=click.IntRange(1),
                 help="ferminets: new seeds of the generator whose networks are trained fully."),
    click.option("--family-epochs", type=click.IntRange(1),
                 help="ferminets: of those trainings.  [default: --epochs]"),
    click.option("--margin", type=float, metavar="POINTS",
                 help="ferminets: of accuracy that candidates keep above the floor."),
)  # fmt: skip


def search_options(command: F) -> F:
    """Add the options; `search_recipe` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_search_options(options: dict[str, Any]) -> None:
    """Raise UserError where one is given to another paper."""
    from edgesynth.core.errors import UserError

    given = [name for name in _OWN if options[name] not in (None, ())]
    if given:
        raise UserError(f"--{given[0].replace('_', '-')} is for reproduce ferminets")


def search_recipe(options: dict[str, Any]) -> SearchRecipe:
    """The recipe with what was asked for in place of its defaults.

    Raises UserError for options that mean nothing to a search.
    """
    from edgesynth.core.errors import UserError
    from edgesynth.workflows.reproduce.ferminets import SearchRecipe

    given = {name: options[name] for name in (*_OWN, *_SHARED) if options[name] not in (None, ())}
    if options["epochs"] is not None:
        if not options["epochs"].isdigit() or int(options["epochs"]) < 1:
            raise UserError(f"--epochs {options['epochs']}: ferminets takes one number")
        given["epochs"] = int(options["epochs"])
    strange = ("generations", "environments", "dense_environments",
               "encoding", "pressure", "own_stress", "stress", "stressed_ancestor")  # fmt: skip
    for name in strange:
        if options[name] not in (None, ()):
            raise UserError(f"--{name.replace('_', '-')} means nothing to reproduce ferminets")
    return SearchRecipe(**given)


def show_searches(document: dict[str, Any], console: Console) -> None:
    """Print the document of `reproduce ferminets`."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    heading = f"{document['paper']['name']} on {document['data']}, mean of {document['seeds']}"
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD)
    for title in ("search", "met", "NetScore +dB", "lost pt", "params x", "MACs x", "inf/J x"):
        table.add_column(title, justify="left" if title == "search" else "right")
    for one in document["summary"]:
        keys = ("gain_db", "lost_points", "fewer_params", "fewer_macs", "more_inferences_per_joule")
        cells = ["-" if one[key] is None else f"{one[key]['mean']:.2f}" for key in keys]
        table.add_row(one["search"], f"{one['holding']}/{len(one['seeds'])}", *cells)
    console.print(table)
    for each in document["not_run"]:
        console.print(f"not run: {each['rival']}: {each['reason']}", markup=False)
    show_checks(document, console)
