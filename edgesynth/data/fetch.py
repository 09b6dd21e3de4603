"""Fetching a file once into the cache, checked by the SHA-256 of its contents."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from edgesynth.core.errors import MissingError, UserError
from edgesynth.core.progress import Progress, Task
from edgesynth.data.idx import unpack
from edgesynth_rt.files import write_bytes

_BLOCK = 1 << 16


@dataclass(frozen=True)
class RemoteFile:
    """A file that is published at one or more addresses."""

    name: str
    packed_bytes: int
    """Size as published, for the progress bar; nothing is checked against it."""
    sha256: str
    """Of the contents, unpacked when the file is gzip: packing it again changes nothing."""


def cache_folder() -> Path:
    """Where fetched data lives: `$EDGESYNTH_HOME`, else `~/.cache/edgesynth`."""
    home = os.environ.get("EDGESYNTH_HOME")
    return Path(home) if home else Path.home() / ".cache" / "edgesynth"


def fetch(
    file: RemoteFile,
    folder: Path,
    addresses: Sequence[str],
    *,
    progress: Progress,
    timeout_s: float = 20.0,
) -> Path:
    """The file inside `folder`, fetched from the first of `addresses` that has it intact.

    An address is the http(s) folder of the file. What arrives is kept only when its contents have
    the right SHA-256. Raises MissingError naming what every address answered.
    """
    target = folder / file.name
    if target.is_file():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cache {folder} cannot be made: {error.strerror}") from None
    refusals = []
    for address in addresses:
        url = address.rstrip("/") + "/" + file.name
        try:
            with progress.track(f"fetching {file.name}", file.packed_bytes) as task:
                packed = _download(url, 2 * file.packed_bytes, timeout_s, task)
            found = hashlib.sha256(unpack(packed, file.name)).hexdigest()
        except (HTTPException, OSError, ValueError, UserError) as error:
            refusals.append(f"{url}: {getattr(error, 'reason', None) or error}")
            continue
        if found == file.sha256:
            write_bytes(target, packed)
            return target
        refusals.append(f"{url}: SHA-256 of the contents is {found[:12]}, not {file.sha256[:12]}")
    raise MissingError(f"{file.name} cannot be fetched ({'; '.join(refusals)})")


def _download(url: str, limit: int, timeout_s: float, task: Task) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise ValueError("only http and https addresses are fetched")
    parts, size = [], 0
    try:
        answer = urllib.request.urlopen(url, timeout=timeout_s)  # noqa: S310 - checked above
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection
            raise ValueError(f"answers {error.code} {error.reason}") from None
    with answer as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            parts.append(block)
            size += len(block)
            task.advance(len(block))
            if size > limit:
                raise ValueError(f"sends more than {limit} bytes")
        promised = stream.headers.get("Content-Length")
    if promised is not None and int(promised) != size:
        raise ValueError(f"connection ended at byte {size} of {promised}")
    return b"".join(parts)
