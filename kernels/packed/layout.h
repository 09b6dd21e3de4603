// Where the codes of low-bit weights lie; host and device. edgesynth/operators/packing.py defines
// the words, and says why they are like this:
//
//   a word of 32 bits holds in each of its halves 16 / b fields of b bits, lowest bits first; even
//   columns lie in the low half, odd ones in the high half; a field is code + 2^(b - 1)
//
// The kernels read four rows together. The words of a bundle have each row in one piece; on the
// device the words of four neighbouring rows take turns, so that one load of 128 bits has the same
// columns of four rows, for which x is read once:
//
//   bundle  row 0: a0 a1 a2 ..  row 1: b0 b1 b2 ..  row 2: c0 ..  row 3: d0 ..
//   device  a0 b0 c0 d0  a1 b1 c1 d1  a2 ..
//
// The rows of a group are padded to a multiple of four.
#pragma once

#include "common/convolution.h"

namespace edgesynth {

constexpr int kRowsTogether = 4;

// Has this width a layout? Ternary codes have 2 bits.
ES_HOST_DEVICE constexpr bool IsPackedWidth(int bits) {
    return bits == 2 || bits == 3 || bits == 4 || bits == 8;
}

ES_HOST_DEVICE constexpr int CodesPerWord(int bits) { return 2 * (16 / bits); }

// Words of one row with `columns` weights.
ES_HOST_DEVICE constexpr int64_t PackedWordsPerRow(int64_t columns, int bits) {
    return DivUp(columns, static_cast<int64_t>(CodesPerWord(bits)));
}

// Words of the whole layer in the order of the device, `filters` rows in `group` groups; -1 where a
// size is wrong or they need more than 63 bits.
int64_t InterleavedWordCount(int32_t filters, int32_t group, int64_t columns, int32_t bits);

// From the order of the bundle, filters * PackedWordsPerRow words, to that of the device,
// InterleavedWordCount of them. Both are host memory. False, and nothing is written, where a size
// is wrong.
bool InterleaveWords(int32_t filters, int32_t group, int64_t columns, int32_t bits,
                     int32_t const* words, int32_t* interleaved);

}  // namespace edgesynth
