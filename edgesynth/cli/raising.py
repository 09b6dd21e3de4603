"""The options of commands that raise offspring: natural selection, and where the work is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def selection_options(command: F) -> F:
    """Add `--selection --reject --tries`."""
    return _with(
        command,
        click.option(
            "--selection",
            type=click.Choice(["fittest", "tournament"]),
            default="fittest",
            show_default=True,
            help="The most accurate lives on, or the one that is best within the cost goals.",
        ),
        click.option(
            "--reject",
            type=click.FloatRange(0),
            metavar="POINTS",
            help="Sample an offspring again that loses more accuracy than this to its parent.",
        ),
        click.option(
            "--tries",
            type=click.IntRange(1, 26),
            default=3,
            show_default=True,
            help="How often an offspring is sampled at most.",
        ),
    )


def executor_options(command: F) -> F:
    """Add `--executor --workers --address --threads`."""
    return _with(
        command,
        click.option(
            "--executor",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Processes of this machine, or a Ray cluster; the result is the same.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1),
            help="Offspring raised at a time; by default one per core, at most --offspring.",
        ),
        click.option("--address", help="Of the Ray cluster: auto, HOST:PORT or ray://HOST:PORT."),
        click.option(
            "--threads",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Of each worker; another number gives slightly other weights.",
        ),
    )


def _with(command: F, *options: Callable[[F], F]) -> F:
    for option in reversed(options):
        command = option(command)
    return command
