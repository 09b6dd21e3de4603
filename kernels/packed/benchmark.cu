// Packed layers of well-known networks at batch 1, in every width. Dense times of the same layers
// come from packed_libraries.py.
#include <algorithm>
#include <cmath>

#include "packed/packed.h"
#include "packed/reference.h"
#include "testing/benchmark.h"
#include "testing/layers.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::Activations;
using testing::DeviceArray;

constexpr int32_t kWidths[] = {2, 3, 4, 8};

// The last result of the first and the last filter, by its definition.
bool IsRight(PackedConv const& layer, std::vector<int32_t> const& words,
             std::vector<double> const& x, std::vector<double> const& y) {
    ConvShape one = layer.shape;
    int64_t const columns = FilterWeights(one);
    int64_t const per_row = PackedWordsPerRow(columns, layer.weights.bits);
    int64_t const pixels = OutputSide(one, 0) * OutputSide(one, 1);
    for (int64_t const filter : {int64_t{0}, int64_t{one.filters} - 1}) {
        std::vector<int32_t> const row(words.begin() + filter * per_row,
                                       words.begin() + (filter + 1) * per_row);
        std::vector<int32_t> const codes = UnpackCodes(row, columns, layer.weights.bits);
        double const scale = std::ldexp(1.0, -layer.weights.bits);
        Term const sum = DotProduct(layer.shape, std::vector<double>(codes.begin(), codes.end()), x,
                                    0, filter / (one.filters / one.group), pixels - 1);
        double const actual = y[static_cast<size_t>((filter + 1) * pixels - 1)];
        double const allowed = layer.type == DataType::kHalf ? 4e-3 : 1e-5;
        if (!(std::fabs(actual - sum.value * scale) <= allowed * sum.magnitude * scale + 1e-3)) {
            return false;
        }
    }
    return true;
}

void Run(testing::Benchmark* benchmark, testing::NamedLayer const& named, DataType type,
         int32_t bits) {
    ConvShape const& shape = named.shape;
    testing::Random random(1);
    int64_t const columns = FilterWeights(shape);
    int64_t const per_row = PackedWordsPerRow(columns, bits);
    int64_t const inputs = CheckedProduct(shape.channels, shape.height, shape.width);
    int64_t const outputs =
        CheckedProduct(shape.filters, OutputSide(shape, 0), OutputSide(shape, 1));
    std::vector<int32_t> words(static_cast<size_t>(shape.filters * per_row));
    for (int32_t& word : words) word = static_cast<int32_t>(random.Next());
    std::vector<int32_t> interleaved(
        static_cast<size_t>(InterleavedWordCount(shape.filters, shape.group, columns, bits)));
    InterleaveWords(shape.filters, shape.group, columns, bits, words.data(), interleaved.data());
    std::vector<double> const values = testing::RoundTo(type, random.Normals(inputs));
    DeviceArray<int32_t> device_words(interleaved);
    DeviceArray<float> scales(
        std::vector<float>(static_cast<size_t>(shape.filters), std::ldexp(1.0f, -bits)));
    Activations x(type, values), y(type, outputs);
    PackedConv const layer{shape, type, Activation::kNone,
                           PackedWeights{device_words.get(), scales.get(), nullptr, bits}};
    PackedLinear const linear{1,    shape.channels,   shape.filters,
                              type, layer.activation, layer.weights};
    bool const is_linear = shape.height == 1 && shape.width == 1;
    int64_t const bytes =
        4 * (shape.filters * per_row + shape.filters) + (inputs + outputs) * SizeOf(type);
    int64_t const operations = 2 * outputs * columns;
    benchmark->Measure(
        {std::string(named.name) + ", " + std::to_string(bits) + " bits",
         type,
         {{"bits", static_cast<double>(bits)}}},
        {bytes, operations, operations},
        [&](cudaStream_t stream) {
            return is_linear ? LaunchPackedLinear(linear, x.get(), nullptr, y.get(), stream)
                             : LaunchPackedConv(layer, x.get(), nullptr, y.get(), stream);
        },
        [&] { return IsRight(layer, words, values, y.Host()); });
}

}  // namespace
}  // namespace edgesynth

int main(int count, char** words) {
    using namespace edgesynth;
    testing::Benchmark benchmark("packed", count, words);
    for (testing::NamedLayer const& named : testing::kLayers) {
        // In emulation a large layer takes minutes.
        int64_t const products = named.shape.filters * OutputSide(named.shape, 0) *
                                 OutputSide(named.shape, 1) * FilterWeights(named.shape);
        if (benchmark.smoke() && products > 16000000) continue;
        for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
            for (int32_t const bits : kWidths) Run(&benchmark, named, type, bits);
        }
    }
    return benchmark.Finish();
}
