// Weights on the device, and arithmetic for float and half that reads the same.
#pragma once

#include "common/epilogue.h"
#include "common/half.h"
#include "common/warp.h"
#include "sparse/sparse.h"

namespace edgesynth {

// The sections of the packed weights (sparse/packing.h).
template <typename T>
struct SparseView {
    T const* values;
    uint16_t const* columns;
    int32_t const* starts;
    int32_t const* rows;
    int32_t slots;  // M
    int32_t panels;
    int32_t panel_columns;
    int32_t all_columns;  // K
};

// 4 bytes of activations: one float, or two halves that are computed on at once. Sums are kept in
// float; Chain is what a few products are added up in before.
template <typename T>
struct Lanes;

template <>
struct Lanes<float> {
    using Element = float;
    using Sum = float;
    static constexpr int kCount = 1;
    static __device__ __forceinline__ float Zero() { return 0.0f; }
    static __device__ __forceinline__ float Add(float sum, float chain) { return sum + chain; }
    static __device__ __forceinline__ float Multiply(float weight, float x, float chain) {
        return fmaf(weight, x, chain);
    }
    static __device__ __forceinline__ float Get(float sum, int) { return sum; }
    static __device__ __forceinline__ float Pack(float const (&values)[1]) { return values[0]; }
    // A weight in all lanes, as it is kept in shared memory, and back.
    static __device__ __forceinline__ int ToWord(float weight) { return __float_as_int(weight); }
    static __device__ __forceinline__ float FromWord(int word) { return __int_as_float(word); }
};

template <>
struct Lanes<half> {
    using Element = half2;
    using Sum = float2;
    static constexpr int kCount = 2;
    static __device__ __forceinline__ half2 Zero() { return __float2half2_rn(0.0f); }
    static __device__ __forceinline__ float2 Add(float2 sum, half2 chain) {
        float2 const wide = __half22float2(chain);
        return make_float2(sum.x + wide.x, sum.y + wide.y);
    }
    static __device__ __forceinline__ half2 Multiply(half2 weight, half2 x, half2 chain) {
        return __hfma2(weight, x, chain);
    }
    static __device__ __forceinline__ float Get(float2 sum, int lane) {
        return lane == 0 ? sum.x : sum.y;
    }
    static __device__ __forceinline__ half2 Pack(half const (&values)[2]) {
        return __halves2half2(values[0], values[1]);
    }
    static __device__ __forceinline__ int ToWord(half weight) {
        return static_cast<int>(Half2ToBits(__half2half2(weight)));
    }
    static __device__ __forceinline__ half2 FromWord(int word) {
        return Half2FromBits(static_cast<uint32_t>(word));
    }
};

__device__ __forceinline__ void SetZero(float* sum) { *sum = 0.0f; }
__device__ __forceinline__ void SetZero(float2* sum) { *sum = make_float2(0.0f, 0.0f); }

__device__ __forceinline__ float Load(float const* address) { return __ldg(address); }
__device__ __forceinline__ half Load(half const* address) {
    return __ushort_as_half(__ldg(reinterpret_cast<unsigned short const*>(address)));
}

}  // namespace edgesynth
