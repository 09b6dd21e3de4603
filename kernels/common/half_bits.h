// fp16 on the host, without any CUDA header: what plugins convert weights with, and tests check by.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace edgesynth {

// The value of an fp16 number: exact, since every fp16 number is a float.
inline float HalfBitsToFloat(uint16_t bits) {
    int const exponent = (bits >> 10) & 0x1F;
    int const fraction = bits & 0x3FF;
    float const sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
    if (exponent == 0x1F) return fraction != 0 ? std::nanf("") : sign * HUGE_VALF;
    if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
    return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

// Rounded once: nearest, ties to even. Beyond 65504 + half a step: infinity. NaN: 0x7FFF, as the
// GPU's own conversion gives.
inline uint16_t DoubleToHalfBits(double value) {
    if (std::isnan(value)) return 0x7FFF;
    uint16_t const sign = std::signbit(value) ? 0x8000 : 0;
    double const magnitude = std::fabs(value);
    if (magnitude >= 65520.0) return sign | 0x7C00;
    if (magnitude == 0.0) return sign;
    int exponent;
    std::frexp(magnitude, &exponent);                    // magnitude = [0.5, 1) * 2^exponent
    int const step = exponent - 11 < -24 ? -24 : exponent - 11;  // of the last bit, as a power of 2
    double const scaled = std::ldexp(magnitude, -step);  // exact; below 2048
    double const floor = std::floor(scaled);
    double const rest = scaled - floor;
    int64_t count = static_cast<int64_t>(floor);
    if (rest > 0.5 || (rest == 0.5 && (count & 1) != 0)) ++count;
    // As an integer, exponent and fraction are one number: a carry out of the fraction is right.
    return static_cast<uint16_t>(sign | (count + (static_cast<int64_t>(step + 24) << 10)));
}

inline uint16_t FloatToHalfBits(float value) { return DoubleToHalfBits(value); }

}  // namespace edgesynth
