// Sizes and indices: rounding up, and products that do not wrap around. For host and device.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define ES_HOST_DEVICE __host__ __device__
#else
#define ES_HOST_DEVICE
#endif

namespace edgesynth {

// ceil(a / b), without overflow near the type's limit. For a >= 0 and b > 0 only: check sizes
// first.
template <typename T>
ES_HOST_DEVICE constexpr T DivUp(T a, T b) {
    return a / b + (a % b != 0 ? 1 : 0);
}

// The smallest multiple of b that is not below a.
template <typename T>
ES_HOST_DEVICE constexpr T RoundUp(T a, T b) {
    return DivUp(a, b) * b;
}

// *product *= factor; false, and *product is untouched, when that is negative or needs over 63
// bits.
inline bool MultiplySizes(int64_t factor, int64_t* product) {
    if (factor < 0 || *product < 0) return false;
    if (factor != 0 && *product > INT64_MAX / factor) return false;
    *product *= factor;
    return true;
}

// The product of non-negative sizes, or -1 when one is negative or it needs more than 63 bits.
template <typename... Sizes>
int64_t CheckedProduct(Sizes... sizes) {
    int64_t const factors[] = {static_cast<int64_t>(sizes)...};
    int64_t product = 1;
    for (int64_t const factor : factors) {
        if (!MultiplySizes(factor, &product)) return -1;
    }
    return product;
}

// Can `count` blocks be launched along x? CUDA's limit is 2^31 - 1.
inline bool FitsGridX(int64_t count) { return count >= 1 && count <= INT32_MAX; }

// Can `count` blocks be launched along y or z?
inline bool FitsGridYZ(int64_t count) { return count >= 1 && count <= 65535; }

}  // namespace edgesynth
