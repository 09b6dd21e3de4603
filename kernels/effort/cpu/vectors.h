// Eight floats at a time, in whatever registers the compiler is told the machine has.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace edgesynth {

typedef float Float8 __attribute__((vector_size(32)));
typedef int32_t Int8 __attribute__((vector_size(32)));

// Outputs that are computed and decided together. One vector would agree more often, but keeps the
// multipliers a quarter less busy: every weight that is read serves half as much.
constexpr int kVectors = 2;
constexpr int kLanes = 8 * kVectors;

inline Float8 Load8(float const* from) {
    Float8 value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}
inline void Store8(Float8 const& value, float* to) { std::memcpy(to, &value, sizeof(value)); }

// Of 16 masks, one bit each.
inline uint32_t BitsOf(Int8 const (&masks)[kVectors]) {
    uint32_t bits = 0;
    for (int i = 0; i < kVectors; ++i) {
#if defined(__AVX__)
        __m256 lanes;
        std::memcpy(&lanes, &masks[i], sizeof(lanes));
        bits |= static_cast<uint32_t>(_mm256_movemask_ps(lanes)) << (8 * i);
#else
        for (int k = 0; k < 8; ++k) {
            bits |= (static_cast<uint32_t>(masks[i][k]) & 1u) << (8 * i + k);
        }
#endif
    }
    return bits;
}

// Eight numbers two apart.
inline Float8 LoadEveryOther8(float const* from) {
#if defined(__AVX2__)
    // what is odd of the second half: nothing behind the last number is read
    __m256 const evens = _mm256_shuffle_ps(_mm256_loadu_ps(from), _mm256_loadu_ps(from + 7),
                                           0b11011000);  // 0 2 | 8 10, 4 6 | 12 14
    __m256d const halves = _mm256_castps_pd(evens);
    __m256 const sorted = _mm256_castpd_ps(_mm256_permute4x64_pd(halves, 0b11011000));
    Float8 value;
    std::memcpy(&value, &sorted, sizeof(value));
    return value;
#else
    Float8 value;
    for (int i = 0; i < 8; ++i) value[i] = from[2 * i];
    return value;
#endif
}

inline float SumOf(Float8 const& x) {
    return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7]));
}

// Sums of kFilters filters over `count` columns of kLanes numbers each: the inner loop of
// everything.
//
// Column k lies at x + k * kLanes; its weight at weights[f][places[k]]. Every sum is a chain in the
// order of the columns, so where it is cut and which filters run together changes no bit.
template <int kFilters>
inline void MultiplyColumns(float const* x, int32_t const* places, int count,
                            float const* const* weights, float* const* sums) {
    Float8 total[kFilters][kVectors];
    for (int f = 0; f < kFilters; ++f) {
        for (int i = 0; i < kVectors; ++i) total[f][i] = Load8(sums[f] + 8 * i);
    }
    for (int k = 0; k < count; ++k) {
        Float8 column[kVectors];
        for (int i = 0; i < kVectors; ++i) column[i] = Load8(x + k * kLanes + 8 * i);
        int32_t const place = places[k];
        for (int f = 0; f < kFilters; ++f) {
            float const weight = weights[f][place];
            for (int i = 0; i < kVectors; ++i) total[f][i] += weight * column[i];
        }
    }
    for (int f = 0; f < kFilters; ++f) {
        for (int i = 0; i < kVectors; ++i) Store8(total[f][i], sums[f] + 8 * i);
    }
}

}  // namespace edgesynth
