// Eight floats at a time, in whatever registers the compiler is told the machine has.
#pragma once

#include <cstdint>
#include <cstring>

namespace edgesynth {

typedef float Float8 __attribute__((vector_size(32)));
typedef int32_t Int8 __attribute__((vector_size(32)));

constexpr int kLanes = 16;  // outputs that are computed and decided together: two vectors

inline Float8 Load8(float const* from) {
    Float8 value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}
inline void Store8(Float8 const& value, float* to) { std::memcpy(to, &value, sizeof(value)); }

// Sums of kFilters filters over `count` columns of 16 numbers each: the inner loop of everything.
//
// Column k lies at x + k * kLanes; its weight at weights[f][places[k]]. Every sum is a chain in the
// order of the columns, so where it is cut and which filters run together changes no bit.
template <int kFilters>
inline void MultiplyColumns(float const* x, int32_t const* places, int count,
                            float const* const* weights, float* const* sums) {
    Float8 low[kFilters], high[kFilters];
    for (int f = 0; f < kFilters; ++f) {
        low[f] = Load8(sums[f]);
        high[f] = Load8(sums[f] + 8);
    }
    for (int k = 0; k < count; ++k) {
        Float8 const first = Load8(x + k * kLanes), second = Load8(x + k * kLanes + 8);
        int32_t const place = places[k];
        for (int f = 0; f < kFilters; ++f) {
            float const weight = weights[f][place];
            low[f] += weight * first;
            high[f] += weight * second;
        }
    }
    for (int f = 0; f < kFilters; ++f) {
        Store8(low[f], sums[f]);
        Store8(high[f], sums[f] + 8);
    }
}

}  // namespace edgesynth
