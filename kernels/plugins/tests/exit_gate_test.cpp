// EsExitGate through its plugin, against the textbook: what TensorRT hands over reaches the kernel.
#include <cmath>

#include "exit_gate/reference.h"
#include "plugins/tests/shell.h"
#include "plugins/tests/world.h"
#include "testing/testing.h"

namespace edgesynth {
namespace plugins {
namespace {

using testing::Activations;
using testing::DeviceArray;

constexpr int64_t kSamples = 7, kClasses = 5;

struct Outputs {
    DeviceArray<int32_t> exit{kSamples}, label{kSamples};
    DeviceArray<float> confidence{kSamples};
    DeviceArray<int32_t> survivors{kSamples}, count{1};
};

std::vector<double> Logits() {
    testing::Random random(3);
    std::vector<double> logits;
    for (int64_t i = 0; i < kSamples * kClasses; ++i) logits.push_back(random.Uniform(-3.0, 3.0));
    return logits;
}

bool Run(Shell& plugin, Activations const& logits, float threshold, Outputs& outputs) {
    bool const half = logits.type() == edgesynth::DataType::kHalf;
    auto const type = half ? nvinfer1::DataType::kHALF : nvinfer1::DataType::kFLOAT;
    Descs const inputs = {Desc({kSamples, kClasses}, type), Desc({1})};
    Descs const made = {Desc({kSamples}, nvinfer1::DataType::kINT32),
                        Desc({kSamples}, nvinfer1::DataType::kINT32), Desc({kSamples}),
                        Desc({kSamples}, nvinfer1::DataType::kINT32),
                        Desc({1}, nvinfer1::DataType::kINT32)};
    DeviceArray<float> const limit(std::vector<float>{threshold});
    void const* const in[] = {logits.get(), limit.get()};
    void* const out[] = {outputs.exit.get(), outputs.label.get(), outputs.confidence.get(),
                         outputs.survivors.get(), outputs.count.get()};
    return plugin.Prepare(inputs, made) && plugin.Enqueue(inputs, made, in, out, nullptr);
}

void Check(ShellKind const& shell, int32_t policy, edgesynth::DataType type, float threshold) {
    std::vector<float> const weights = {2.0f, -1.0f, 0.5f, 0.0f, 0.25f};
    NodeFields const node = {{{"classes", {kClasses}}, {"policy", {policy}}},
                             {{"gate_weights", weights}, {"gate_bias", {-0.5f}}}};
    FieldCollection fields(node);
    auto plugin = shell.create(*Find("EsExitGate"), fields.Get());
    auto const blob = plugin->Serialize();
    plugin = shell.restore(*Find("EsExitGate"), blob.data(), blob.size());  // as an engine would
    std::vector<double> const logits = testing::RoundTo(type, Logits());
    Outputs outputs;
    ES_EXPECT(Run(*plugin, Activations(type, logits), threshold, outputs), "%s",
              TakeErrors().c_str());
    auto const exit = outputs.exit.Host();
    auto const label = outputs.label.Host();
    std::vector<int32_t> staying;
    for (int64_t i = 0; i < kSamples; ++i) {
        std::vector<double> const row(logits.begin() + i * kClasses,
                                      logits.begin() + (i + 1) * kClasses);
        auto const kind = static_cast<ExitPolicy>(policy);
        ExitDecision const expected =
            ReferenceExitGate(kind, row, std::vector<double>(weights.begin(), weights.end()), -0.5);
        bool const exits = ReferenceExits(kind, expected.confidence, threshold);
        if (!exits) staying.push_back(static_cast<int32_t>(i));
        size_t const at = static_cast<size_t>(i);
        ES_EXPECT(exit[at] == static_cast<int32_t>(exits), "policy %d, sample %zu", policy, at);
        ES_EXPECT(label[at] == expected.label, "policy %d, sample %zu", policy, at);
    }
    ES_EXPECT(outputs.count.Host()[0] == static_cast<int32_t>(staying.size()), "count");
    staying.resize(static_cast<size_t>(kSamples), -1);
    ES_EXPECT(outputs.survivors.Host() == staying, "survivors");
}

ES_TEST(ExitGatePlugin) {
    for (ShellKind const& shell : ShellKinds()) {
        for (int32_t policy = 0; policy < 4; ++policy) {
            for (float const threshold : {0.4f, 0.9f, std::nanf("")}) {
                Check(shell, policy, edgesynth::DataType::kFloat, threshold);
                Check(shell, policy, edgesynth::DataType::kHalf, threshold);
            }
        }
    }
}

}  // namespace
}  // namespace plugins
}  // namespace edgesynth
