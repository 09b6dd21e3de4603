// EsEffortConv through its plugin, against its definition: attributes and level reach the kernel.
#include <cmath>

#include "effort/reference.h"
#include "plugins/tests/shell.h"
#include "plugins/tests/world.h"
#include "testing/testing.h"

namespace edgesynth {
namespace plugins {
namespace {

using testing::Activations;

constexpr ConvShape kShape{2, 4, 5, 7, 6, 2, {3, 3}, {2, 1}, {1, 0, 1, 2}, {1, 2}};
constexpr int64_t kInputs = 2 * 4 * 5 * 7, kOutputs = 2 * 6 * 3 * 5;

Sample const& EffortSample() {
    for (Sample const& sample : Samples()) {
        if (sample.kind == Find("EsEffortConv")) return sample;
    }
    static Sample const none{};
    return none;
}

// What the node says, for the reference.
EffortReference Expected(NodeFields const& f, std::vector<double> const& x, int32_t effort) {
    EffortConv layer{};
    layer.shape = kShape;
    layer.activation = Activation::kRelu;
    layer.knobs = EffortKnobs{static_cast<Saturation>(f.ints.at("saturation")[0]),
                              f.ints.at("prefix_channels")[0],
                              f.floats.at("similarity")[0],
                              f.ints.at("sample_period")[0],
                              f.floats.at("sample_below")[0],
                              f.floats.at("sample_within")[0],
                              f.floats.at("input_threshold")[0]};
    EffortAttributes const attributes{
        f.floats.at("weights").data(),           f.ints.at("channel_order").data(),
        f.ints.at("level_channels").data(),      2,
        f.floats.at("prefix_thresholds").data(), 6};
    auto const& bias = f.floats.at("bias");
    return ReferenceEffortConv(layer, attributes, std::vector<double>(bias.begin(), bias.end()), x,
                               effort);
}

void Check(ShellKind const& shell, edgesynth::DataType type, int32_t effort) {
    Sample sample = EffortSample();
    // Whole numbers and halves: nothing is near a limit, so no decision hangs on rounding.
    sample.fields.floats["similarity"] = {0.625f};
    sample.fields.floats["prefix_thresholds"] = {-0.53f, -1.03f, -0.28f, 0.03f, -2.03f, -0.78f};
    sample.fields.floats["sample_below"] = {2.03f};
    sample.fields.floats["sample_within"] = {1.03f};
    sample.fields.floats["input_threshold"] = {1.53f};
    testing::Random random(9);
    std::vector<double> x;
    for (int64_t i = 0; i < kInputs; ++i) {
        x.push_back(static_cast<double>(std::max<int64_t>(0, random.Integer(-2, 2))));
    }
    EffortReference const expected = Expected(sample.fields, x, effort);
    ES_EXPECT(expected.margin > 1e-5, "a decision hangs on rounding");

    auto const named =
        type == DataType::kHalf ? nvinfer1::DataType::kHALF : nvinfer1::DataType::kFLOAT;
    Descs const inputs = {Desc(sample.inputs[0], named), Desc({1}, nvinfer1::DataType::kINT32)};
    Descs const outputs = {Desc(sample.outputs[0], named)};
    FieldCollection fields(sample.fields);
    auto plugin = shell.create(*sample.kind, fields.Get());
    ES_EXPECT(plugin->Prepare(inputs, outputs), "%s", TakeErrors().c_str());
    auto const blob = plugin->Serialize();
    plugin = shell.restore(*sample.kind, blob.data(), blob.size());  // as an engine would
    ES_EXPECT(plugin->PrepareRestored(), "%s", TakeErrors().c_str());
    Activations const from(type, x), to(type, kOutputs);
    testing::DeviceArray<int32_t> const level(std::vector<int32_t>{effort});
    void const* const in[] = {from.get(), level.get()};
    void* const out[] = {to.get()};
    int64_t const before = Allocations();
    ES_EXPECT(plugin->Enqueue(inputs, outputs, in, out, nullptr), "%s", TakeErrors().c_str());
    ES_EXPECT(Allocations() == before, "allocates while it runs");
    testing::Tolerance tolerance = testing::ToleranceFor(type, 32);
    if (type == DataType::kHalf) tolerance.scaled += std::ldexp(4.0, -11);
    ES_EXPECT_CLOSE("y", to.Host(), expected.y, expected.magnitude, tolerance);
}

ES_TEST(EffortPlugin) {
    for (ShellKind const& shell : ShellKinds()) {
        for (auto const type : {edgesynth::DataType::kFloat, edgesynth::DataType::kHalf}) {
            for (int32_t const effort : {0, 1, 7}) Check(shell, type, effort);
        }
    }
}

}  // namespace
}  // namespace plugins
}  // namespace edgesynth
