// Eight floats at a time, in whatever registers the compiler is told the machine has.
#pragma once

#include <cstdint>
#include <cstring>

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
