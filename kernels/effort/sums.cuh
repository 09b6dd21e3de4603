// How EsEffortConv adds products up: two neighbouring pixels at a time, one weight for both.
#pragma once

#include "common/half.h"

namespace edgesynth {

// fp16 adds up the products of one step of columns, from there on it is fp32.
template <typename T>
struct EffortSum;

template <>
struct EffortSum<float> {
    using Pair = float2;
    float2 total;

    __device__ __forceinline__ void Clear() { total = make_float2(0.0f, 0.0f); }
    __device__ __forceinline__ void Flush() {}
    __device__ __forceinline__ float2 Total() const { return total; }
    __device__ __forceinline__ void Add(float weight, float2 x) {
        total.x = fmaf(weight, x.x, total.x);
        total.y = fmaf(weight, x.y, total.y);
    }
};

template <>
struct EffortSum<half> {
    using Pair = half2;
    half2 partial;
    float2 total;

    __device__ __forceinline__ void Clear() {
        partial = Half2FromBits(0);
        total = make_float2(0.0f, 0.0f);
    }
    __device__ __forceinline__ void Flush() {
        total = Total();
        partial = Half2FromBits(0);
    }
    __device__ __forceinline__ float2 Total() const {
        float2 const both = __half22float2(partial);
        return make_float2(total.x + both.x, total.y + both.y);
    }
    __device__ __forceinline__ void Add(half weight, half2 x) {
        partial = __hfma2(__half2half2(weight), x, partial);
    }
};

// Eight weights of one column, 16-byte aligned in shared memory.
__device__ __forceinline__ void LoadEight(float const* from, float (&to)[8]) {
    float4 const low = *reinterpret_cast<float4 const*>(from);
    float4 const high = *reinterpret_cast<float4 const*>(from + 4);
    to[0] = low.x;
    to[1] = low.y;
    to[2] = low.z;
    to[3] = low.w;
    to[4] = high.x;
    to[5] = high.y;
    to[6] = high.z;
    to[7] = high.w;
}
__device__ __forceinline__ void LoadEight(half const* from, half (&to)[8]) {
    uint4 const words = *reinterpret_cast<uint4 const*>(from);
    uint32_t const all[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        half2 const pair = Half2FromBits(all[i]);
        to[2 * i] = __low2half(pair);
        to[2 * i + 1] = __high2half(pair);
    }
}

// Four numbers in one load and store; both addresses are aligned to all four.
__device__ __forceinline__ void CopyFour(float const* from, float* to) {
    *reinterpret_cast<float4*>(to) = __ldg(reinterpret_cast<float4 const*>(from));
}
__device__ __forceinline__ void CopyFour(half const* from, half* to) {
    *reinterpret_cast<uint2*>(to) = __ldg(reinterpret_cast<uint2 const*>(from));
}
__device__ __forceinline__ void ClearFour(float* to) {
    *reinterpret_cast<float4*>(to) = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
}
__device__ __forceinline__ void ClearFour(half* to) {
    *reinterpret_cast<uint2*>(to) = make_uint2(0, 0);
}

// The bits of a loaded activation as a number again.
template <typename T>
__device__ __forceinline__ T NumberOf(uint32_t bits);
template <>
__device__ __forceinline__ float NumberOf<float>(uint32_t bits) {
    return __uint_as_float(bits);
}
template <>
__device__ __forceinline__ half NumberOf<half>(uint32_t bits) {
    return __ushort_as_half(static_cast<unsigned short>(bits));
}

__device__ __forceinline__ uint32_t BitsOf(float value) { return __float_as_uint(value); }
__device__ __forceinline__ uint32_t BitsOf(half value) { return __half_as_ushort(value); }

}  // namespace edgesynth
