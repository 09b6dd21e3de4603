"""Integer weights in 32-bit words, laid out so that a Tegra X1 or X2 unpacks them cheaply.

One row per output channel, and every row starts a new word. A code of b bits is stored as the
unsigned field `code + 2**(b - 1)`. The fields of one word lie in its two halves in turn: field 2k
(an even column) at bit b*k, field 2k + 1 at bit 16 + b*k:

    4 bits   31..28 27..24 23..20 19..16 | 15..12 11..8  7..4   3..0
             col 7  col 5  col 3  col 1  | col 6  col 4  col 2  col 0

so that two neighbours come out as one half2 without any conversion instruction:

    pair = (word >> b*k) & mask | 0x64006400     one shift, one LOP3; 0x6400 is 1024 in fp16
    pair - (1024 + 2**(b - 1))                   one HADD2; exact, as 1024 + u is for u < 1024

where mask has b ones in each half. Two's complement would need a sign extension per weight. A
half-word holds 16 // b fields: 8 codes of 2 bits (ternary too), 5 of 3 (one bit is left over), 4 of
4, 2 of 8. Columns past the end of a row hold code 0, and left-over bits are 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesynth.core.errors import UserError
from edgesynth_rt import packed_words

BITS = (2, 3, 4, 8)

Codes = npt.NDArray[np.int8]
Words = npt.NDArray[np.int32]


@dataclass(frozen=True)
class PackedWeights:
    """The weights of one layer as an operator reads them."""

    words: Words
    """int32, shape (output channels, `words_per_row(columns, bits)`)."""
    scales: npt.NDArray[np.float32]
    """float32, shape (output channels,); a weight is its code times the scale of its row."""
    bits: int
    columns: int
    """Weights of one output channel: input channel, then kernel row, then kernel column."""

    @property
    def size_bytes(self) -> int:
        """Of words and scales."""
        return int(self.words.nbytes + self.scales.nbytes)

    def codes(self) -> Codes:
        """int8, shape (output channels, columns)."""
        return unpack(self.words, self.bits, self.columns)

    def weights(self) -> npt.NDArray[np.float32]:
        """float32, shape (output channels, columns): exactly those that were packed."""
        return self.codes().astype(np.float32) * self.scales[:, None]


def codes_per_word(bits: int) -> int:
    """How many codes of `bits` one word holds; raises UserError for a width without a layout."""
    if bits not in BITS:
        widths = ", ".join(map(str, BITS))
        raise UserError(f"codes of {bits} bits have no packed layout; use one of {widths}")
    count: int = packed_words.codes_per_word(bits)
    return count


def words_per_row(columns: int, bits: int) -> int:
    """Words of one output channel with `columns` weights."""
    return -(-columns // codes_per_word(bits))


def pack(codes: Codes, bits: int) -> Words:
    """The words of `codes`, int8 of shape (output channels, columns).

    Raises UserError when a code does not fit into `bits` bits in two's complement.
    """
    offset, per_half = 1 << (bits - 1), codes_per_word(bits) // 2
    rows, columns = codes.shape
    if codes.size and not -offset <= int(codes.min()) <= int(codes.max()) < offset:
        wrong = codes.min() if codes.min() < -offset else codes.max()
        raise UserError(f"code {wrong} does not fit into {bits} bits; quantize the weights first")
    words = words_per_row(columns, bits)
    padded = np.zeros((rows, words * 2 * per_half), np.int64)
    padded[:, :columns] = codes
    fields = (padded + offset).reshape(rows, words, per_half, 2)
    unsigned = (fields << packed_words.field_shifts(bits)).sum(axis=(2, 3)).astype(np.uint32)
    packed: Words = unsigned.view(np.int32)
    return packed


def unpack(words: Words, bits: int, columns: int) -> Codes:
    """The codes in `words`, int8 of shape (output channels, columns): the inverse of `pack`.

    Raises UserError when the words of a row are not as many as `columns` codes need.
    """
    found = words.shape[1]
    if found != words_per_row(columns, bits):
        raise UserError(
            f"{found} words per row do not hold {columns} codes of {bits} bits; "
            f"{words_per_row(columns, bits)} do"
        )
    codes: Codes = packed_words.unpack(words, bits, columns)
    return codes
