"""What every command shares: its output options and where talk and results go.

Results go to stdout (one JSON document with `--json`), talk goes to stderr.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgesynth.core.progress import Silent, Task

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from edgesynth.core.progress import Progress

F = TypeVar("F", bound=Callable[..., Any])


class Output:
    """Where one command writes: `result` to stdout, everything else to stderr."""

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet

    @property
    def progress(self) -> Progress:
        """Bars on a terminal, one line per finished piece of work elsewhere, nothing if quiet."""
        if self.quiet:
            return Silent()
        return _Terminal() if sys.stderr.isatty() else _Lines()

    def say(self, text: str) -> None:
        """One line of talk."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def result(self, document: object, show: Callable[[Console], None]) -> None:
        """Print the command's one result: `document` with --json, else what `show` draws."""
        if self.as_json:
            import msgspec

            sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
            sys.stdout.flush()
            return
        from rich.console import Console

        width = None if sys.stdout.isatty() else 100
        show(Console(file=sys.stdout, width=width, highlight=False))


def output_options(command: F) -> F:
    """Add `--json`, `--quiet` and `--verbose`; the command receives them as `output`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
    @click.option("-q", "--quiet", is_flag=True, help="No talk and no progress on stderr.")
    @click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        help="With an error, also show where in the code it arose.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, quiet: bool, **kwargs: Any) -> Any:
        return command(*args, output=Output(as_json, quiet), **kwargs)

    return wrapped  # type: ignore[return-value]


def seed_option(command: F) -> F:
    """Add `--seed`."""
    return click.option(
        "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seeds every draw."
    )(command)


class _Terminal:
    """Rich bars; one live display at a time, nested work adds a bar to it."""

    def __init__(self) -> None:
        self._live: RichProgress | None = None

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Task]:
        if self._live is not None:
            task = self._live.add_task(label, total=total, note="")
            try:
                yield _Bar(self._live, task)
            finally:
                self._live.remove_task(task)
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[note]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as live:
            self._live = live
            try:
                yield _Bar(live, live.add_task(label, total=total, note=""))
            finally:
                self._live = None

    def say(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr)


class _Bar:
    def __init__(self, live: RichProgress, task: TaskID) -> None:
        self._live, self._task = live, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._live.update(self._task, advance=steps, note=note)


class _Lines(Silent):
    """Away from a terminal only the talk is printed, so that logs stay short."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
