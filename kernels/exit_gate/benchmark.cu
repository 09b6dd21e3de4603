// The gate at the end of early exits: batch 1 as on a board, and batches.
#include <cmath>

#include "exit_gate/exit_gate.h"
#include "exit_gate/reference.h"
#include "testing/benchmark.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::Activations;
using testing::DeviceArray;

struct Shape {
    int32_t samples, classes;
    char const* name;
};

Shape const kShapes[] = {{1, 10, "LeNet-5 exit, batch 1"},
                         {1, 1000, "ImageNet exit, batch 1"},
                         {32, 10, "LeNet-5 exit, batch 32"},
                         {64, 1000, "ImageNet exit, batch 64"},
                         {4096, 1000, "ImageNet exit, batch 4096"}};
char const* const kPolicies[] = {"maximum", "entropy", "margin", "linear"};

void Run(testing::Benchmark* benchmark, Shape const& shape, DataType type, ExitPolicy policy) {
    testing::Random random(1);
    int64_t const elements = static_cast<int64_t>(shape.samples) * shape.classes;
    std::vector<double> const values = testing::RoundTo(type, random.Normals(elements, 3.0));
    std::vector<double> const gate_weights =
        testing::RoundTo(DataType::kFloat, random.Normals(shape.classes));
    Activations logits(type, values);
    DeviceArray<float> weights(std::vector<float>(gate_weights.begin(), gate_weights.end()));
    DeviceArray<float> threshold(std::vector<float>{0.5f});
    DeviceArray<int32_t> exit(shape.samples), label(shape.samples), survivors(shape.samples);
    DeviceArray<int32_t> count(1);
    DeviceArray<float> confidence(shape.samples);
    ExitGate const gate{shape.samples, shape.classes, type, policy, weights.get(), 0.0f};
    ExitGateOutputs const outputs{exit.get(),      label.get(), confidence.get(),
                                  survivors.get(), count.get(), nullptr};
    auto const is_right = [&] {
        std::vector<double> const first(values.begin(), values.begin() + shape.classes);
        ExitDecision const expected = ReferenceExitGate(policy, first, gate_weights, 0.0);
        return label.Host()[0] == expected.label &&
               std::fabs(confidence.Host()[0] - expected.confidence) < 1e-3;
    };
    int64_t const bytes = elements * SizeOf(type) + shape.samples * int64_t{16} + 8;
    benchmark->Measure(
        {std::string(shape.name) + ", " + kPolicies[static_cast<int>(policy)],
         type,
         {{"samples", shape.samples}, {"classes", shape.classes}}},
        {bytes, 4 * elements, 0},
        [&](cudaStream_t stream) {
            return LaunchExitGate(gate, logits.get(), threshold.get(), outputs, stream);
        },
        is_right);
}

}  // namespace
}  // namespace edgesynth

int main(int count, char** words) {
    using namespace edgesynth;
    testing::Benchmark benchmark("exit_gate", count, words);
    for (Shape const& shape : kShapes) {
        if (benchmark.smoke() && shape.samples > 64) continue;
        for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
            for (int policy = 0; policy < 4; ++policy) {
                Run(&benchmark, shape, type, static_cast<ExitPolicy>(policy));
            }
        }
    }
    return benchmark.Finish();
}
