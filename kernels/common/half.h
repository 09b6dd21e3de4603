// Helpers around half and half2 that CUDA 10.2 lacks, and one way to read float and half alike.
#pragma once

#include "common/portable.h"

namespace edgesynth {

// The same 32 bits as two fp16 numbers; the low half is the first in memory.
__device__ __forceinline__ half2 Half2FromBits(uint32_t bits) {
    return __halves2half2(__ushort_as_half(static_cast<unsigned short>(bits & 0xFFFFu)),
                          __ushort_as_half(static_cast<unsigned short>(bits >> 16)));
}

__device__ __forceinline__ uint32_t Half2ToBits(half2 pair) {
    return static_cast<uint32_t>(__half_as_ushort(__low2half(pair))) |
           static_cast<uint32_t>(__half_as_ushort(__high2half(pair))) << 16;
}

__device__ __forceinline__ float ToFloat(float value) { return value; }
__device__ __forceinline__ float ToFloat(half value) { return __half2float(value); }

template <typename T>
__device__ __forceinline__ T FromFloat(float value);
template <>
__device__ __forceinline__ float FromFloat<float>(float value) {
    return value;
}
template <>
__device__ __forceinline__ half FromFloat<half>(float value) {
    return __float2half_rn(value);
}

// One element through the read-only cache, as float.
__device__ __forceinline__ float LoadFloat(float const* address) { return __ldg(address); }
__device__ __forceinline__ float LoadFloat(half const* address) {
    return __half2float(__ushort_as_half(__ldg(reinterpret_cast<unsigned short const*>(address))));
}

// One activation as bits of an operand; two of them make a pair.
__device__ __forceinline__ uint32_t LoadBits(half const* address) {
    return __ldg(reinterpret_cast<unsigned short const*>(address));
}
__device__ __forceinline__ uint32_t LoadBits(float const* address) {
    return __float_as_uint(__ldg(address));
}

}  // namespace edgesynth
