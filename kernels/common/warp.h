// Reductions and scans over the 32 lanes of a warp. Every lane must take part and gets the result.
#pragma once

#include "common/portable.h"

namespace edgesynth {

__device__ __forceinline__ int LaneId() { return static_cast<int>(threadIdx.x) % kWarpSize; }

// The order of additions is fixed, so the sum has the same bits on every GPU and in emulation.
template <typename T>
__device__ __forceinline__ T WarpSum(T value) {
#pragma unroll
    for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
        value += __shfl_xor_sync(kFullMask, value, offset);
    }
    return value;
}

// A NaN does not survive: fmaxf gives the other operand.
__device__ __forceinline__ float WarpMax(float value) {
#pragma unroll
    for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
        value = fmaxf(value, __shfl_xor_sync(kFullMask, value, offset));
    }
    return value;
}

// How many lanes below this one have `predicate`; the rank of a survivor in its warp.
__device__ __forceinline__ int RankInWarp(bool predicate, int* total) {
    unsigned int const votes = __ballot_sync(kFullMask, predicate);
    *total = __popc(votes);
    return __popc(votes & ((1u << LaneId()) - 1u));
}

}  // namespace edgesynth
