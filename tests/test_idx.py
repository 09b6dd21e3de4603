"""IDX files: round trip, and every way of being wrong named with file and offset."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from edgesynth.core.errors import UserError
from edgesynth.data.idx import parse_idx, read_idx, unpack
from idx_files import idx_bytes

arrays = nps.arrays(np.uint8, nps.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=7))


@given(arrays)
def test_round_trip_plain_and_gzipped(array: np.ndarray) -> None:
    data = idx_bytes(array)
    for packed in (data, gzip.compress(data)):
        found = parse_idx(unpack(packed, "f"), array.ndim, "f")
        assert found.dtype == np.uint8
        assert np.array_equal(found, array)


@given(arrays, st.data())
def test_a_file_cut_anywhere_is_refused_with_the_offset(
    array: np.ndarray, data: st.DataObject
) -> None:
    whole = idx_bytes(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(UserError, match=rf"^f: ends at byte {cut}\b"):
        parse_idx(whole[:cut], array.ndim, "f")


@given(arrays, st.data())
def test_a_gzip_file_cut_anywhere_is_refused(array: np.ndarray, data: st.DataObject) -> None:
    packed = gzip.compress(idx_bytes(array))
    cut = data.draw(st.integers(2, len(packed) - 1))
    with pytest.raises(UserError, match=f"^f: gzip data is cut off at byte {cut} "):
        unpack(packed[:cut], "f")


@given(st.binary(max_size=64), st.integers(1, 3))
def test_any_bytes_are_an_array_or_one_line(data: bytes, dimensions: int) -> None:
    try:
        assert parse_idx(unpack(data, "f"), dimensions, "f").ndim == dimensions
    except UserError as error:
        assert str(error).startswith("f: ")
        assert "\n" not in str(error)


def test_a_label_file_given_as_images_is_named_by_its_first_bytes(tmp_path: Path) -> None:
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(idx_bytes(np.zeros(6, np.uint8)))
    with pytest.raises(UserError, match=r"byte 0 holds 0x00000801, not 0x00000803"):
        read_idx(file, 3)


def test_bytes_behind_the_data_are_refused() -> None:
    data = idx_bytes(np.zeros((2, 3), np.uint8))  # 12 bytes of header, 6 of data
    with pytest.raises(UserError, match=r"goes on to byte 19, .* promises 18 bytes"):
        parse_idx(data + b"x", 2, "f")


def test_a_huge_promise_asks_for_no_memory() -> None:
    data = bytes([0, 0, 8, 3]) + b"\xff" * 12
    with pytest.raises(UserError, match="ends at byte 16"):
        parse_idx(data, 3, "f")


def test_a_changed_byte_in_gzip_data_is_found() -> None:
    packed = bytearray(gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8)), mtime=0))
    packed[-6] ^= 1  # the checksum of the contents
    with pytest.raises(UserError, match=r"f: gzip data is damaged at or after byte 0 .*incorrect"):
        unpack(bytes(packed), "f")


def test_a_gzip_bomb_is_refused() -> None:
    bomb = gzip.compress(bytes(1 << 20))  # 1 KB that unpacks to 1 MiB
    with pytest.raises(UserError, match="f: unpacks to more than 1000 bytes"):
        unpack(bomb, "f", limit=1000)
    assert len(unpack(bomb, "f")) == 1 << 20


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere cannot be read: No such file"):
        read_idx(tmp_path / "nowhere", 3)
