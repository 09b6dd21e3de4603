// Device code of EsTwice.
#pragma once

#include "common/half.h"
#include "common/sizes.h"
#include "twice/twice.h"

namespace edgesynth {

constexpr int kTwiceThreads = 128;

template <typename T>
__global__ void __launch_bounds__(kTwiceThreads) TwiceKernel(Twice twice, T const* x, T* y) {
    int64_t const step = static_cast<int64_t>(gridDim.x) * kTwiceThreads;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * kTwiceThreads + threadIdx.x;
         i < twice.elements; i += step) {
        y[i] = FromFloat<T>(twice.factor * LoadFloat(x + i));
    }
}

}  // namespace edgesynth
