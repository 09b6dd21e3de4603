// Eight floats at a time, in whatever registers the compiler is told the machine has.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

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

// Numbers, 0 at first, the first of which lies where vectors may: those that cross a line of the
// cache take twice as long.
class Aligned {
  public:
    Aligned() = default;
    Aligned(Aligned const&) = delete;
    Aligned& operator=(Aligned const&) = delete;

    void Resize(size_t size) {
        numbers_.assign(size + 7, 0.0f);
        size_t const behind = reinterpret_cast<uintptr_t>(numbers_.data()) % sizeof(Float8);
        first_ = (sizeof(Float8) - behind) % sizeof(Float8) / sizeof(float);
    }
    float* data() { return numbers_.data() + first_; }
    float const* data() const { return numbers_.data() + first_; }

  private:
    std::vector<float> numbers_;
    size_t first_ = 0;
};

// Of eight masks, one bit each.
inline uint32_t BitsOf(Int8 const& masks) {
#if defined(__AVX__)
    __m256 lanes;
    std::memcpy(&lanes, &masks, sizeof(lanes));
    return static_cast<uint32_t>(_mm256_movemask_ps(lanes));
#else
    uint32_t bits = 0;
    for (int k = 0; k < 8; ++k) bits |= (static_cast<uint32_t>(masks[k]) & 1u) << k;
    return bits;
#endif
}
inline uint32_t BitsOf(Int8 const (&masks)[kVectors]) {
    uint32_t bits = 0;
    for (int i = 0; i < kVectors; ++i) bits |= BitsOf(masks[i]) << (8 * i);
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

// What stands at one place of the first `count` of eight maps, with zeros for the others.
inline Float8 Across(float const* const* maps, int count, int64_t at) {
    if (count >= 8) {
        return Float8{maps[0][at], maps[1][at], maps[2][at], maps[3][at],
                      maps[4][at], maps[5][at], maps[6][at], maps[7][at]};
    }
    Float8 value{};
    for (int i = 0; i < count; ++i) value[i] = maps[i][at];
    return value;
}

// Of each of eight vectors, the sum of its numbers.
inline Float8 SumsOf(Float8 const (&x)[8]) {
    Float8 sums;
#if defined(__AVX__)
    __m256 all[8];
    std::memcpy(all, x, sizeof(all));
    __m256 const low =
        _mm256_hadd_ps(_mm256_hadd_ps(all[0], all[1]), _mm256_hadd_ps(all[2], all[3]));
    __m256 const high =
        _mm256_hadd_ps(_mm256_hadd_ps(all[4], all[5]), _mm256_hadd_ps(all[6], all[7]));
    __m256 const added = _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20),
                                       _mm256_permute2f128_ps(low, high, 0x31));
    std::memcpy(&sums, &added, sizeof(sums));
#else
    for (int i = 0; i < 8; ++i) {
        sums[i] = ((x[i][0] + x[i][1]) + (x[i][2] + x[i][3])) +
                  ((x[i][4] + x[i][5]) + (x[i][6] + x[i][7]));
    }
#endif
    return sums;
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
