// fp16 against the definition of IEEE 754 in exact integer arithmetic, which is slow and simple.
#include "common/half.h"

#include <cmath>
#include <limits>

#include "testing/testing.h"

namespace edgesynth {
namespace {

double ValueOf(uint16_t bits) {  // by the definition: sign, exponent, fraction
    double const sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    int const exponent = (bits >> 10) & 31;
    int const fraction = bits & 1023;
    if (exponent == 31) {
        return fraction != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
    }
    if (exponent == 0) return sign * std::ldexp(fraction, -24);
    return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// `units` * 2^-48 rounded to fp16: every product of two fp16 numbers is a whole number of units,
// and so is every sum of one and a third. 128 bits hold all of them.
uint16_t RoundUnits(__int128 units) {
    uint16_t const sign = units < 0 ? 0x8000 : 0;
    unsigned __int128 const magnitude = static_cast<unsigned __int128>(units < 0 ? -units : units);
    uint16_t low = 0, high = 0x7C00;           // the largest fp16 not above, by bisection
    auto const in_units = [](uint16_t bits) {  // 0x7C00 stands for 2^16 here, as rounding has it
        int const exponent = bits >> 10, fraction = bits & 1023;
        unsigned __int128 const significand =
            static_cast<unsigned __int128>(exponent == 0 ? fraction : 1024 + fraction);
        return significand << (24 + (exponent == 0 ? 0 : exponent - 1));
    };
    while (high - low > 1) {
        uint16_t const middle = static_cast<uint16_t>((low + high) / 2);
        (in_units(middle) <= magnitude ? low : high) = middle;
    }
    if (magnitude >= in_units(high)) return static_cast<uint16_t>(sign | high);
    unsigned __int128 const below = magnitude - in_units(low), above = in_units(high) - magnitude;
    bool const up = above < below || (above == below && (low & 1) != 0);
    return static_cast<uint16_t>(sign | (up ? high : low));
}

__int128 Units(uint16_t bits, int scale) {  // the value times 2^scale
    __int128 const significand = (bits >> 10 & 31) == 0 ? bits & 1023 : 1024 + (bits & 1023);
    int const exponent = (bits >> 10 & 31) == 0 ? 1 : bits >> 10 & 31;
    __int128 const magnitude = significand << (exponent - 25 + scale);
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

bool IsFinite(uint16_t bits) { return (bits & 0x7C00) != 0x7C00; }

ES_TEST(HalfConvertsExactlyAndBack) {
    for (int i = 0; i < 0x10000; ++i) {
        uint16_t const bits = static_cast<uint16_t>(i);
        double const value = ValueOf(bits);
        float const got = HalfBitsToFloat(bits);
        bool const nan = std::isnan(value);
        ES_EXPECT(nan ? std::isnan(got) : value == got && std::signbit(value) == std::signbit(got),
                  "0x%04x: %g", i, got);
        uint16_t const back = FloatToHalfBits(got);
        ES_EXPECT(back == (nan ? 0x7FFF : bits), "0x%04x: 0x%04x", i, back);
        ES_EXPECT(Half2ToBits(Half2FromBits(0x10000u * bits + 7u)) == 0x10000u * bits + 7u, "%d",
                  i);
    }
}

ES_TEST(HalfRoundsToNearestEven) {
    struct {
        double value;
        uint16_t bits;
        char const* why;
    } const cases[] = {
        {65504.0, 0x7BFF, "the largest"},
        {65519.999, 0x7BFF, "below the tie with infinity"},
        {65520.0, 0x7C00, "the tie goes to infinity"},
        {-1e300, 0xFC00, "far beyond"},
        {std::ldexp(1.0, -25), 0x0000, "half the smallest: the tie goes to even, 0"},
        {std::ldexp(1.0001, -25), 0x0001, "above it"},
        {std::ldexp(-1.0, -26), 0x8000, "keeps its sign"},
        {std::ldexp(3.0, -25), 0x0002, "a tie between subnormals"},
        {std::ldexp(2047.0, -25), 0x0400,
         "the tie between the last subnormal and the first normal"},
        {2049.0, 0x6800, "tie, down to even"},
        {2051.0, 0x6802, "tie, up to even"},
        {2049.0 + 1e-9, 0x6801, "a float would have lost what breaks this tie"},
        {0.1, 0x2E66, "0.1"},
        {0.0, 0x0000, "zero"},
        {-0.0, 0x8000, "minus zero"},
    };
    for (auto const& test : cases) {
        uint16_t const bits = DoubleToHalfBits(test.value);
        ES_EXPECT(bits == test.bits, "%s: 0x%04x, not 0x%04x", test.why, bits, test.bits);
    }
}

uint16_t Bits(half value) { return value.bits; }

// a * b + c with every pattern equally likely, and with c close to -a * b, where cancellation and
// ties happen: rounding twice would be noticed.
ES_TEST(HalfArithmeticRoundsOnce) {
    testing::Random random(1);
    int twice = 0;
    for (int i = 0; i < 400000; ++i) {
        uint16_t const a = static_cast<uint16_t>(random.Next());
        uint16_t const b = static_cast<uint16_t>(random.Next());
        uint16_t c = static_cast<uint16_t>(random.Next());
        if (!IsFinite(a) || !IsFinite(b) || !IsFinite(c)) continue;
        __int128 const product = Units(a, 24) * Units(b, 24);
        if (i % 2 == 1) {
            c = static_cast<uint16_t>(RoundUnits(-product) + random.Integer(-2, 2));
            if (!IsFinite(c)) continue;
        }
        half const x = __ushort_as_half(a), y = __ushort_as_half(b), z = __ushort_as_half(c);
        __int128 const exact = product + Units(c, 48);
        if (exact != 0) {  // the sign of an exact zero is no matter of rounding
            ES_EXPECT(Bits(__hfma(x, y, z)) == RoundUnits(exact), "%04x * %04x + %04x", a, b, c);
        }
        if (product != 0) ES_EXPECT(Bits(__hmul(x, y)) == RoundUnits(product), "%04x * %04x", a, b);
        __int128 const sum = Units(a, 48) + Units(c, 48);
        if (sum != 0) ES_EXPECT(Bits(__hadd(x, z)) == RoundUnits(sum), "%04x + %04x", a, c);
        uint16_t const in_float =
            FloatToHalfBits(std::fmaf(HalfBitsToFloat(a), HalfBitsToFloat(b), HalfBitsToFloat(c)));
        twice += in_float != Bits(__hfma(x, y, z)) ? 1 : 0;
    }
    ES_EXPECT(twice > 0, "no case tells one rounding from two: the test is too weak");
}

ES_TEST(HalfSpecialValues) {
    half const infinity = __ushort_as_half(0x7C00), nan = __ushort_as_half(0x7E00);
    half const zero = __float2half(0.0f), one = __float2half(1.0f);
    ES_EXPECT(Bits(__hfma(infinity, zero, one)) == 0x7FFF, "infinity * 0");
    ES_EXPECT(Bits(__hsub(infinity, infinity)) == 0x7FFF, "infinity - infinity");
    ES_EXPECT(Bits(__hfma(infinity, one, one)) == 0x7C00, "infinity * 1 + 1");
    ES_EXPECT(Bits(__hadd(nan, one)) == 0x7FFF, "NaN + 1");
    ES_EXPECT(!__hgt(nan, one) && !__hle(nan, one) && !__heq(nan, nan), "NaN compares");
    half2 const pair = __hfma2(__floats2half2_rn(2.0f, -3.0f), __floats2half2_rn(4.0f, 5.0f),
                               __float2half2_rn(0.5f));
    ES_EXPECT(__low2float(pair) == 8.5f && __high2float(pair) == -14.5f, "%g %g", __low2float(pair),
              __high2float(pair));
}

}  // namespace
}  // namespace edgesynth
