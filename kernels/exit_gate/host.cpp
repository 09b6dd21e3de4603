#include "common/entries.h"
#include "common/staged.h"
#include "exit_gate/exit_gate.h"

ES_ENTRY int32_t es_exit_gate_host(int32_t type, int64_t const* shape, void const* logits,
                                   float const* threshold, int32_t classes, int32_t policy,
                                   float const* gate_weights, int64_t gate_weights_count,
                                   float gate_bias, int32_t* exit, int32_t* label,
                                   float* confidence, int32_t* survivors, int32_t* count) {
    using edgesynth::Staged;
    int64_t const samples = shape[0];
    if (samples > INT32_MAX || shape[1] != classes) return cudaErrorInvalidValue;
    auto const data = static_cast<edgesynth::DataType>(type);
    int64_t const words = samples * 4;
    edgesynth::FirstError error;
    Staged const inputs(logits, samples * classes * edgesynth::SizeOf(data), &error);
    Staged const limit(threshold, 4, &error);
    Staged const weights(gate_weights, gate_weights_count * 4, &error);
    Staged exits(words, &error), labels(words, &error), confidences(words, &error);
    Staged staying(words, &error), number(4, &error);
    if (!error.Ok()) return error.Get();
    edgesynth::ExitGate const gate{
        static_cast<int32_t>(samples), classes,  data, static_cast<edgesynth::ExitPolicy>(policy),
        weights.As<float>(),           gate_bias};
    edgesynth::ExitGateOutputs const outputs{exits.As<int32_t>(),     labels.As<int32_t>(),
                                             confidences.As<float>(), staying.As<int32_t>(),
                                             number.As<int32_t>(),    nullptr};
    error.Note(
        edgesynth::LaunchExitGate(gate, inputs.As<void>(), limit.As<float>(), outputs, nullptr));
    error.Note(cudaDeviceSynchronize());
    exits.CopyTo(exit);
    labels.CopyTo(label);
    confidences.CopyTo(confidence);
    staying.CopyTo(survivors);
    number.CopyTo(count);
    return error.Get();
}
