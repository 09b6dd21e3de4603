// The compiled operator for processors, against the definition and against itself.
#include "effort/cpu/cpu.h"
#include "effort/test_problem.h"

namespace edgesynth {
namespace {

using testing::Random;

struct CpuRun {
    std::vector<double> y;
    EffortCpuCounts counts;
};

CpuRun Run(EffortProblem const& problem, bool skips_zeros = false) {
    ConvShape const& shape = problem.layer.shape;
    std::vector<float> const zeros(static_cast<size_t>(shape.filters), 0.0f);
    float const* const bias = problem.bias.empty() ? zeros.data() : problem.bias.data();
    EffortCpuConv* const layer = MakeEffortCpuConv(shape, problem.Attributes(), bias,
                                                   problem.layer.activation, problem.layer.knobs);
    ES_EXPECT(layer != nullptr, "refused");
    std::vector<float> const x(problem.x.begin(), problem.x.end());
    std::vector<float> y(static_cast<size_t>(problem.Outputs()), NAN), again = y;
    EffortCpuCounts counts{0, 0, 0, 0, 0};
    for (auto* const to : {&y, &again}) {
        ES_EXPECT(
            RunEffortCpuConv(*layer, x.data(), shape.samples, shape.height, shape.width,
                             problem.effort, skips_zeros, to->data(), to == &y ? &counts : nullptr),
            "refused");
    }
    ES_EXPECT(y == again, "counting changes the result");
    FreeEffortCpuConv(layer);
    return CpuRun{std::vector<double>(y.begin(), y.end()), counts};
}

// With so many channels and filters in a group at most.
EffortProblem MakeRandom(Random* random, int32_t channels = 6, int32_t filters = 20) {
    auto const integer = [&](int64_t low, int64_t high) {
        return static_cast<int32_t>(random->Integer(low, high));
    };
    for (;;) {
        int32_t const group = integer(1, 3);
        ConvShape const shape{integer(1, 2),
                              group * integer(2, channels),
                              integer(1, 14),
                              integer(1, 14),
                              group * integer(1, filters),
                              group,
                              {integer(1, 4), integer(1, 4)},
                              {integer(1, 3), integer(1, 3)},
                              {integer(0, 3), integer(0, 3), integer(0, 3), integer(0, 3)},
                              {integer(1, 3), integer(1, 3)}};
        if (!IsValid(shape)) continue;  // the window does not fit
        EffortKnobs const knobs{
            static_cast<Saturation>(integer(0, 2)),    integer(1, shape.channels / group - 1),
            static_cast<float>(integer(-1, 3)),        integer(1, 5),
            static_cast<float>(integer(0, 9)) + 0.52f, static_cast<float>(integer(0, 9)) + 0.52f,
            static_cast<float>(integer(0, 2)) + 0.52f};
        return MakeEffortProblem(shape, "random", DataType::kFloat, knobs, random->Next());
    }
}

ES_TEST(EffortCpuMatchesReference) {
    Random random(1);
    for (int i = 0; i < 150; ++i) {
        EffortProblem const problem = MakeRandom(&random);
        EffortReference const expected = problem.Reference();
        ES_EXPECT(expected.margin > 1e-6, "%s: a decision hangs on rounding", problem.name.c_str());
        for (bool const skips_zeros : {false, true}) {
            CpuRun const run = Run(problem, skips_zeros);
            ES_EXPECT_CLOSE(
                problem.name.c_str(), run.y, expected.y, expected.magnitude,
                testing::ToleranceFor(DataType::kFloat, FilterWeights(problem.layer.shape) + 8));
            if (problem.layer.knobs.saturation == Saturation::kExact) continue;
            ES_EXPECT(run.counts.products == expected.products, "%s: %lld products, not %lld",
                      problem.name.c_str(), static_cast<long long>(run.counts.products),
                      static_cast<long long>(expected.products));
            ES_EXPECT(skips_zeros || run.counts.executed >= run.counts.products, "too few");
            ES_EXPECT(run.counts.nonzero <= run.counts.products, "too many that are not zero");
        }
    }
}

// Groups of enough filters for them to go together; others have nothing but columns to leave out.
ES_TEST(EffortCpuLeavesOutZeros) {
    Random random(4);
    int64_t left_out = 0;
    for (int i = 0; i < 100; ++i) {
        EffortProblem problem = MakeRandom(&random, 40, 120);
        problem.layer.knobs.saturation = Saturation::kOff;
        problem.layer.knobs.sample_period = 1;
        double const share = 0.25 * static_cast<double>(random.Integer(0, 4));
        for (double& number : problem.x) number *= random.Chance(share) ? 0.0 : 1.0;
        EffortReference const expected = problem.Reference();
        CpuRun const all = Run(problem), run = Run(problem, true);
        ES_EXPECT_CLOSE(
            problem.name.c_str(), run.y, expected.y, expected.magnitude,
            testing::ToleranceFor(DataType::kFloat, FilterWeights(problem.layer.shape) + 8));
        ES_EXPECT(run.counts.products == expected.products, "%s: %lld products, not %lld",
                  problem.name.c_str(), static_cast<long long>(run.counts.products),
                  static_cast<long long>(expected.products));
        ES_EXPECT(run.counts.nonzero == all.counts.nonzero, "nonzero");
        left_out += run.counts.executed == run.counts.nonzero;
    }
    ES_EXPECT(left_out > 30, "hardly any problem has all of its zeros left out");
}

// Numbers of all sizes. What is off, never fires or is exact changes no bit.
ES_TEST(EffortCpuChangesNoBitWhereItMustNot) {
    Random random(2);
    for (int i = 0; i < 60; ++i) {
        EffortProblem problem = MakeRandom(&random);
        problem.MakeNormal(random.Next());
        problem.MakeTailNegative(1);
        problem.layer.activation = Activation::kRelu;
        problem.layer.knobs = EffortKnobs{Saturation::kOff, 0, -1.0f, 1, 0.0f, 0.0f};
        CpuRun const dense = Run(problem);
        ES_EXPECT(dense.counts.executed == dense.counts.products, "dense");
        problem.layer.knobs = EffortKnobs{Saturation::kExact, 1, -1.0f, 1, 0.0f, 0.0f};
        CpuRun const exact = Run(problem);
        ES_EXPECT(exact.y == dense.y, "exact");
        ES_EXPECT(exact.counts.executed <= dense.counts.executed, "exact does more");
        problem.thresholds.assign(1, -3.0e38f);
        problem.layer.knobs = EffortKnobs{Saturation::kPredicted, 1, -1.0f, 2, -3.0e38f, 0.0f};
        ES_EXPECT(Run(problem).y == dense.y, "never");
    }
}

ES_TEST(EffortCpuRefusesWhatDoesNotFit) {
    Random random(3);
    EffortProblem problem = MakeRandom(&random);
    problem.layer.knobs.sample_period = 0;
    std::vector<float> const bias(static_cast<size_t>(problem.layer.shape.filters));
    auto const made = [&] {
        return MakeEffortCpuConv(problem.layer.shape, problem.Attributes(), bias.data(),
                                 Activation::kRelu, problem.layer.knobs);
    };
    ES_EXPECT(made() == nullptr, "period 0");
    problem.layer.knobs = EffortKnobs{Saturation::kOff, 0, -1.0f, 1, 0.0f, 0.0f};
    problem.order[0] = -1;
    ES_EXPECT(made() == nullptr, "order");
    problem.order[0] = static_cast<int32_t>(problem.order.size()) - 1;
    for (size_t i = 1; i < problem.order.size(); ++i)
        problem.order[i] = static_cast<int32_t>(i) - 1;
    EffortCpuConv* const layer = made();
    ES_EXPECT(layer != nullptr, "good");
    ES_EXPECT(!RunEffortCpuConv(*layer, nullptr, 1, 0, 5, 0, false, nullptr, nullptr), "no rows");
    ES_EXPECT(!RunEffortCpuConv(*layer, nullptr, -1, 9, 9, 0, false, nullptr, nullptr), "batch");
    ES_EXPECT(RunEffortCpuConv(*layer, nullptr, 0, 20, 20, 0, false, nullptr, nullptr), "empty");
    FreeEffortCpuConv(layer);
}

}  // namespace
}  // namespace edgesynth
