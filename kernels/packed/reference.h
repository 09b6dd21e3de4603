// EsPackedLinear and EsPackedConv as a textbook has them, in double precision.
#pragma once

#include <cstdint>
#include <vector>

#include "packed/packed.h"

namespace edgesynth {

// Words in the order of the bundle, rows * PackedWordsPerRow(columns, bits), from `rows` x
// `columns` codes of -2^(bits - 1) to 2^(bits - 1) - 1; and back.
std::vector<int32_t> PackCodes(std::vector<int32_t> const& codes, int64_t columns, int32_t bits);
std::vector<int32_t> UnpackCodes(std::vector<int32_t> const& words, int64_t columns, int32_t bits);

// A sum, and the sum of its terms' absolute values.
struct Term {
    double value;
    double magnitude;
};

// One filter of `group`, its weights (C / group, kernel), at one output place of one sample.
Term DotProduct(ConvShape const& shape, std::vector<double> const& filter,
                std::vector<double> const& x, int64_t sample, int64_t group, int64_t place);

struct PackedReference {
    std::vector<double> y;
    std::vector<double> magnitude;  // of the sum, bias and residual included
};

// weights: (M, C / group, kernel). residual: empty for none. Geometry and activation of `layer`.
PackedReference ReferenceConv(PackedConv const& layer, std::vector<double> const& weights,
                              std::vector<double> const& bias, std::vector<double> const& x,
                              std::vector<double> const& residual);

}  // namespace edgesynth
