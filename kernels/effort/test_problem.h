// A layer with everything that it is given, for the tests of EsEffortConv.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "effort/effort.h"
#include "effort/packing.h"
#include "effort/reference.h"
#include "testing/testing.h"

namespace edgesynth {

struct EffortRun {
    std::vector<double> y;
    EffortCounts counts;
};

struct EffortProblem {
    std::string name;
    EffortConv layer;  // without pointers and layout
    std::vector<float> weights, thresholds, bias;
    std::vector<int32_t> order, levels;
    std::vector<double> x;
    int32_t effort;

    EffortAttributes Attributes() const {
        return EffortAttributes{weights.data(),    order.data(),
                                levels.data(),     static_cast<int64_t>(levels.size()),
                                thresholds.data(), static_cast<int64_t>(thresholds.size())};
    }
    int64_t Outputs() const {
        return CheckedProduct(layer.shape.samples, layer.shape.filters, OutputSide(layer.shape, 0),
                              OutputSide(layer.shape, 1));
    }
    // Is everything computed?
    bool Plain() const {
        return layer.knobs.saturation == Saturation::kOff &&
               !TakesMeans(layer.shape, layer.knobs) && layer.knobs.sample_period == 1;
    }

    EffortReference Reference() const {
        return ReferenceEffortConv(layer, Attributes(),
                                   std::vector<double>(bias.begin(), bias.end()), x, effort);
    }

    EffortRun Run() const {
        EffortPacked packed;
        std::string const wrong =
            PackEffort(Attributes(), layer.shape, layer.type, layer.knobs, &packed);
        ES_EXPECT(wrong.empty(), "%s", wrong.c_str());
        testing::DeviceArray<uint8_t> bytes(packed.bytes);
        testing::DeviceArray<float> device_bias(bias);
        testing::DeviceArray<int32_t> level(std::vector<int32_t>{effort});
        testing::DeviceArray<EffortCounts> counts(std::vector<EffortCounts>{{0, 0}});
        testing::Activations from(layer.type, x), to(layer.type, Outputs());
        EffortConv whole = layer;
        whole.layout = packed.layout;
        whole.weights = bytes.get();
        whole.bias = bias.empty() ? nullptr : device_bias.get();
        ES_EXPECT_CUDA(
            LaunchEffortConv(whole, from.get(), level.get(), to.get(), counts.get(), nullptr));
        return EffortRun{to.Host(), counts.Host()[0]};
    }

    // The dense layer as the header promises it, for fp32.
    std::vector<double> ChainOfFmaf() const {
        ConvShape const& shape = layer.shape;
        int64_t const rows = OutputSide(shape, 0), columns = OutputSide(shape, 1);
        int64_t const per_group = shape.channels / shape.group;
        std::vector<double> y;
        for (int64_t i = 0; i < Outputs(); ++i) {
            int64_t const row = i / columns % rows, column = i % columns;
            int64_t const filter = i / columns / rows % shape.filters;
            int64_t const map = i / columns / rows / shape.filters * shape.channels +
                                filter / (shape.filters / shape.group) * per_group;
            float sum = 0.0f;
            for (int64_t rank = 0; rank < levels[static_cast<size_t>(effort)]; ++rank) {
                int64_t const channel = order[static_cast<size_t>(rank)];
                for (int64_t k = 0; k < int64_t{shape.kernel[0]} * shape.kernel[1]; ++k) {
                    int64_t const h = row * shape.strides[0] - shape.pads[0] +
                                      k / shape.kernel[1] * shape.dilations[0];
                    int64_t const w = column * shape.strides[1] - shape.pads[1] +
                                      k % shape.kernel[1] * shape.dilations[1];
                    bool const inside = h >= 0 && h < shape.height && w >= 0 && w < shape.width;
                    int64_t const at = ((map + channel) * shape.height + h) * shape.width + w;
                    int64_t const window = int64_t{shape.kernel[0]} * shape.kernel[1];
                    sum = std::fmaf(
                        weights[static_cast<size_t>((filter * per_group + channel) * window + k)],
                        inside ? static_cast<float>(x[static_cast<size_t>(at)]) : 0.0f, sum);
                }
            }
            if (!bias.empty()) sum += bias[static_cast<size_t>(filter)];
            y.push_back(layer.activation == Activation::kRelu && sum < 0.0f ? 0.0f : sum);
        }
        return y;
    }

    // Numbers of all sizes instead of small whole ones.
    void MakeNormal(uint64_t seed) {
        testing::Random random(seed);
        for (float& weight : weights) weight = static_cast<float>(random.Normal());
        for (float& number : bias) number = static_cast<float>(random.Normal());
        for (double& number : x) number = std::max(0.0, random.Normal());
        x = testing::RoundTo(layer.type, x);
    }

    // Weights of the channels from rank `first` on become negative or zero.
    void MakeTailNegative(int64_t first) {
        int64_t const per_group = layer.shape.channels / layer.shape.group;
        int64_t const window = int64_t{layer.shape.kernel[0]} * layer.shape.kernel[1];
        for (size_t i = 0; i < weights.size(); ++i) {
            int64_t const channel = static_cast<int64_t>(i) / window % per_group;
            auto const rank = std::find(order.begin(), order.end(), channel) - order.begin();
            if (rank >= first) weights[i] = -std::fabs(weights[i]);
        }
    }
};

inline EffortProblem MakeEffortProblem(ConvShape const& shape, char const* why, DataType type,
                                       EffortKnobs const& knobs, uint64_t seed) {
    testing::Random random(seed);
    EffortProblem problem{};
    problem.name = testing::Format("%s, %s, saturation %d, similarity %g, period %d",
                                   testing::Name(type), why, static_cast<int>(knobs.saturation),
                                   static_cast<double>(knobs.similarity), knobs.sample_period);
    problem.layer = EffortConv{shape, type, Activation::kRelu, knobs, {}, nullptr, nullptr};
    int64_t const channels = shape.channels / shape.group;
    for (int64_t i = 0; i < shape.filters * FilterWeights(shape); ++i) {
        problem.weights.push_back(static_cast<float>(random.Integer(-3, 3)));
    }
    for (int32_t i = 0; i < shape.filters; ++i) {
        problem.bias.push_back(static_cast<float>(random.Integer(-2, 2)));
        problem.thresholds.push_back(static_cast<float>(random.Integer(-4, 1)) + 0.52f);
    }
    if (random.Chance(0.25)) problem.bias.clear();
    if (random.Chance(0.25)) problem.thresholds.resize(1);
    problem.order.resize(static_cast<size_t>(channels));
    std::iota(problem.order.begin(), problem.order.end(), 0);
    for (size_t i = problem.order.size(); i > 1; --i) {
        std::swap(
            problem.order[i - 1],
            problem.order[static_cast<size_t>(random.Integer(0, static_cast<int64_t>(i) - 1))]);
    }
    problem.levels = {static_cast<int32_t>(channels)};
    if (channels > 1)
        problem.levels.push_back(static_cast<int32_t>(random.Integer(1, channels - 1)));
    problem.effort = channels > 1 && random.Chance(0.25) ? 1 : 0;
    if (knobs.saturation == Saturation::kOff && random.Chance(0.25)) {
        problem.layer.activation = Activation::kNone;
    }
    int64_t const inputs = CheckedProduct(shape.samples, shape.channels, shape.height, shape.width);
    for (int64_t i = 0; i < inputs; ++i) {
        problem.x.push_back(static_cast<double>(std::max<int64_t>(0, random.Integer(-3, 4))));
    }
    if (knobs.saturation == Saturation::kExact) problem.MakeTailNegative(channels / 2);
    return problem;
}

}  // namespace edgesynth
