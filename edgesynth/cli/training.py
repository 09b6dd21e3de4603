"""The options of every command that trains on data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

F = TypeVar("F", bound=Callable[..., Any])


def training_options(*, epochs: int, each: str) -> Callable[[F], F]:
    """Add `--data --weights --epochs --batch --learning-rate --trust`; `epochs` is the default,
    `each` says in the help what is trained that often."""
    options = (
        click.option(
            "--data", required=True, help="fashion-mnist, cifar10:DIR, imagefolder:DIR, ..."
        ),
        click.option(
            "--weights", type=click.Path(path_type=Path), help="State dict to start from."
        ),
        click.option(
            "--epochs",
            type=click.IntRange(1),
            default=epochs,
            show_default=True,
            help=f"Passes over the data for {each}.",
        ),
        click.option(
            "--batch",
            type=click.IntRange(1),
            default=64,
            show_default=True,
            help="Images per training step.",
        ),
        click.option(
            "--learning-rate",
            type=click.FloatRange(0, min_open=True),
            default=2e-3,
            show_default=True,
            help="At its peak.",
        ),
        click.option(
            "--trust", multiple=True, help="A factory that a .edgenet may import and call."
        ),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add
