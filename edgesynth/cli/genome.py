"""Options of every command that draws offspring: how, how many parents, under which stress."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgesynth.synthesis.genome import Genome

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--encoding",
        type=click.Choice(["synapse", "cluster", "both"]),
        default="both",
        show_default=True,
        help="What lives or dies: single synapses, whole filters and neurons, or both.",
    ),
    click.option(
        "--environment",
        default="synapses=0.5",
        show_default=True,
        help="What a generation keeps: the papers' factor such as 0.7, or a budget such as "
        "synapses=0.5, params=0.5, macs=0.6, latency=0.7@tx2; then exceptions such as conv1=0.9. "
        "synapses=0.5:global lets layers compete.",
    ),
    click.option(
        "--pressure",
        type=click.FloatRange(0, 1e6),
        default=1.0,
        show_default=True,
        help="Of selection: 1 is the papers' rule, more favours the strong.",
    ),
    click.option(
        "--round-to",
        type=click.IntRange(1, 1024),
        default=1,
        show_default=True,
        help="Keep channels in multiples of this.",
    ),
    click.option(
        "--stress",
        default="none",
        show_default=True,
        help="During training: none, uniform:0.5, bernoulli:0.5 or l1:1e-4; then when, such as "
        "start=0.3,full=0.7,end=1,every=2.",
    ),
    click.option(
        "--parents",
        type=click.IntRange(1, 2),
        default=1,
        show_default=True,
        help="Of each offspring; 2 needs --offspring 2 or more.",
    ),
)


def genome_options(function: F) -> F:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def genome(options: dict[str, Any]) -> Genome:
    """The genome that the options describe.

    Raises UserError when they contradict each other.
    """
    from edgesynth.core.errors import UserError
    from edgesynth.synthesis.environment import parse_environment
    from edgesynth.synthesis.genome import Genome

    if options["parents"] > options["offspring"]:
        raise UserError("two parents are chosen from one generation; add --offspring 2 or more")
    return Genome(
        environment=parse_environment(options["environment"]),
        encoding=options["encoding"],
        pressure=options["pressure"],
        round_to=options["round_to"],
    )
