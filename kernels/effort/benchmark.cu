// Convolutions of well-known networks at batch 1: the dense path, and each shortcut where it is
// taken for half of what it may leave out. Dense times of the same layers by NVIDIA's libraries
// come from sparse_libraries.py and packed_libraries.py.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "effort/effort.h"
#include "effort/packing.h"
#include "effort/reference.h"
#include "testing/benchmark.h"
#include "testing/layers.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::Activations;
using testing::DeviceArray;

struct Setting {
    char const* name;
    EffortKnobs knobs;
    int32_t effort;
    double left;  // share of the dense layer's multiplications
};

// Half of the filters, all of whose thresholds are never reached, end after a quarter of the
// channels; a threshold of 3e38 ends every output.
constexpr float kAlways = 3.0e38f;
Setting const kSettings[] = {
    {"dense", {Saturation::kOff, 0, -1.0f, 1, 0.0f, 0.0f}, 0, 1.0},
    {"half of the channels", {Saturation::kOff, 0, -1.0f, 1, 0.0f, 0.0f}, 1, 0.5},
    {"saturation, half of the filters",
     {Saturation::kPredicted, 1, -1.0f, 1, 0.0f, 0.0f},
     0,
     0.625},
    {"one of four outputs", {Saturation::kOff, 0, -1.0f, 2, kAlways, kAlways}, 0, 0.25},
    {"windows similar", {Saturation::kOff, 0, kAlways, 1, 0.0f, 0.0f}, 0, 0.0},
};

struct Layer {
    ConvShape shape;
    std::vector<float> weights, thresholds;
    std::vector<int32_t> order, levels;
    std::vector<double> x;

    Layer(ConvShape const& given, DataType type) : shape(given) {
        testing::Random random(1);
        int64_t const channels = shape.channels / shape.group;
        for (int64_t i = 0; i < shape.filters * FilterWeights(shape); ++i) {
            weights.push_back(static_cast<float>(random.Normal() / 8.0));
        }
        for (int32_t i = 0; i < shape.filters; ++i) {
            thresholds.push_back(i / kFiltersTogether % 2 == 0 ? kAlways : -kAlways);
        }
        order.resize(static_cast<size_t>(channels));
        std::iota(order.begin(), order.end(), 0);
        levels = {static_cast<int32_t>(channels)};
        if (channels > 1) levels.push_back(static_cast<int32_t>(channels / 2));
        x = testing::RoundTo(
            type, random.Normals(CheckedProduct(shape.channels, shape.height, shape.width)));
        for (double& number : x) number = std::max(0.0, number);
    }
    EffortAttributes Attributes() const {
        return EffortAttributes{weights.data(),    order.data(),
                                levels.data(),     static_cast<int64_t>(levels.size()),
                                thresholds.data(), static_cast<int64_t>(thresholds.size())};
    }
};

// The first output, which is always computed unless it is predicted, of the first and last filter.
bool IsRight(EffortConv const& layer, Layer const& from, int32_t effort,
             std::vector<double> const& y) {
    ConvShape one = layer.shape;
    int64_t const places = OutputSide(one, 0) * OutputSide(one, 1);
    int64_t const per_filter = FilterWeights(one);
    int32_t const per_group = one.channels / one.group;
    for (int32_t const filter : {0, one.filters - 1}) {
        // The corner of x that the first window sees, as a layer of one filter.
        EffortAttributes attributes = from.Attributes();
        attributes.weights += filter * per_filter;
        attributes.thresholds += filter;
        attributes.threshold_count = 1;
        EffortConv corner = layer;
        corner.shape.filters = corner.shape.group = 1;
        corner.shape.channels = per_group;
        corner.shape.height = std::max(
            1, std::min(one.height, one.dilations[0] * (one.kernel[0] - 1) + 1 - one.pads[0]));
        corner.shape.width = std::max(
            1, std::min(one.width, one.dilations[1] * (one.kernel[1] - 1) + 1 - one.pads[1]));
        corner.shape.pads[2] = corner.shape.pads[3] = 0;
        int32_t const group = filter / (one.filters / one.group);
        std::vector<double> x;
        for (int32_t c = 0; c < per_group; ++c) {
            for (int32_t h = 0; h < corner.shape.height; ++h) {
                for (int32_t w = 0; w < corner.shape.width; ++w) {
                    int64_t const map = int64_t{group} * per_group + c;
                    x.push_back(
                        from.x[static_cast<size_t>((map * one.height + h) * one.width + w)]);
                }
            }
        }
        EffortReference const expected = ReferenceEffortConv(corner, attributes, {}, x, effort);
        double const allowed = layer.type == DataType::kHalf ? 8e-3 : 1e-5;
        double const actual = y[static_cast<size_t>(filter * places)];
        if (!(std::fabs(actual - expected.y[0]) <= allowed * expected.magnitude[0] + 1e-3)) {
            return false;
        }
    }
    return true;
}

void Run(testing::Benchmark* benchmark, testing::NamedLayer const& named, DataType type,
         Setting const& setting) {
    ConvShape const& shape = named.shape;
    Layer const from(shape, type);
    int32_t const channels = shape.channels / shape.group;
    EffortKnobs knobs = setting.knobs;
    if (knobs.saturation != Saturation::kOff) knobs.prefix_channels = std::max(1, channels / 4);
    bool const one_channel = channels == 1;
    bool const one_weight = shape.kernel[0] * shape.kernel[1] == 1;
    if (one_channel && (setting.effort != 0 || knobs.saturation != Saturation::kOff)) return;
    if (one_weight && knobs.similarity >= 0.0f) return;
    EffortPacked packed;
    if (!PackEffort(from.Attributes(), shape, type, knobs, &packed).empty()) return;
    int64_t const outputs =
        CheckedProduct(shape.filters, OutputSide(shape, 0), OutputSide(shape, 1));
    DeviceArray<uint8_t> weights(packed.bytes);
    DeviceArray<int32_t> effort(std::vector<int32_t>{setting.effort});
    Activations x(type, from.x), y(type, outputs);
    EffortConv const layer{shape,         type,   Activation::kRelu, knobs, packed.layout,
                           weights.get(), nullptr};
    double const left = setting.left > 0.0
                            ? setting.left
                            : 1.0 / (static_cast<double>(shape.kernel[0]) * shape.kernel[1]);
    int64_t const dense = 2 * outputs * FilterWeights(shape);
    int64_t const bytes =
        packed.layout.bytes + (static_cast<int64_t>(from.x.size()) + outputs) * SizeOf(type);
    benchmark->Measure(
        {std::string(named.name) + ", " + setting.name, type, {{"left", left}}},
        {bytes, static_cast<int64_t>(static_cast<double>(dense) * left), dense},
        [&](cudaStream_t stream) {
            return LaunchEffortConv(layer, x.get(), effort.get(), y.get(), nullptr, stream);
        },
        [&] { return IsRight(layer, from, setting.effort, y.Host()); });
}

}  // namespace
}  // namespace edgesynth

int main(int count, char** words) {
    using namespace edgesynth;
    testing::Benchmark benchmark("effort", count, words);
    for (testing::NamedLayer const& named : testing::kLayers) {
        if (named.shape.height == 1 && named.shape.width == 1) continue;  // no map to tile
        int64_t const products = named.shape.filters * OutputSide(named.shape, 0) *
                                 OutputSide(named.shape, 1) * FilterWeights(named.shape);
        if (benchmark.smoke() && products > 16000000) continue;  // minutes in emulation
        for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
            for (Setting const& setting : kSettings) Run(&benchmark, named, type, setting);
        }
    }
    return benchmark.Finish();
}
