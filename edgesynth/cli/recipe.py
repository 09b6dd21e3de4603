"""The options of `reproduce` that shape its results; their defaults stand in the recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgesynth.workflows.reproduce.recipe import Recipe

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--network", help="The ancestor, from the zoo; ferminets: or a .edgenet."),
    click.option("--ancestor-epochs", type=click.IntRange(1), help="Of the ancestor's training."),
    click.option(
        "--epochs",
        help="After each synthesis, such as 4, or 3,2,8 by generation; the last one repeats.",
    ),
    click.option("--batch", type=click.IntRange(1), help="Images per training step."),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="At its peak."),
    click.option("--augment", help="Of the ancestor's training, such as flip,shift=2, or none."),
    click.option("--offspring-augment", help="Of every rival's training, likewise."),
    click.option(
        "--distill",
        type=click.FloatRange(0, 1),
        help="Share of the ancestor's outputs in the loss of every rival.",
    ),
    click.option(
        "--environment",
        "environments",
        multiple=True,
        help="What a generation of edgesynth keeps; once per generation, the last one repeats.",
    ),
    click.option(
        "--dense-environment",
        "dense_environments",
        multiple=True,
        help="The same where whole clusters die.",
    ),
    click.option(
        "--encoding",
        type=click.Choice(["synapse", "cluster", "both"]),
        help="What may die in edgesynth's lineages.",
    ),
    click.option("--pressure", type=click.FloatRange(0, 1e6), help="Of selection."),
    click.option("--own-stress", help="Of edgesynth's lineage under stress, such as cull."),
    click.option("--stress", help="Of the papers' rule for clusters, such as bernoulli:0.5."),
    click.option(
        "--stressed-ancestor/--same-ancestor",
        default=None,
        help="Whether that rival's ancestor is trained under stress too.",
    ),
    click.option(
        "--compressed",
        help="Of dyvedeep: the weight-compressed network, as a run folder of evolve, a .edgenet, a "
        "network to evolve in the run, or none.",
    ),
    click.option("--threads", type=click.IntRange(1), help="Of torch in each process."),
)


def recipe_options(command: F) -> F:
    """Add the options to a command; `recipe_of` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def recipe_of(options: dict[str, Any]) -> Recipe:
    """The recipe with what was asked for in place of its defaults.

    Raises UserError when a part is not understood.
    """
    from dataclasses import fields

    from edgesynth.core.errors import UserError
    from edgesynth.workflows.reproduce.recipe import Recipe

    if options["compressed"] is not None:
        raise UserError(f"--compressed means nothing to reproduce {options['paper']}")
    names = [each.name for each in fields(Recipe)]
    given = {name: options[name] for name in names if options[name] not in (None, ())}
    if "epochs" in given:
        parts = given["epochs"].split(",")
        if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
            raise UserError(f"--epochs {given['epochs']}: write for example 4, or 3,2,8")
        given["epochs"] = tuple(int(part) for part in parts)
    return Recipe(**given)
