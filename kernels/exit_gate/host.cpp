#include "emulation/host.h"

#include "exit_gate/exit_gate.h"

// exit, label, survivors: N words; confidence: N floats; count: 1 word. gate_weights: C floats, or
// null for the policies without.
ES_HOST_ENTRY int32_t es_exit_gate_host(void const* logits, float const* threshold,
                                        float const* gate_weights, float gate_bias, int32_t samples,
                                        int32_t classes, int32_t type, int32_t policy,
                                        int32_t* exit, int32_t* label, float* confidence,
                                        int32_t* survivors, int32_t* count) {
    edgesynth::ExitGate const gate{samples,
                                   classes,
                                   static_cast<edgesynth::DataType>(type),
                                   static_cast<edgesynth::ExitPolicy>(policy),
                                   gate_weights,
                                   gate_bias};
    return edgesynth::LaunchExitGate(gate, logits, threshold,
                                     {exit, label, confidence, survivors, count, nullptr}, nullptr);
}
