#include "packed/layout.h"

namespace edgesynth {

int64_t InterleavedWordCount(int32_t filters, int32_t group, int64_t columns, int32_t bits) {
    if (filters < 1 || group < 1 || filters % group != 0 || columns < 1 || !IsPackedWidth(bits)) {
        return -1;
    }
    int64_t const rows = RoundUp<int64_t>(filters / group, kRowsTogether);
    return CheckedProduct(group, rows, PackedWordsPerRow(columns, bits));
}

bool InterleaveWords(int32_t filters, int32_t group, int64_t columns, int32_t bits,
                     int32_t const* words, int32_t* interleaved) {
    int64_t const count = InterleavedWordCount(filters, group, columns, bits);
    if (count < 0) return false;
    int64_t const per_row = PackedWordsPerRow(columns, bits);
    int64_t const rows = filters / group;
    int64_t const padded = RoundUp<int64_t>(rows, kRowsTogether);
    for (int64_t g = 0; g < group; ++g) {
        for (int64_t row = 0; row < padded; ++row) {
            int32_t* const quad = interleaved + (g * padded + row - row % kRowsTogether) * per_row;
            int32_t const* const source = words + (g * rows + row) * per_row;
            for (int64_t word = 0; word < per_row; ++word) {
                quad[word * kRowsTogether + row % kRowsTogether] = row < rows ? source[word] : 0;
            }
        }
    }
    return true;
}

}  // namespace edgesynth
