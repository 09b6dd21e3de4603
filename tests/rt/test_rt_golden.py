"""Golden arrays: exactly those of the manifest, and nothing that a hostile file asks for."""

import io
import os
import struct
import zipfile

import numpy as np
import pytest
from hand_made import SAMPLES, golden_arrays, golden_bytes, refused, sha256, write_bundle

from edgesynth_rt.bundle import open_bundle


@pytest.mark.parametrize(
    "golden, said",
    [
        (golden_bytes(logits=None), "has no array output/logits"),
        (golden_bytes(input=np.zeros((SAMPLES, 2, 3, 4), np.float32)), "array input/input is"),
        (golden_bytes(input=np.zeros((SAMPLES, 2, 3, 3))), "is float64"),
        (golden_bytes(logits=np.full((SAMPLES, 4), np.nan, np.float32)), "NaN or infinity"),
        (golden_bytes()[:-30], "is damaged"),
        (b"", "is damaged"),
        (b"PK" + b"\0" * 40, "is damaged"),
    ],
    ids=range(7),
)
def test_wrong_golden_arrays_are_refused(tmp_path, golden, said):
    assert said in refused(write_bundle(tmp_path / "b", golden=golden))


def test_golden_pickles_are_never_loaded(tmp_path):
    objects = np.empty((SAMPLES, 4), object)
    objects[...] = os.path  # would import on loading
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(golden_bytes())) as good, zipfile.ZipFile(stream, "w") as bad:
        bad.writestr("input/input.npy", good.read("input/input.npy"))
        array = io.BytesIO()
        np.save(array, np.zeros((SAMPLES, 4), object))
        bad.writestr("output/logits.npy", array.getvalue())
    assert "is object" in refused(write_bundle(tmp_path / "b", golden=stream.getvalue()))


def test_a_golden_header_cannot_ask_for_memory(tmp_path):
    """A header of 2**60 elements over no data, and one of the right shape over too little."""
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"
    for shape, said in (("(1152921504606846976,)", "is float32"), ("(3, 4)", "not the 48 bytes")):
        text = (header % shape).encode("latin1").ljust(117) + b"\n"
        array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(golden_bytes())) as good:
            with zipfile.ZipFile(stream, "w") as bad:
                bad.writestr("input/input.npy", good.read("input/input.npy"))
                bad.writestr("output/logits.npy", array)
        folder = write_bundle(tmp_path / sha256(text), golden=stream.getvalue())
        assert said in refused(folder)


def test_fortran_order_is_read_right(tmp_path):
    array = np.asfortranarray(golden_arrays()["input/input"])
    bundle = open_bundle(write_bundle(tmp_path / "b", golden=golden_bytes(input=array)))
    np.testing.assert_array_equal(bundle.golden()[0]["input"], array)
