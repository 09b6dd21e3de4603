#include <algorithm>
#include <cmath>
#include <numeric>

#include "effort/effort.h"
#include "effort/packing.h"
#include "effort/reference.h"
#include "effort/test_problem.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::ForEveryOrder;
using testing::Random;

constexpr EffortKnobs kOff{Saturation::kOff, 0, -1.0f, 1, 0.0f, 0.0f};

struct Shape {
    ConvShape conv;
    char const* why;
};

Shape const kShapes[] = {
    {{1, 2, 1, 1, 1, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, "one pixel: 31 lanes have nothing"},
    {{1, 4, 8, 8, 8, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "one full tile, one full warp"},
    {{1, 3, 8, 9, 9, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "a filter and a column too many"},
    {{1, 5, 16, 16, 33, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, "a second block of filters"},
    {{1, 17, 5, 5, 32, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, "17 columns: a step and one"},
    {{2, 3, 11, 9, 6, 1, {3, 5}, {2, 3}, {2, 1, 0, 4}, {1, 1}}, "nothing the same down and right"},
    {{1, 4, 9, 10, 3, 1, {3, 2}, {1, 1}, {2, 3, 2, 1}, {2, 3}}, "dilated"},
    {{1, 6, 6, 6, 9, 3, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "groups of 3 filters"},
    {{1, 10, 6, 6, 5, 5, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "groups of one filter"},
    {{3, 4, 3, 3, 6, 2, {2, 2}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, "three samples"},
    {{1, 2, 2, 2, 3, 1, {2, 2}, {1, 1}, {3, 3, 3, 3}, {1, 1}}, "windows that see padding only"},
    {{1, 2, 27, 27, 4, 1, {11, 11}, {4, 4}, {2, 2, 2, 2}, {1, 1}}, "a large window, cropped"},
    {{1, 9, 7, 33, 5, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, "9 channels: two looks at windows"},
};

// By whole numbers, so that no decision hangs on rounding: the limits are none of a sum's values.
EffortKnobs const kKnobs[] = {
    kOff,
    {Saturation::kPredicted, 1, -1.0f, 1, 0.0f, 0.0f},
    {Saturation::kExact, 1, -1.0f, 1, 0.0f, 0.0f},
    {Saturation::kOff, 0, 2.0f, 1, 0.0f, 0.0f},
    {Saturation::kOff, 0, 0.0f, 1, 0.0f, 0.0f},
    {Saturation::kOff, 0, -1.0f, 2, 6.52f, 5.52f},
    {Saturation::kOff, 0, -1.0f, 3, 99.52f, 99.52f},
    {Saturation::kOff, 0, -1.0f, 1, 0.0f, 0.0f, 1.52f},
    {Saturation::kPredicted, 1, 1.0f, 2, 6.52f, 3.52f, 1.52f},
};

// Every output is that of the definition, and what was done is at least what it takes.
void Check(EffortProblem problem) {
    ConvShape const& shape = problem.layer.shape;
    if (problem.layer.knobs.saturation != Saturation::kOff && shape.channels == shape.group) return;
    EffortReference const expected = problem.Reference();
    ES_EXPECT(expected.margin > 1e-6, "%s: a decision hangs on rounding", problem.name.c_str());
    testing::Tolerance tolerance =
        testing::ToleranceFor(problem.layer.type, FilterWeights(shape) + 8);
    // means and weights' sums are rounded to fp16 too
    if (problem.layer.type == DataType::kHalf) tolerance.scaled += std::ldexp(3.0, -11);
    ForEveryOrder(problem.name, [&] {
        EffortRun const run = problem.Run();
        ES_EXPECT_CLOSE("y", run.y, expected.y, expected.magnitude, tolerance);
        int64_t const products = static_cast<int64_t>(run.counts.products);
        ES_EXPECT(
            products >= expected.products || problem.layer.knobs.saturation == Saturation::kExact,
            "%lld products instead of %lld", static_cast<long long>(products),
            static_cast<long long>(expected.products));
        if (problem.Plain()) {
            ES_EXPECT(products == expected.products && run.counts.checks == 0, "%lld products",
                      static_cast<long long>(products));
        }
    });
}

ES_TEST(EffortConvMatchesReference) {
    uint64_t seed = 1;
    for (Shape const& shape : kShapes) {
        for (EffortKnobs const& knobs : kKnobs) {
            for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
                Check(MakeEffortProblem(shape.conv, shape.why, type, knobs, ++seed));
            }
        }
    }
}

ES_TEST(EffortRandomShapesAndKnobs) {
    Random random(6);
    for (int i = 0; i < 40; ++i) {
        auto const integer = [&](int64_t low, int64_t high) {
            return static_cast<int32_t>(random.Integer(low, high));
        };
        int32_t const group = integer(1, 3);
        ConvShape const shape{integer(1, 2),
                              group * integer(2, 6),
                              integer(1, 14),
                              integer(1, 14),
                              group * integer(1, 20),
                              group,
                              {integer(1, 4), integer(1, 4)},
                              {integer(1, 3), integer(1, 3)},
                              {integer(0, 3), integer(0, 3), integer(0, 3), integer(0, 3)},
                              {integer(1, 3), integer(1, 3)}};
        if (!IsValid(shape)) continue;  // the window does not fit
        EffortKnobs knobs{
            static_cast<Saturation>(integer(0, 2)),    integer(1, shape.channels / group - 1),
            static_cast<float>(integer(-1, 3)),        integer(1, 5),
            static_cast<float>(integer(0, 9)) + 0.52f, static_cast<float>(integer(0, 9)) + 0.52f,
            static_cast<float>(integer(0, 2)) + 0.52f};
        DataType const type = random.Chance(0.5) ? DataType::kFloat : DataType::kHalf;
        if (type == DataType::kHalf && knobs.similarity > 0.0f) knobs.sample_period = 1;
        Check(MakeEffortProblem(shape, "random", type, knobs, random.Next()));
    }
}

// Numbers of all sizes: what a plain loop of fmaf gives, to the last bit.
ES_TEST(EffortKnobsOffIsDenseToTheBit) {
    for (Shape const& shape : kShapes) {
        EffortProblem problem =
            MakeEffortProblem(shape.conv, shape.why, DataType::kFloat, kOff, 11);
        problem.MakeNormal(12);
        ForEveryOrder(problem.name,
                      [&] { ES_EXPECT(problem.Run().y == problem.ChainOfFmaf(), "other bits"); });
    }
}

// Shortcuts that never fire change no bit, in fp16 either.
ES_TEST(EffortKnobsThatNeverFireChangeNoBit) {
    for (Shape const& shape : kShapes) {
        if (shape.conv.channels == shape.conv.group) continue;
        for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
            EffortProblem problem = MakeEffortProblem(shape.conv, shape.why, type, kOff, 13);
            problem.MakeNormal(14);
            problem.layer.activation = Activation::kRelu;
            std::vector<double> const dense = problem.Run().y;
            problem.thresholds.assign(1, -3.0e38f);
            for (int32_t const period : {1, 2}) {
                problem.layer.knobs =
                    EffortKnobs{Saturation::kPredicted, 1, -1.0f, period, -3.0e38f, 0.0f};
                ES_EXPECT(problem.Run().y == dense, "%s, period %d", shape.why, period);
            }
        }
    }
}

// Inputs that are not negative, and channels without a positive weight at the end: no bit changes,
// and less is done.
ES_TEST(EffortExactSaturationChangesNoBit) {
    for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
        ConvShape const shape{2, 12, 9, 11, 20, 2, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}};
        EffortProblem problem = MakeEffortProblem(shape, "exact", type, kOff, 15);
        problem.MakeNormal(16);
        problem.MakeTailNegative(2);
        EffortRun const dense = problem.Run();
        for (int32_t const prefix : {1, 2, 3, 5}) {
            problem.layer.knobs = EffortKnobs{Saturation::kExact, prefix, -1.0f, 1, 0.0f, 0.0f};
            ForEveryOrder(testing::Format("every %d channels", prefix), [&] {
                EffortRun const exact = problem.Run();
                ES_EXPECT(exact.y == dense.y, "other bits");
                ES_EXPECT(exact.counts.products < dense.counts.products, "nothing is saved");
            });
        }
    }
}

// A layer of which all is decided at once: what is left is what the definition needs.
ES_TEST(EffortSavesWhatWholeTilesCanDoWithout) {
    ConvShape const shape{1, 4, 16, 16, 8, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}};
    int64_t const dense = 8 * 256 * 36;
    EffortProblem problem = MakeEffortProblem(shape, "all", DataType::kFloat, kOff, 17);
    problem.thresholds.assign(1, 3.0e38f);
    problem.layer.activation = Activation::kRelu;
    problem.effort = 0;
    auto const products = [&](EffortKnobs const& knobs) {
        problem.layer.knobs = knobs;
        return static_cast<int64_t>(problem.Run().counts.products);
    };
    ES_EXPECT(products(kOff) == dense, "dense");
    ES_EXPECT(products({Saturation::kPredicted, 1, -1.0f, 1, 0.0f, 0.0f}) == dense / 4, "prefix");
    ES_EXPECT(products({Saturation::kOff, 0, 1e3f, 1, 0.0f, 0.0f}) == dense / 9, "means");
    ES_EXPECT(products({Saturation::kOff, 0, -1.0f, 2, 1e3f, 1e3f}) == dense / 4, "samples");
    ES_EXPECT(products({Saturation::kPredicted, 1, 1e3f, 2, 1e3f, 1e3f}) == dense / 144, "all");
    problem.effort = 1;
    ES_EXPECT(products(kOff) == dense / 4 * problem.levels[1], "effort");
}

ES_TEST(EffortNanIsNeverLeftOut) {
    for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
        for (EffortKnobs const& knobs : kKnobs) {
            ConvShape const shape{1, 4, 9, 9, 5, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}};
            EffortProblem problem = MakeEffortProblem(shape, "NaN", type, knobs, 18);
            size_t const place = 2 * 81 + 40;  // row 4, column 4, of channel 2
            problem.x[place] = std::nan("");
            problem.order = {2, 0, 1, 3};  // seen by the prefix
            std::vector<double> const y = problem.Run().y;
            for (size_t filter = 0; filter < 5; ++filter) {
                bool const sampled = 4 % knobs.sample_period == 0;
                ES_EXPECT(!sampled || std::isnan(y[filter * 81 + 40]), "filter %zu", filter);
            }
        }
    }
}

}  // namespace
}  // namespace edgesynth
