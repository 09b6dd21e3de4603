"""What made a result: the command and the versions of everything that shaped it."""

from __future__ import annotations

import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, edgesynth and `packages`; packages that are absent are left out."""
    found = {"python": platform.python_version()}
    for package in ("edgesynth", *packages):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def command_line() -> str:
    """The command as the user could type it again."""
    program = Path(sys.argv[0]).name
    program = "edgesynth" if program in ("main.py", "edgesynth", "__main__.py") else program
    return shlex.join([program, *sys.argv[1:]])
