"""Options that say how boards are reached, and how they become a `Reach`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

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


def _reach(options: dict[str, Any]) -> Reach:
    """Take the options out of `options`."""
    from edgesynth.workflows.deploy import Reach

    return Reach(
        remote_dir=options.pop("remote_dir"),
        python=options.pop("python"),
        timeout_s=options.pop("timeout"),
        ssh_config=options.pop("ssh_config"),
    )
