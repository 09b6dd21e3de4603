"""Options about boards: how they are reached, and what is done there beside measuring."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from edgesynth.workflows.deploy import Reach

F = TypeVar("F", bound=Callable[..., Any])


def reach_options(command: F) -> F:
    """Add the options; the command receives them as `reach`, a `Reach`."""

    @click.option("--remote-dir", help="Folder on the board [default: ~/.cache/edgesynth/deploy].")
    @click.option("--python", help="Python on the board, 3.6 or newer [default: python3].")
    @click.option(
        "--timeout",
        type=click.FloatRange(1, 86400),
        default=1800.0,
        show_default=True,
        help="Seconds that one step on a board may take.",
    )
    @click.option(
        "--ssh-config",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Another configuration file for ssh (ssh -F).",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        return command(*args, reach=_reach(options), **options)

    return wrapped  # type: ignore[return-value]  # fmt: skip


def on_board_options(command: F) -> F:
    """Add the options; the command receives them as `on_board`, keywords of a `DeployPlan`."""

    @click.option(
        "--precision",
        type=click.Choice(["fp32", "fp16", "int8"]),
        default="fp32",
        show_default=True,
        help="Of the engines.",
    )
    @click.option("--workspace", type=click.IntRange(1), help="MiB that building may use.")
    @click.option("--lock-clocks", is_flag=True, help="With jetson_clocks, put back afterwards.")
    @click.option(
        "--idle", type=click.FloatRange(0, 3600), help="Seconds of idle power before measuring."
    )
    @click.option(
        "--until-ci",
        callback=_share,
        metavar="PERCENT",
        help="Measure until energy is this certain, such as 2%.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        on_board = {
            "precision": options.pop("precision"),
            "workspace_mib": options.pop("workspace"),
            "lock_clocks": options.pop("lock_clocks"),
            "idle_s": options.pop("idle"),
            "until_ci": options.pop("until_ci"),
        }
        return command(*args, on_board=on_board, **options)

    return wrapped  # type: ignore[return-value]  # fmt: skip


def _share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """`2%` or `0.02` as 0.02."""
    if value is None:
        return None
    try:
        share = float(value[:-1]) / 100 if value.endswith("%") else float(value)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise click.BadParameter(f'"{value}" is no share such as 2% or 0.02', ctx, param)
    return share


def _reach(options: dict[str, Any]) -> Reach:
    """Take the options out of `options`."""
    from edgesynth.workflows.deploy import Reach

    return Reach(
        remote_dir=options.pop("remote_dir"),
        python=options.pop("python"),
        timeout_s=options.pop("timeout"),
        ssh_config=options.pop("ssh_config"),
    )
