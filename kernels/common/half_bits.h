// fp16 on the host, without any CUDA header: what plugins convert weights with, and tests check by.
#pragma once

#include <cstdint>
#include <cstring>

namespace edgesynth {

// The value of an fp16 number: exact, since every fp16 number is a float.
inline float HalfBitsToFloat(uint16_t bits) {
    uint32_t pattern = static_cast<uint32_t>(bits & 0x7FFF) << 13;
    float value;
    if ((bits & 0x7C00) == 0x7C00) {  // infinity and NaN have float's largest exponent too
        pattern |= 0x7F800000u;
    } else {  // read with float's bias of 127 instead of 15: 2^112 too small, subnormals as well
        std::memcpy(&value, &pattern, sizeof(value));
        value *= 5192296858534827628530496329220096.0f;  // 2^112
        std::memcpy(&pattern, &value, sizeof(value));
    }
    pattern |= static_cast<uint32_t>(bits & 0x8000) << 16;
    std::memcpy(&value, &pattern, sizeof(value));
    return value;
}

// Rounded once: nearest, ties to even; from 65520 on infinity. NaN: 0x7FFF, as the GPU gives.
inline uint16_t DoubleToHalfBits(double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    uint32_t const sign = static_cast<uint32_t>(bits >> 48) & 0x8000u;
    bits &= 0x7FFFFFFFFFFFFFFFu;
    if (bits > 0x7FF0000000000000u) return 0x7FFF;
    int const exponent = static_cast<int>(bits >> 52) - 1023;
    if (exponent > 15) return static_cast<uint16_t>(sign | 0x7C00u);
    if (exponent < -25) return static_cast<uint16_t>(sign);
    // Drop what lies below fp16's last bit, which is 2^-24 for everything under 2^-14.
    int const above = exponent < -14 ? -14 : exponent;
    int const dropped = 42 + above - exponent;
    uint64_t const significand = (bits & 0xFFFFFFFFFFFFFu) | 0x10000000000000u;
    uint64_t const rest = significand & ((uint64_t{1} << dropped) - 1);
    uint64_t const tie = uint64_t{1} << (dropped - 1);
    uint32_t kept = static_cast<uint32_t>(significand >> dropped);
    if (rest > tie || (rest == tie && (kept & 1) != 0)) ++kept;
    // Exponent and fraction are one number: a carry out of the fraction is right, up to infinity.
    return static_cast<uint16_t>(sign | (kept + (static_cast<uint32_t>(above + 14) << 10)));
}

inline uint16_t FloatToHalfBits(float value) { return DoubleToHalfBits(value); }

}  // namespace edgesynth
