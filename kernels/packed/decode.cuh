// From words to numbers, and how products are added up.
//
// A field is never converted: its bits become the last bits of a number with a known exponent,
//
//   fp16   bits & mask | 0x6400       = 1024 + 2^s u   for the field u at bit s of a half, s + b <=
//   10 fp32   bits & mask | 0x4B000000   = 2^23 + 2^s u
//
// and one fused multiply-add takes it to the fraction (u - 2^(b-1)) / 2^(b-1), without rounding. So
// two weights cost one LOP3 and one HFMA2, and a shift only where a field lies too high.
#pragma once

#include "common/half.h"
#include "packed/layout.h"

namespace edgesynth {

// The fp16 number 2^exponent, and 2^exponent + 1, in both halves of a word.
__host__ __device__ constexpr uint32_t TwiceHalfPower(int exponent) {
    return 0x00010001u * (static_cast<uint32_t>(15 + exponent) << 10);
}
__host__ __device__ constexpr uint32_t TwiceHalfPowerPlusOne(int exponent) {
    return TwiceHalfPower(exponent) + 0x00010001u * (1u << (10 - exponent));
}
__host__ __device__ constexpr float FloatPower(int exponent) {
    return exponent < 0 ? 1.0f / static_cast<float>(1 << -exponent)
                        : static_cast<float>(1 << exponent);
}

// Weights and activations as they are multiplied. kStep columns make one operand of 32 bits, which
// is how it lies in shared memory.
template <typename T>
struct Operand;

template <>
struct Operand<half> {
    static constexpr int kStep = 2;
    using Type = half2;

    __device__ __forceinline__ static half2 FromBits(uint32_t bits) { return Half2FromBits(bits); }
    __device__ __forceinline__ static uint32_t ToBits(half2 pair) { return Half2ToBits(pair); }

    // Columns 2k and 2k + 1 of a word.
    template <int kBits>
    __device__ __forceinline__ static half2 Decode(uint32_t word, int k) {
        constexpr int kLow = 10 / kBits;  // fields of a half that need no shift
        constexpr uint32_t kMask = 0x00010001u * ((1u << kBits) - 1u);
        int const bit = kBits * (k % kLow);
        uint32_t const bits = k < kLow ? word : word >> (kBits * kLow);
        static_assert(2 * kLow >= 16 / kBits, "one shift must bring down all the higher fields");
        uint32_t const number = (bits & (kMask << bit)) | 0x64006400u;
        return __hfma2(Half2FromBits(number), Half2FromBits(TwiceHalfPower(1 - kBits - bit)),
                       Half2FromBits(0x80008000u | TwiceHalfPowerPlusOne(11 - kBits - bit)));
    }
};

template <>
struct Operand<float> {
    static constexpr int kStep = 1;
    using Type = float;

    __device__ __forceinline__ static float FromBits(uint32_t bits) {
        return __uint_as_float(bits);
    }
    __device__ __forceinline__ static uint32_t ToBits(float value) {
        return __float_as_uint(value);
    }

    // Column k of a word.
    template <int kBits>
    __device__ __forceinline__ static float Decode(uint32_t word, int k) {
        constexpr uint32_t kMask = (1u << kBits) - 1u;
        int const bit = kBits * (k / 2);
        uint32_t const bits = k % 2 == 0 ? word : word >> 16;
        uint32_t const number = (bits & (kMask << bit)) | 0x4B000000u;
        return fmaf(__uint_as_float(number), FloatPower(1 - kBits - bit),
                    -(FloatPower(24 - kBits - bit) + 1.0f));
    }
};

// A sum of products. Add at most kMostUnflushed columns between two calls of Flush.
constexpr int kMostUnflushed = 64;

template <typename T>
struct Sum;

template <>
struct Sum<half> {
    half2 partial;  // of even and of odd columns
    float total;

    __device__ __forceinline__ void Clear() {
        partial = Half2FromBits(0);
        total = 0.0f;
    }
    __device__ __forceinline__ void Add(half2 weight, half2 x) {
        partial = __hfma2(weight, x, partial);
    }
    __device__ __forceinline__ void Flush() {
        float2 const both = __half22float2(partial);
        total += both.x + both.y;
        partial = Half2FromBits(0);
    }
};

template <>
struct Sum<float> {
    float total;

    __device__ __forceinline__ void Clear() { total = 0.0f; }
    __device__ __forceinline__ void Add(float weight, float x) { total = fmaf(weight, x, total); }
    __device__ __forceinline__ void Flush() {}
};

// What sums are multiplied with: fractions have been added up, and a scale is for codes.
template <int kBits>
__device__ __forceinline__ float FractionScale(float scale) {
    return scale * static_cast<float>(1 << (kBits - 1));
}

// Consecutive words of shared memory in one load; `from` is aligned to all of them.
__device__ __forceinline__ void LoadShared(uint32_t const* from, uint32_t (&to)[1]) {
    to[0] = *from;
}
__device__ __forceinline__ void LoadShared(uint32_t const* from, uint32_t (&to)[2]) {
    uint2 const words = *reinterpret_cast<uint2 const*>(from);
    to[0] = words.x;
    to[1] = words.y;
}
__device__ __forceinline__ void LoadShared(uint32_t const* from, uint32_t (&to)[4]) {
    uint4 const words = *reinterpret_cast<uint4 const*>(from);
    to[0] = words.x;
    to[1] = words.y;
    to[2] = words.z;
    to[3] = words.w;
}
__device__ __forceinline__ void LoadShared(uint32_t const* from, uint32_t (&to)[8]) {
    uint32_t low[4], high[4];
    LoadShared(from, low);
    LoadShared(from + 4, high);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        to[i] = low[i];
        to[i + 4] = high[i];
    }
}

}  // namespace edgesynth
