#include "packed/reference.h"

#include <cmath>

namespace edgesynth {
namespace {

// Bit of the field that has `column` of its word.
int FieldBit(int64_t column, int32_t bits) {
    int64_t const field = column % CodesPerWord(bits);
    return static_cast<int>(bits * (field / 2) + 16 * (field % 2));
}

}  // namespace

std::vector<int32_t> PackCodes(std::vector<int32_t> const& codes, int64_t columns, int32_t bits) {
    int64_t const rows = static_cast<int64_t>(codes.size()) / columns;
    int64_t const per_row = PackedWordsPerRow(columns, bits), per_word = CodesPerWord(bits);
    std::vector<int32_t> words;
    for (int64_t row = 0; row < rows; ++row) {
        for (int64_t first = 0; first < per_row * per_word; first += per_word) {
            uint32_t word = 0;
            for (int64_t column = first; column < first + per_word; ++column) {
                int32_t const code =
                    column < columns ? codes[static_cast<size_t>(row * columns + column)] : 0;
                word |= static_cast<uint32_t>(code + (1 << (bits - 1))) << FieldBit(column, bits);
            }
            words.push_back(static_cast<int32_t>(word));
        }
    }
    return words;
}

std::vector<int32_t> UnpackCodes(std::vector<int32_t> const& words, int64_t columns, int32_t bits) {
    int64_t const per_row = PackedWordsPerRow(columns, bits);
    int64_t const rows = static_cast<int64_t>(words.size()) / per_row;
    std::vector<int32_t> codes;
    for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < columns; ++column) {
            size_t const at = static_cast<size_t>(row * per_row + column / CodesPerWord(bits));
            uint32_t const field = static_cast<uint32_t>(words[at]) >> FieldBit(column, bits);
            int32_t const code = static_cast<int32_t>(field & ((1u << bits) - 1u));
            codes.push_back(code - (1 << (bits - 1)));
        }
    }
    return codes;
}

Term DotProduct(ConvShape const& shape, std::vector<double> const& filter,
                std::vector<double> const& x, int64_t sample, int64_t group, int64_t place) {
    int64_t const width = OutputSide(shape, 1), channels = shape.channels / shape.group;
    int64_t const window = int64_t{shape.kernel[0]} * shape.kernel[1];
    Term sum{0.0, 0.0};
    for (int64_t i = 0; i < channels * window; ++i) {
        int64_t const channel = group * channels + i / window;
        int64_t const down = i % window / shape.kernel[1], right = i % shape.kernel[1];
        int64_t const row =
            place / width * shape.strides[0] - shape.pads[0] + down * shape.dilations[0];
        int64_t const column =
            place % width * shape.strides[1] - shape.pads[1] + right * shape.dilations[1];
        if (row < 0 || row >= shape.height || column < 0 || column >= shape.width) continue;
        int64_t const from =
            ((sample * shape.channels + channel) * shape.height + row) * shape.width + column;
        double const term = filter[static_cast<size_t>(i)] * x[static_cast<size_t>(from)];
        sum.value += term;
        sum.magnitude += std::fabs(term);
    }
    return sum;
}

PackedReference ReferenceConv(PackedConv const& layer, std::vector<double> const& weights,
                              std::vector<double> const& bias, std::vector<double> const& x,
                              std::vector<double> const& residual) {
    ConvShape const& shape = layer.shape;
    int64_t const places = OutputSide(shape, 0) * OutputSide(shape, 1);
    int64_t const columns = FilterWeights(shape);
    PackedReference result;
    for (int64_t i = 0; i < shape.samples * shape.filters; ++i) {
        int64_t const filter = i % shape.filters;
        auto const begin = weights.begin() + filter * columns;
        std::vector<double> const row(begin, begin + columns);
        for (int64_t place = 0; place < places; ++place) {
            Term sum = DotProduct(shape, row, x, i / shape.filters,
                                  filter / (shape.filters / shape.group), place);
            double const offset = bias.empty() ? 0.0 : bias[static_cast<size_t>(filter)];
            double const added = residual.empty() ? 0.0 : residual[result.y.size()];
            double const y = sum.value + offset + added;
            bool const cut = layer.activation == Activation::kRelu && y < 0.0;
            result.y.push_back(cut ? 0.0 : y);
            result.magnitude.push_back(sum.magnitude + std::fabs(offset) + std::fabs(added));
        }
    }
    return result;
}

}  // namespace edgesynth
