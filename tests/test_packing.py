"""Packed words: bits where the layout says, and nothing lost on the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgesynth.core.errors import UserError
from edgesynth.operators.packing import (
    BITS,
    PackedWeights,
    codes_per_word,
    pack,
    unpack,
    words_per_row,
)


@st.composite
def layers(draw: st.DrawFn) -> tuple[int, np.ndarray]:
    """A width in bits and the codes of a layer, every code that fits into the width."""
    bits = draw(st.sampled_from(BITS))
    shape = draw(st.tuples(st.integers(0, 9), st.integers(1, 70)))
    codes = st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return bits, draw(arrays.arrays(np.int8, shape, elements=codes))


@given(layers())
def test_there_and_back_is_bit_exact(layer: tuple[int, np.ndarray]) -> None:
    bits, codes = layer
    words = pack(codes, bits)
    assert words.dtype == np.int32
    assert words.shape == (codes.shape[0], words_per_row(codes.shape[1], bits))
    np.testing.assert_array_equal(unpack(words, bits, codes.shape[1]), codes)


@given(layers())
def test_every_pair_comes_out_as_the_kernel_takes_it(layer: tuple[int, np.ndarray]) -> None:
    """Shift, mask, or 0x6400, read as two halves, subtract: the unpacking of an sm_53 kernel."""
    bits, codes = layer
    rows, columns = codes.shape
    words = pack(codes, bits).view(np.uint32)
    mask = np.uint32(((1 << bits) - 1) * 0x00010001)
    for column in range(0, columns, 2):
        word, field = divmod(column, codes_per_word(bits))
        shift = np.uint32(bits * (field // 2))
        pair = (words[:, word] >> shift) & mask | np.uint32(0x64006400)
        halves = pair.view(np.float16).reshape(rows, 2) - np.float16(1024 + (1 << (bits - 1)))
        given_codes = codes[:, column : column + 2]
        np.testing.assert_array_equal(halves[:, : given_codes.shape[1]], given_codes)
        assert (halves[:, given_codes.shape[1] :] == 0).all()  # past the end of the row


@pytest.mark.parametrize(
    ("bits", "codes", "words"),
    [
        # 4 bits, offset 8: low half 9 F 8 6 (columns 0 2 4 6), high half 7 1 A B (1 3 5 7)
        (4, [1, -1, 7, -7, 0, 2, -2, 3], [0xBA1768F9]),
        # a ninth weight begins a word, whose other seven fields hold code 0
        (4, [1, -1, 7, -7, 0, 2, -2, 3, -1], [0xBA1768F9, 0x88888887]),
        # 2 bits, offset 2: fields 3 1 2 | the rest 2; low half 3,2 then six 2s, high half 1, 2s
        (2, [1, -1, 0], [0xAAA9AAAB]),
        # 3 bits, offset 4: low half 7,1,4,4,4 at bits 0,3,6,9,12, high half 5,4,4,4,4; bit 15 free
        (3, [3, 1, -3], [0x4925490F]),
        # 8 bits, offset 128: low half 0xFF, 0x80, high half 0x01, 0x7F
        (8, [127, -127, 0, -1], [0x7F0180FF]),
    ],
)
def test_words_by_hand(bits: int, codes: list[int], words: list[int]) -> None:
    found = pack(np.array([codes], np.int8), bits).view(np.uint32)
    assert [hex(word) for word in found[0]] == [hex(word) for word in words]


def test_a_row_starts_a_word() -> None:
    codes = np.array([[1, 1, 1], [-1, -1, -1]], np.int8)
    words = pack(codes, 2)
    assert words.shape == (2, 1)
    np.testing.assert_array_equal(pack(codes[1:], 2), words[1:])


def test_codes_that_do_not_fit_are_refused() -> None:
    for bits, code in ((2, 2), (4, -9), (3, 4)):
        with pytest.raises(UserError, match=rf"code {code} does not fit into {bits} bits"):
            pack(np.array([[0, code]], np.int8), bits)
    with pytest.raises(UserError, match="5 bits have no packed layout; use one of 2, 3, 4, 8"):
        pack(np.zeros((1, 1), np.int8), 5)
    with pytest.raises(UserError, match="2 words per row do not hold 8 codes of 4 bits; 1 do"):
        unpack(np.zeros((1, 2), np.int32), 4, 8)


def test_packed_weights_are_codes_times_scales() -> None:
    codes = np.array([[7, -3, 0], [1, 2, -7]], np.int8)
    packed = PackedWeights(pack(codes, 4), np.array([0.5, 0.25], np.float32), 4, 3)
    np.testing.assert_array_equal(packed.weights(), [[3.5, -1.5, 0], [0.25, 0.5, -1.75]])
    assert packed.size_bytes == 2 * 4 + 2 * 4
