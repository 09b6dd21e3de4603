// Device code of EsScale.
#pragma once

#include "common/half.h"
#include "scale/scale.h"

namespace edgesynth {

constexpr int kScaleThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kScaleThreads) ScaleKernel(Scale scale, T const* x, T* y) {
    int64_t const i = static_cast<int64_t>(blockIdx.x) * kScaleThreads + threadIdx.x;
    if (i < scale.count) y[i] = FromFloat<T>(scale.factor * ToFloat(x[i]));
}

}  // namespace edgesynth
