// EsExitGate: how sure a classifier is of each sample, and which samples need not go on.
#pragma once

#include "common/launcher.h"

namespace edgesynth {

// The codes are those of the ONNX attribute `policy`.
enum class ExitPolicy : int32_t {
    kMaxProbability = 0,  // exit when the largest probability is at least the threshold
    kEntropy = 1,         // exit when the entropy, in nats, is at most the threshold
    kMargin = 2,      // exit when the two largest probabilities differ by at least the threshold
    kLinearGate = 3,  // exit when sigmoid(weights . sorted probabilities + bias) is at least it
};

struct ExitGate {
    int32_t samples;  // N >= 0
    int32_t classes;  // C >= 1; at most kMaxGateClasses for kLinearGate
    DataType type;    // of the logits
    ExitPolicy policy;
    float const*
        gate_weights;  // device, C floats, the largest probability's first; kLinearGate only
    float gate_bias;
};

// The sorted logits of one sample lie in shared memory: 16 KiB.
constexpr int32_t kMaxGateClasses = 4096;

// What a host that shares the GPU's memory reads without a copy. `exit` is -1 until it is written
// if the host puts that there before the launch; both words arrive in one store.
struct alignas(8) ExitFlag {
    int32_t exit;
    int32_t label;
};

struct ExitGateOutputs {
    int32_t* exit;       // N: 1 or 0
    int32_t* label;      // N: the class with the largest logit, the first of equals
    float* confidence;   // N: the figure that the policy holds against the threshold
    int32_t* survivors;  // N: ascending indices of the samples that stay, then -1
    int32_t* count;      // 1: how many stay
    ExitFlag* flag;      // of sample 0; device address of mapped host memory; null: not wanted
};

// logits: device, (N, C) of `gate.type`. threshold: device, 1 float.
//
// A sample with a NaN or +infinity among its logits, or whose logits are all -infinity, has
// confidence NaN and stays, as does every sample when the threshold is NaN; its label is a class.
//
// cudaErrorInvalidValue: a size, policy, type or pointer that the comments above exclude.
cudaError_t LaunchExitGate(ExitGate const& gate, void const* logits, float const* threshold,
                           ExitGateOutputs const& outputs, cudaStream_t stream);

}  // namespace edgesynth
