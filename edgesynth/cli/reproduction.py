"""What `reproduce` reads and prints alike for every paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgesynth.cli.common import Output

if TYPE_CHECKING:
    from rich.console import Console

_SHARED = ("paper", "data", "out", "seeds", "workers", "seed", "generations", "rivals")
_WORDS = {True: "holds", False: "FAILS", None: "not known"}


def _recipe_without_lineages(options: dict[str, Any]) -> dict[str, Any]:
    """The options that make the recipe of a paper that has no generations and no rivals.

    Raises UserError where one of those is given.
    """
    from edgesynth.core.errors import UserError

    if options["generations"] is not None or options["rivals"]:
        raise UserError(f"--generations and --rival mean nothing to reproduce {options['paper']}")
    return {name: value for name, value in options.items() if name not in _SHARED}


def run_without_lineages(
    options: dict[str, Any],
    output: Output,
    reproduce: Callable[..., dict[str, Any]],
    recipe_of: Callable[[dict[str, Any]], object],
    show: Callable[[dict[str, Any], Console], None],
) -> int:
    """Reproduce a paper that has no generations and no rivals; the exit code."""
    recipe = recipe_of(_recipe_without_lineages(options))
    return run_apart(options, output, reproduce, show, recipe=recipe)


def run_apart(
    options: dict[str, Any],
    output: Output,
    reproduce: Callable[..., dict[str, Any]],
    show: Callable[[dict[str, Any], Console], None],
    **own: object,
) -> int:
    """Call `reproduce` with the options of every paper and with `own`, and show its document; the
    exit code."""
    first = options["seed"]
    document = reproduce(
        options["data"],
        options["out"],
        seeds=range(first, first + options["seeds"]),
        workers=options["workers"],
        progress=output.progress,
        **own,
    )
    output.result(document, lambda console: show(document, console))
    return 0 if document["holds"] else 1


def show_checks(document: dict[str, Any], console: Console) -> None:
    """Print what was asked of a reproduction and what was found, a line each."""
    for each in document["checks"]:
        verdict = _WORDS[each["holds"]]
        console.print(f"{verdict}: {each['claim']}: {each['found']}", markup=False)
