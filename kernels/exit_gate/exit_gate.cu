#include "common/sizes.h"
#include "exit_gate/exit_gate.cuh"

namespace edgesynth {
namespace {

// From here on one warp per sample would wait for memory too long: 16 rounds of loads.
constexpr int32_t kManyClasses = 512;

bool IsValid(ExitGate const& gate) {
    bool const linear = gate.policy == ExitPolicy::kLinearGate;
    return gate.samples >= 0 && gate.classes >= 1 && IsValid(gate.type) &&
           gate.policy >= ExitPolicy::kMaxProbability && gate.policy <= ExitPolicy::kLinearGate &&
           (!linear || (gate.gate_weights != nullptr && gate.classes <= kMaxGateClasses));
}

bool IsComplete(ExitGateOutputs const& outputs) {
    return outputs.exit != nullptr && outputs.label != nullptr && outputs.confidence != nullptr &&
           outputs.survivors != nullptr && outputs.count != nullptr;
}

template <typename T>
cudaError_t LaunchLinearGate(ExitGate const& gate, T const* logits, float const* threshold,
                             ExitGateOutputs const& outputs, cudaStream_t stream) {
    int32_t padded = 2;
    while (padded < gate.classes) padded *= 2;
    return ES_LAUNCH(LinearGateKernel<T>, static_cast<unsigned int>(gate.samples),
                     kGateBlockWarps * kWarpSize, static_cast<size_t>(padded) * sizeof(float),
                     stream, gate, logits, threshold, padded, outputs);
}

template <typename T>
cudaError_t Launch(ExitGate const& gate, T const* logits, float const* threshold,
                   ExitGateOutputs const& outputs, cudaStream_t stream) {
    bool const linear = gate.policy == ExitPolicy::kLinearGate;
    bool const wide = gate.classes >= kManyClasses;
    bool const single = gate.samples == 1 || (!linear && !wide && gate.samples <= kGateSingleBlock);
    cudaError_t status;
    if (linear) {
        status = LaunchLinearGate(gate, logits, threshold, outputs, stream);
    } else if (wide) {
        status =
            ES_LAUNCH((ExitGateKernel<T, kGateBlockWarps>), static_cast<unsigned int>(gate.samples),
                      kGateBlockWarps * kWarpSize, 0, stream, gate, logits, threshold, outputs);
    } else {
        int32_t const warps = single ? gate.samples : kGateBlockWarps;
        status =
            ES_LAUNCH((ExitGateKernel<T, 1>), static_cast<unsigned int>(DivUp(gate.samples, warps)),
                      static_cast<unsigned int>(warps * kWarpSize), 0, stream, gate, logits,
                      threshold, outputs);
    }
    if (status != cudaSuccess || single) return status;
    return ES_LAUNCH(CompactSurvivorsKernel, 1, kCompactThreads, 0, stream, gate.samples, outputs);
}

}  // namespace

cudaError_t LaunchExitGate(ExitGate const& gate, void const* logits, float const* threshold,
                           ExitGateOutputs const& outputs, cudaStream_t stream) {
    if (!IsValid(gate) || outputs.count == nullptr) return cudaErrorInvalidValue;
    if (gate.samples == 0) return cudaMemsetAsync(outputs.count, 0, sizeof(int32_t), stream);
    if (logits == nullptr || threshold == nullptr || !IsComplete(outputs)) {
        return cudaErrorInvalidValue;
    }
    if (gate.type == DataType::kFloat) {
        return Launch(gate, static_cast<float const*>(logits), threshold, outputs, stream);
    }
    return Launch(gate, static_cast<half const*>(logits), threshold, outputs, stream);
}

}  // namespace edgesynth
