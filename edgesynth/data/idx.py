"""The IDX file format of MNIST and Fashion-MNIST, plain or gzipped.

Format (yann.lecun.com/exdb/mnist): big-endian; byte 0 and 1 are zero, byte 2 is the element type
(8: unsigned byte), byte 3 the number of dimensions, then one 32-bit size per dimension, then data.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgesynth.core.errors import UserError

_UNSIGNED_BYTE = 8
_CONTENTS_LIMIT = 1 << 30  # a hostile .gz must not fill the memory; MNIST's largest is 47 MB
_BLOCK = 1 << 18


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array of unsigned bytes in the IDX file at `path`, with `dimensions` axes.

    Raises UserError naming the file and the byte offset where it is not as expected.
    """
    return parse_idx(unpack(read_bytes(path), str(path)), dimensions, str(path))


def parse_idx(contents: bytes, dimensions: int, name: str) -> npt.NDArray[np.uint8]:
    """`read_idx` for contents already in memory; `name` is the file in error messages."""
    expected = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if contents[:4] != expected[: len(contents[:4])]:
        raise UserError(
            f"{name}: byte 0 holds 0x{contents[:4].hex()}, not 0x{expected.hex()} (IDX, unsigned "
            f"bytes, {dimensions} dimension{'s' if dimensions > 1 else ''}); is it another file?"
        )
    header = 4 + 4 * dimensions
    if len(contents) < header:
        raise UserError(
            f"{name}: ends at byte {len(contents)} inside its {header}-byte header; get it again"
        )
    shape = tuple(int(size) for size in np.frombuffer(contents, ">u4", dimensions, offset=4))
    end = header + math.prod(shape)
    if len(contents) != end:
        problem = "ends at" if len(contents) < end else "goes on to"
        raise UserError(
            f"{name}: {problem} byte {len(contents)}, but its header (sizes "
            f"{' x '.join(map(str, shape))}) promises {end} bytes; get it again"
        )
    return np.frombuffer(contents, np.uint8, offset=header).reshape(shape)


def read_bytes(path: Path) -> bytes:
    """The bytes of the file at `path`; UserError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def unpack(packed: bytes, name: str, limit: int = _CONTENTS_LIMIT) -> bytes:
    """The bytes of a file, decompressed when it is gzip; `name` is the file in error messages.

    Raises UserError when it is damaged, cut off, or unpacks to more than `limit` bytes.
    """
    if packed[:2] != b"\x1f\x8b":
        return packed
    unpacker, parts, size = zlib.decompressobj(wbits=31), [], 0
    for offset in range(0, len(packed), _BLOCK):
        try:
            parts.append(unpacker.decompress(packed[offset : offset + _BLOCK]))
        except zlib.error as error:
            raise UserError(
                f"{name}: gzip data is damaged at or after byte {offset} ({error}); get it again"
            ) from None
        size += len(parts[-1])
        if size > limit:
            raise UserError(f"{name}: unpacks to more than {limit} bytes; refused")
    if not unpacker.eof:
        raise UserError(
            f"{name}: gzip data is cut off at byte {len(packed)} (byte {size} of its contents); "
            "get it again"
        )
    return b"".join(parts)
