// EsExitGate as a textbook has it: a full softmax, in double precision, one sample at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "exit_gate/exit_gate.h"

namespace edgesynth {

struct ExitDecision {
    int32_t label;      // -1 where a logit is NaN: then any class is right
    double confidence;  // NaN where there is none; such a sample stays
};

// logits: one sample's. gate_weights: as many, for kLinearGate only.
ExitDecision ReferenceExitGate(ExitPolicy policy, std::vector<double> const& logits,
                               std::vector<double> const& gate_weights, double gate_bias);

// Whether a sample of this confidence leaves.
bool ReferenceExits(ExitPolicy policy, double confidence, double threshold);

}  // namespace edgesynth
