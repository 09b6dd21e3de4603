// CUDA's half and half2 on the host, bit for bit: every operation is the exact result rounded once
// to fp16 (nearest, ties to even; subnormals kept; every NaN that is computed is 0x7FFF).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "common/half_bits.h"
#include "emulation/types.h"

struct __half {
    uint16_t bits;
};

struct alignas(4) __half2 {
    __half x, y;
};

typedef __half half;
typedef __half2 half2;

namespace edgesynth {
namespace emulation {

inline double Widen(__half a) { return HalfBitsToFloat(a.bits); }
inline __half Narrow(double a) { return __half{DoubleToHalfBits(a)}; }

// a * b is exact in double (22 bits). The sum may not be, so it is rounded to odd, which a second
// rounding to 11 bits cannot tell from the exact sum (Boldo and Melquiond, 2008).
inline double FusedMultiplyAdd(double a, double b, double c) {
    double const product = a * b;
    double const sum = product + c;
    if (!std::isfinite(sum)) return sum;
    double const part = sum - product;
    double const error = (product - (sum - part)) + (c - part);
    if (error == 0.0) return sum;
    uint64_t bits;
    std::memcpy(&bits, &sum, sizeof(bits));
    if ((bits & 1) == 0) bits += (error > 0.0) == (sum > 0.0) ? 1 : UINT64_MAX;
    double odd;
    std::memcpy(&odd, &bits, sizeof(odd));
    return odd;
}

}  // namespace emulation
}  // namespace edgesynth

// ---- conversions ----

inline __half __float2half_rn(float a) { return __half{edgesynth::FloatToHalfBits(a)}; }
inline __half __float2half(float a) { return __float2half_rn(a); }
inline float __half2float(__half a) { return edgesynth::HalfBitsToFloat(a.bits); }
inline __half __ushort_as_half(unsigned short a) { return __half{a}; }
inline unsigned short __half_as_ushort(__half a) { return a.bits; }
inline __half __int2half_rn(int a) { return edgesynth::emulation::Narrow(a); }

inline __half2 __halves2half2(__half low, __half high) { return __half2{low, high}; }
inline __half2 __half2half2(__half a) { return __half2{a, a}; }
inline __half __low2half(__half2 a) { return a.x; }
inline __half __high2half(__half2 a) { return a.y; }
inline float __low2float(__half2 a) { return __half2float(a.x); }
inline float __high2float(__half2 a) { return __half2float(a.y); }
inline __half2 __low2half2(__half2 a) { return __half2{a.x, a.x}; }
inline __half2 __high2half2(__half2 a) { return __half2{a.y, a.y}; }
inline __half2 __lowhigh2highlow(__half2 a) { return __half2{a.y, a.x}; }
inline __half2 __float2half2_rn(float a) { return __half2half2(__float2half_rn(a)); }
inline __half2 __floats2half2_rn(float low, float high) {
    return __half2{__float2half_rn(low), __float2half_rn(high)};
}
inline float2 __half22float2(__half2 a) { return float2{__low2float(a), __high2float(a)}; }
inline __half2 __float22half2_rn(float2 a) { return __floats2half2_rn(a.x, a.y); }

// ---- arithmetic ----

inline __half __hadd(__half a, __half b) {
    return edgesynth::emulation::Narrow(edgesynth::emulation::Widen(a) +
                                        edgesynth::emulation::Widen(b));
}
inline __half __hsub(__half a, __half b) {
    return edgesynth::emulation::Narrow(edgesynth::emulation::Widen(a) -
                                        edgesynth::emulation::Widen(b));
}
inline __half __hmul(__half a, __half b) {
    return edgesynth::emulation::Narrow(edgesynth::emulation::Widen(a) *
                                        edgesynth::emulation::Widen(b));
}
inline __half __hfma(__half a, __half b, __half c) {
    using edgesynth::emulation::Widen;
    return edgesynth::emulation::Narrow(
        edgesynth::emulation::FusedMultiplyAdd(Widen(a), Widen(b), Widen(c)));
}
inline __half __hneg(__half a) { return __half{static_cast<uint16_t>(a.bits ^ 0x8000u)}; }

inline __half2 __hadd2(__half2 a, __half2 b) { return __half2{__hadd(a.x, b.x), __hadd(a.y, b.y)}; }
inline __half2 __hsub2(__half2 a, __half2 b) { return __half2{__hsub(a.x, b.x), __hsub(a.y, b.y)}; }
inline __half2 __hmul2(__half2 a, __half2 b) { return __half2{__hmul(a.x, b.x), __hmul(a.y, b.y)}; }
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
    return __half2{__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
inline __half2 __hneg2(__half2 a) { return __half2{__hneg(a.x), __hneg(a.y)}; }

// ---- comparisons: false when either side is NaN ----

inline bool __hgt(__half a, __half b) { return __half2float(a) > __half2float(b); }
inline bool __hge(__half a, __half b) { return __half2float(a) >= __half2float(b); }
inline bool __hlt(__half a, __half b) { return __half2float(a) < __half2float(b); }
inline bool __hle(__half a, __half b) { return __half2float(a) <= __half2float(b); }
inline bool __heq(__half a, __half b) { return __half2float(a) == __half2float(b); }
inline bool __hisnan(__half a) { return std::isnan(__half2float(a)); }
