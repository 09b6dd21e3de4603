#include <algorithm>
#include <cmath>

#include "packed/packed.h"
#include "packed/reference.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::Activations;
using testing::DeviceArray;
using testing::ForEveryOrder;
using testing::Random;

constexpr int32_t kWidths[] = {2, 3, 4, 8};
constexpr DataType kTypes[] = {DataType::kFloat, DataType::kHalf};

struct Shape {
    ConvShape conv;
    char const* why;
};

// samples, features, filters
Shape Linear(int32_t n, int32_t k, int32_t m, char const* why) {
    return Shape{LinearAsConv(n, k, m), why};
}

Shape const kLinearShapes[] = {
    Linear(1, 1, 1, "one weight: 31 lanes and 7 warps have nothing"),
    Linear(1, 15, 3, "less than one word of 2 bits, less than four rows"),
    Linear(1, 16, 4, "exactly one word of 2 bits, exactly four rows"),
    Linear(1, 17, 5, "one column in a second word, one row in a second warp"),
    Linear(1, 300, 33, "a second block, whose first warp has one row"),
    Linear(1, 513, 8, "one column more than a piece of x, at 8 bits"),
    Linear(1, 2049, 8, "one column more than a piece of x, at 2 bits; odd"),
    Linear(1, 120, 84, "LeNet-5's F6"),
    Linear(2, 77, 9, "an odd number of columns: the second sample is not aligned to fp16 pairs"),
    Linear(4, 64, 12, "all samples of a block; of two in fp32"),
    Linear(5, 40, 6, "one sample in a second block"),
    Linear(8, 33, 7, "two full blocks of samples"),
    Linear(9, 50, 70, "the first batch for the convolution's kernel; two tiles of filters"),
    Linear(49, 20, 5, "wide tiles: 64 samples"),
};

Shape const kConvShapes[] = {
    {{1, 1, 1, 1, 1, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, "one weight, one pixel"},
    {{1, 3, 8, 8, 5, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "one full wide tile, 27 columns"},
    {{1, 3, 5, 13, 4, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "one pixel in a second tile"},
    {{1, 16, 4, 4, 64, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "one full narrow tile"},
    {{1, 20, 7, 7, 65, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, "one filter in a second tile"},
    {{1, 3, 11, 9, 6, 1, {3, 5}, {2, 3}, {2, 1, 0, 4}, {1, 1}}, "nothing the same down and right"},
    {{1, 4, 9, 10, 3, 1, {3, 2}, {1, 1}, {2, 3, 2, 1}, {2, 3}}, "dilated"},
    {{1, 6, 6, 6, 9, 3, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "groups of 3 rows: padded to 4"},
    {{2, 6, 5, 8, 6, 2, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "pairs across two groups"},
    {{1, 5, 6, 6, 5, 5, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "depthwise: groups of one row"},
    {{3, 4, 3, 3, 6, 2, {2, 2}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, "a tile with pixels of 3 samples"},
    {{2, 2, 7, 7, 3, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, "a sample begins inside a thread"},
    {{1, 2, 2, 2, 3, 1, {2, 2}, {1, 1}, {3, 3, 3, 3}, {1, 1}}, "windows that see padding only"},
    {{1, 24, 6, 6, 8, 1, {3, 3}, {2, 2}, {0, 0, 1, 1}, {1, 1}}, "stride 2, padded on one side"},
    {{1, 7, 1, 23, 4, 1, {1, 7}, {1, 2}, {0, 3, 0, 3}, {1, 1}}, "a row, as in sequences"},
    {{1, 3, 27, 27, 6, 1, {11, 11}, {4, 4}, {2, 2, 2, 2}, {1, 1}}, "AlexNet's conv1, cropped"},
};

// A layer with everything that it is given; numbers are what the device holds, exactly.
struct Problem {
    std::string name;
    PackedConv layer;  // without pointers
    bool linear;
    std::vector<int32_t> codes;
    std::vector<float> scales, bias;
    std::vector<double> x, residual;

    int64_t Columns() const { return FilterWeights(layer.shape); }
    int64_t Outputs() const {
        ConvShape const& shape = layer.shape;
        return CheckedProduct(shape.samples, shape.filters, OutputSide(shape, 0),
                              OutputSide(shape, 1));
    }
    std::vector<double> Weights() const {
        std::vector<double> weights;
        for (size_t i = 0; i < codes.size(); ++i) {
            weights.push_back(codes[i] * double{scales[i / static_cast<size_t>(Columns())]});
        }
        return weights;
    }
};

std::vector<int32_t> RandomCodes(int64_t count, int32_t bits, Random* random) {
    std::vector<int32_t> codes(static_cast<size_t>(count));
    int64_t const end = 1 << (bits - 1);
    for (int32_t& code : codes) code = static_cast<int32_t>(random->Integer(-end, end - 1));
    return codes;
}

Problem MakeProblem(Shape const& shape, bool linear, DataType type, int32_t bits, uint64_t seed) {
    Random random(seed);
    ConvShape const& conv = shape.conv;
    Problem problem{};
    problem.name = testing::Format("%d bits, %s, %s", bits, testing::Name(type), shape.why);
    problem.layer = PackedConv{conv, type, Activation::kNone, {nullptr, nullptr, nullptr, bits}};
    problem.linear = linear;
    problem.codes = RandomCodes(conv.filters * problem.Columns(), bits, &random);
    for (int32_t i = 0; i < conv.filters; ++i) {
        problem.scales.push_back(static_cast<float>(random.Uniform(0.5, 2.0) / (1 << bits)));
        problem.bias.push_back(static_cast<float>(random.Normal()));
    }
    problem.x = testing::RoundTo(
        type, random.Normals(CheckedProduct(conv.samples, conv.channels, conv.height, conv.width)));
    if (random.Chance(0.5)) {
        problem.residual = testing::RoundTo(type, random.Normals(problem.Outputs()));
    }
    if (random.Chance(0.25)) problem.bias.clear();
    if (random.Chance(0.5)) problem.layer.activation = Activation::kRelu;
    return problem;
}

std::vector<double> Run(Problem const& problem, ChannelOrder order = ChannelOrder::kApart) {
    PackedConv layer = problem.layer;
    layer.order = order;
    bool const paired = order == ChannelOrder::kPaired;
    ConvShape const& shape = layer.shape;
    int64_t const inputs = int64_t{shape.height} * shape.width;
    int64_t const outputs = OutputSide(shape, 0) * OutputSide(shape, 1);
    int32_t const bits = layer.weights.bits;
    std::vector<int32_t> const words = PackCodes(problem.codes, problem.Columns(), bits);
    std::vector<int32_t> interleaved(static_cast<size_t>(
        InterleavedWordCount(shape.filters, shape.group, problem.Columns(), bits)));
    ES_EXPECT(InterleaveWords(shape.filters, shape.group, problem.Columns(), bits, words.data(),
                              interleaved.data()),
              "refused");
    DeviceArray<int32_t> device_words(interleaved);
    DeviceArray<float> scales(problem.scales), bias(problem.bias);
    Activations x(layer.type,
                  paired ? testing::Paired(problem.x, shape.channels, inputs) : problem.x);
    Activations residual(layer.type, paired
                                         ? testing::Paired(problem.residual, shape.filters, outputs)
                                         : problem.residual);
    Activations y(layer.type, problem.Outputs());
    void const* const added = problem.residual.empty() ? nullptr : residual.get();
    layer.weights = PackedWeights{device_words.get(), scales.get(),
                                  problem.bias.empty() ? nullptr : bias.get(), bits};
    if (problem.linear) {
        PackedLinear const linear{shape.samples, shape.channels,   shape.filters,
                                  layer.type,    layer.activation, layer.weights};
        ES_EXPECT_CUDA(LaunchPackedLinear(linear, x.get(), added, y.get(), nullptr));
    } else {
        ES_EXPECT_CUDA(LaunchPackedConv(layer, x.get(), added, y.get(), nullptr));
    }
    return paired ? testing::Unpaired(y.Host(), shape.filters, outputs) : y.Host();
}

// In fp16 each of at most 32 additions rounds by half a unit in the last place of a partial sum,
// at most 2^-11 of the magnitude; their signs are random, so 4 sigma of 32 are far below 2^-11 * 8.
// What lies below fp16's normal numbers loses up to 2^-25 per addition, times the scale of a
// fraction.
testing::Tolerance AllowedError(Problem const& problem) {
    int64_t const columns = problem.Columns();
    testing::Tolerance tolerance = testing::ToleranceFor(problem.layer.type, columns);
    if (problem.layer.type == DataType::kHalf) {
        float const largest = *std::max_element(problem.scales.begin(), problem.scales.end());
        double const fraction = std::ldexp(double{largest}, problem.layer.weights.bits - 1);
        tolerance.scaled += std::ldexp(8.0, -11);
        tolerance.absolute += std::ldexp(fraction * static_cast<double>(columns), -25);
    }
    return tolerance;
}

void Check(Problem const& problem) {
    PackedReference const expected = ReferenceConv(
        problem.layer, problem.Weights(),
        std::vector<double>(problem.bias.begin(), problem.bias.end()), problem.x, problem.residual);
    ForEveryOrder(problem.name, [&] {
        ES_EXPECT_CLOSE("y", Run(problem), expected.y, expected.magnitude, AllowedError(problem));
        ConvShape const& shape = problem.layer.shape;
        if (problem.linear || problem.layer.type != DataType::kHalf || shape.channels % 2 != 0 ||
            shape.filters % 2 != 0) {
            return;
        }
        ES_EXPECT_CLOSE("y in pairs of channels", Run(problem, ChannelOrder::kPaired), expected.y,
                        expected.magnitude, AllowedError(problem));
    });
}

// Small integers, whose sums are exact in fp16 too: the result must be the reference, bit by bit.
void MakeExact(Problem* problem, int64_t largest, uint64_t seed) {
    Random random(seed);
    for (double& x : problem->x) x = static_cast<double>(random.Integer(-largest, largest));
    for (double& added : problem->residual) added = static_cast<double>(random.Integer(-8, 8));
    for (float& scale : problem->scales) scale = 0.5f;
    for (float& bias : problem->bias) bias = static_cast<float>(random.Integer(-4, 4));
}

void CheckExactly(Problem const& problem) {
    PackedReference const expected = ReferenceConv(
        problem.layer, problem.Weights(),
        std::vector<double>(problem.bias.begin(), problem.bias.end()), problem.x, problem.residual);
    ForEveryOrder(problem.name + ", exactly", [&] {
        ES_EXPECT_CLOSE("y", Run(problem), testing::RoundTo(problem.layer.type, expected.y), {},
                        (testing::Tolerance{0.0, 0.0, 0.0}));
    });
}

void CheckAll(Shape const& shape, bool linear) {
    for (int32_t const bits : kWidths) {
        for (DataType const type : kTypes) {
            Check(MakeProblem(shape, linear, type, bits, static_cast<uint64_t>(bits)));
        }
    }
}

ES_TEST(PackedLinearMatchesReference) {
    for (Shape const& shape : kLinearShapes) CheckAll(shape, true);
}

ES_TEST(PackedConvMatchesReference) {
    for (Shape const& shape : kConvShapes) CheckAll(shape, false);
}

ES_TEST(PackedLinearOfSmallIntegersIsExact) {
    for (Shape const& shape :
         {Linear(1, 700, 6, "one"), Linear(3, 61, 6, "few"), Linear(9, 61, 6, "many")}) {
        for (int32_t const bits : kWidths) {
            for (DataType const type : kTypes) {
                Problem problem = MakeProblem(shape, true, type, bits, 3);
                // A partial sum is a multiple of 2^(1 - bits) and below 32: exact with 11 bits
                // while 32 * largest * 2^(bits - 1) stays at most 2^11.
                MakeExact(&problem, bits < 8 ? 64 >> (bits - 1) : 0, 4);
                if (bits == 8) {  // one nonzero in every block of 64 columns
                    for (size_t i = 0; i < problem.x.size(); i += 64) problem.x[i] = 1.0;
                }
                CheckExactly(problem);
            }
        }
    }
}

// x is a unit matrix, so y is the transposed codes: what the kernels unpack, bit by bit.
ES_TEST(PackedUnpacksEveryCode) {
    for (int32_t const bits : kWidths) {
        int32_t const codes = 1 << bits;
        for (int32_t const samples : {1, 4, codes + 11}) {
            for (DataType const type : kTypes) {
                Shape const shape = Linear(samples, codes + 11, 4, "unit vectors");
                for (int32_t first = 0; first < codes + 11; first += samples) {
                    Problem problem = MakeProblem(shape, true, type, bits, 5);
                    problem.layer.activation = Activation::kNone;
                    problem.residual.clear();
                    problem.bias.clear();
                    for (float& scale : problem.scales) scale = 1.0f;
                    for (size_t i = 0; i < problem.codes.size(); ++i) {
                        int64_t const turned = static_cast<int64_t>(i) * 5 % codes;  // odd: all
                        problem.codes[i] = static_cast<int32_t>(turned - codes / 2);
                    }
                    for (size_t i = 0; i < problem.x.size(); ++i) {
                        int64_t const sample = static_cast<int64_t>(i) / (codes + 11);
                        int64_t const column = static_cast<int64_t>(i) % (codes + 11);
                        problem.x[i] = column == first + sample ? 1.0 : 0.0;
                    }
                    CheckExactly(problem);
                    if (bits == 8 && samples == 1 && first >= 20) break;
                }
            }
        }
    }
}

ES_TEST(PackedRandomShapes) {
    Random random(6);
    for (int i = 0; i < 40; ++i) {
        auto const integer = [&](int64_t low, int64_t high) {
            return static_cast<int32_t>(random.Integer(low, high));
        };
        int32_t const bits = kWidths[random.Integer(0, 3)];
        DataType const type = kTypes[random.Integer(0, 1)];
        if (random.Chance(0.5)) {
            Check(MakeProblem(Linear(integer(1, 12), integer(1, 500), integer(1, 80), "random"),
                              true, type, bits, random.Next()));
            continue;
        }
        int32_t const group = integer(1, 3);
        ConvShape const shape{integer(1, 3),
                              group * integer(1, 6),
                              integer(1, 12),
                              integer(1, 12),
                              group * integer(1, 30),
                              group,
                              {integer(1, 4), integer(1, 4)},
                              {integer(1, 3), integer(1, 3)},
                              {integer(0, 3), integer(0, 3), integer(0, 3), integer(0, 3)},
                              {integer(1, 3), integer(1, 3)}};
        if (!IsValid(shape)) continue;  // the window does not fit
        Check(MakeProblem(Shape{shape, "random"}, false, type, bits, random.Next()));
    }
}

ES_TEST(PackedZeroRowsAndLayers) {
    for (int32_t const bits : kWidths) {
        for (DataType const type : kTypes) {
            for (bool const linear : {true, false}) {
                Shape const shape = linear ? Linear(2, 45, 10, "row 3 is zero") : kConvShapes[1];
                Problem problem = MakeProblem(shape, linear, type, bits, 7);
                auto const begin = problem.codes.begin();
                std::fill(begin + 3 * problem.Columns(), begin + 4 * problem.Columns(), 0);
                Check(problem);
                std::fill(problem.codes.begin(), problem.codes.end(), 0);
                CheckExactly(problem);
            }
        }
    }
}

// The largest sum that a block of fp16 additions can have is still finite.
ES_TEST(PackedLargeActivationsStayFinite) {
    for (int32_t const bits : kWidths) {
        for (int32_t const samples : {1, 9}) {
            Problem problem = MakeProblem(Linear(samples, 640, 4, "2046 everywhere"), true,
                                          DataType::kHalf, bits, 8);
            std::fill(problem.x.begin(), problem.x.end(), 2046.0);
            std::fill(problem.codes.begin(), problem.codes.end(), -(1 << (bits - 1)));
            for (float& scale : problem.scales) scale = std::ldexp(1.0f, -bits - 8);
            Check(problem);
        }
    }
}

ES_TEST(PackedNanStaysWithItsSample) {
    for (DataType const type : kTypes) {
        for (int32_t const samples : {2, 10}) {
            Problem problem = MakeProblem(Linear(samples, 50, 6, "NaN"), true, type, 2, 9);
            problem.layer.activation = Activation::kRelu;
            problem.residual.clear();
            problem.x[50 + 7] = std::nan("");
            Check(problem);
        }
    }
}

}  // namespace
}  // namespace edgesynth
