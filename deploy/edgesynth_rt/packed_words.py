"""Low-bit weights out of the 32-bit words of an ONNX file (Python 3.6).

The layout is described in edgesynth/operators/packing.py, which writes it.
"""

import numpy as np

_HALF = 16


def codes_per_word(bits):
    """How many codes of `bits` one word holds: two halves of 16 bits."""
    return 2 * (_HALF // bits)


def words_per_row(columns, bits):
    """Words of one output channel with `columns` weights."""
    return -(-columns // codes_per_word(bits))


def unpack(words, bits, columns):
    """The codes in `words`, int32 of shape (rows, `words_per_row`), as int8 (rows, columns)."""
    unsigned = np.ascontiguousarray(words, np.int32).view(np.uint32).astype(np.int64)
    fields = (unsigned[:, :, None, None] >> field_shifts(bits)) & ((1 << bits) - 1)
    rows, count = words.shape
    codes = fields.reshape(rows, count * codes_per_word(bits))[:, :columns] - (1 << (bits - 1))
    return codes.astype(np.int8)


def field_shifts(bits):
    """Bit position of every field, shape (fields of a half, 2): even columns low, odd ones high."""
    low = bits * np.arange(_HALF // bits, dtype=np.int64)
    return np.stack([low, low + _HALF], axis=1)
