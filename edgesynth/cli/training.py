"""The options of every command that trains on data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgesynth.core.precision import PrecisionPolicy, PrecisionSchedule
    from edgesynth.tasks.training import TrainingPlan

F = TypeVar("F", bound=Callable[..., Any])


_STEPS = (
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
        "--augment",
        default="none",
        show_default=True,
        help="Of train images: flip, shift=2 (pixels at most), or flip,shift=2.",
    ),
)


def training_options(*, epochs: int, each: str) -> Callable[[F], F]:
    """Add `--data --weights --epochs --batch --learning-rate --augment --trust`; `epochs` is the
    default, `each` says in the help what is trained that often. `training_plan` reads them."""
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
        *_STEPS,
        click.option(
            "--trust", multiple=True, help="A factory that a .edgenet may import and call."
        ),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def training_plan(options: dict[str, Any]) -> TrainingPlan:
    """The plan in what the options of `training_options` were given."""
    from edgesynth.tasks.training import TrainingPlan

    return TrainingPlan(
        epochs=options["epochs"],
        batch=options["batch"],
        learning_rate=options["learning_rate"],
        augment=options["augment"],
    )


def precision_options(*, default: str = "fp32", takes: str) -> Callable[[F], F]:
    """Add `--precision --keep-precision --activation-bits`; `takes` says in the help what
    `--precision` may be. `schedule_of` reads them."""
    options = (
        click.option("--precision", default=default, show_default=True, help=takes),
        click.option(
            "--keep-precision",
            multiple=True,
            metavar="LAYER",
            help="A layer whose weights stay float32; may be given several times.",
        ),
        click.option(
            "--activation-bits",
            type=click.IntRange(1),
            help="8: every layer with weights reads 8-bit inputs.  [default: float inputs]",
        ),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def schedule_of(options: dict[str, Any]) -> PrecisionSchedule:
    """The schedule in what the options of `precision_options` were given.

    Raises UserError naming what is wrong.
    """
    from edgesynth.core.precision import parse_precision

    return parse_precision(
        options["precision"],
        keep=options["keep_precision"],
        activation_bits=options["activation_bits"],
    )


def policy_of(options: dict[str, Any]) -> PrecisionPolicy:
    """The policy of a single training; raises UserError for a schedule of several formats."""
    from edgesynth.core.errors import UserError

    schedule = schedule_of(options)
    if len(schedule.formats) > 1:
        raise UserError(
            f"--precision {schedule.text} is a schedule of generations, but one network is "
            "trained; give one format, such as int8"
        )
    return schedule.policy(1)
