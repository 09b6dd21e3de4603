"""Fetch the compilers and headers of tools.txt and unpack them, once; print the folder.

    python kernels/fetch_tools.py [FOLDER]      default: build/kernel-tools

The wheels are verified against their hashes and unpacked, never installed: some of them would pull
in gigabytes. Nothing is done when the folder already holds what tools.txt names.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_HERE = Path(__file__).resolve().parent
PINS = _HERE / "tools.txt"
FOLDER = _HERE.parent / "build" / "kernel-tools"
_STAMP = "tools.sha256"


def _fingerprint() -> str:
    return hashlib.sha256(PINS.read_bytes()).hexdigest()


def is_fetched(folder: Path = FOLDER) -> bool:
    """Does `folder` hold what tools.txt names now?"""
    stamp = folder / _STAMP
    return stamp.is_file() and stamp.read_text() == _fingerprint()


def fetch(folder: Path = FOLDER) -> Path:
    """Fill `folder` unless it is filled; it is there as a whole or not at all."""
    if is_fetched(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        wheels, unpacked = Path(temporary) / "wheels", Path(temporary) / "unpacked"
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--require-hashes"]
        subprocess.run(  # noqa: S603
            [*pip, "--only-binary=:all:", "-r", str(PINS), "-d", str(wheels)], check=True
        )
        for wheel in sorted(wheels.iterdir()):
            _unpack(wheel, unpacked)
        (unpacked / _STAMP).write_text(_fingerprint())
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)
    return folder


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".a"):  # static libraries: half of it all, and never linked
                continue
            path = Path(archive.extract(entry, folder))
            if entry.external_attr >> 16 & stat.S_IXUSR and path.is_file():
                path.chmod(0o755)


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else FOLDER))
