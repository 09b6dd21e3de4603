"""The device runtime as one file that any Python 3.6 or newer runs: `python3 edgesynth_rt.pyz`."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import edgesynth_rt
from edgesynth_rt.files import write_bytes

NAME = "edgesynth_rt.pyz"
_SHEBANG = b"#!/usr/bin/env python3\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold
_PLAIN_FILE = 0o100644 << 16


def runtime_bytes() -> bytes:
    """The zipapp of the installed runtime.

    The same sources give the same bytes on every machine: members are sorted, stored without
    compression, and carry no time of theirs. So a board that has these bytes needs no new ones.
    """
    folder = Path(edgesynth_rt.__file__).parent
    stream = io.BytesIO()
    stream.write(_SHEBANG)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", (folder / "__main__.py").read_bytes())
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder.parent).as_posix()
            _add(archive, name, path.read_bytes())
    return stream.getvalue()


def write_runtime(path: Path) -> str:
    """Write the zipapp to `path` in one step; returns its SHA-256 in hexadecimal."""
    data = runtime_bytes()
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, _LONG_AGO)
    member.external_attr = _PLAIN_FILE
    member.create_system = 3  # Unix, wherever it is packed
    archive.writestr(member, data)
