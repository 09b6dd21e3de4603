// What every convolution and linear operator does with its sums: bias, residual, activation.
#pragma once

#include "common/half.h"
#include "common/launcher.h"

namespace edgesynth {

// y = act(sum + bias[channel] + residual[index]), in float, rounded to T once. NaN stays NaN.
template <typename T>
struct Epilogue {
    float const* bias;  // one per output channel; null: none
    T const* residual;  // laid out as the output; null: none
    Activation activation;

    __device__ __forceinline__ T Apply(float sum, int64_t channel, int64_t index) const {
        if (bias != nullptr) sum += __ldg(bias + channel);
        if (residual != nullptr) sum += LoadFloat(residual + index);
        if (activation == Activation::kRelu) sum = sum < 0.0f ? 0.0f : sum;
        return FromFloat<T>(sum);
    }
};

}  // namespace edgesynth
