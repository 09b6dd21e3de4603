"""How long work tells its caller where it is, without knowing about terminals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One running piece of work."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Report `steps` more done; `note` is a short current figure such as `loss 0.31`."""


class Progress(Protocol):
    """Where long work reports to."""

    def track(self, label: str, total: int) -> AbstractContextManager[Task]:
        """A context that yields the `Task` of `total` steps called `label`."""

    def say(self, text: str) -> None:
        """One line for a person, on stderr."""


class _SilentTask:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


class Silent:
    """Progress that nobody watches: the default of every workflow."""

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Task]:
        yield _SilentTask()

    def say(self, text: str) -> None:
        pass
