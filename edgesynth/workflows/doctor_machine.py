"""Where `doctor` looks: a machine's files, programs, packages and our libraries."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesynth.workflows.doctor_plugins import operator_places, usual_places


def installed_version(distribution: str) -> str | None:
    """Version of an installed Python distribution, from its metadata alone."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Machine:
    """Where to look: `root` for files of the system, `path` for programs (default: $PATH)."""

    root: Path = Path("/")
    path: str | None = None
    version_of: Callable[[str], str | None] = installed_version
    plugins: Callable[[], list[Path]] = usual_places
    """Files that may be our plugin library."""
    operators: Callable[[], list[Path]] = operator_places
    """Files that may be the operators compiled for this machine's processor."""

    def program(self, *names: str) -> str | None:
        """The first of the programs `names` that is on `path`."""
        found = (shutil.which(name, path=self.path) for name in names)
        return next((program for program in found if program), None)

    def files(self, *patterns: str) -> list[Path]:
        """The files under `root` that match any of the glob `patterns`, in order."""
        return [file for pattern in patterns for file in sorted(self.root.glob(pattern))]
