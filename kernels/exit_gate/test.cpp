#include <algorithm>
#include <cmath>
#include <limits>

#include "exit_gate/exit_gate.h"
#include "exit_gate/reference.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::Activations;
using testing::DeviceArray;
using testing::ForEveryOrder;
using testing::Random;

constexpr ExitPolicy kPolicies[] = {ExitPolicy::kMaxProbability, ExitPolicy::kEntropy,
                                    ExitPolicy::kMargin, ExitPolicy::kLinearGate};
constexpr DataType kTypes[] = {DataType::kFloat, DataType::kHalf};

struct Shape {
    int32_t samples, classes;
    char const* why;
};

Shape const kShapes[] = {
    {1, 1, "one class: no second one, margin and probability are 1"},
    {1, 10, "LeNet-5 at batch 1: fewer classes than lanes"},
    {1, 31, "one idle lane"},
    {1, 32, "every lane has one class"},
    {1, 33, "lane 0 has a second class"},
    {1, 511, "the last size with one warp per sample"},
    {1, 512, "the first with eight warps per sample"},
    {1, 1000, "ImageNet at batch 1"},
    {1, 4096, "the largest linear gate"},
    {2, 10, "two warps of a single block"},
    {31, 10, "a single block, its last warp missing"},
    {32, 10, "a full single block"},
    {33, 10, "the first batch with a second kernel; last block of one sample"},
    {40, 5, "full blocks of eight samples"},
    {3, 1000, "blocks of eight warps, compacted by the second kernel"},
    {256, 2, "one full chunk of the compacting kernel"},
    {257, 2, "one sample in its second chunk"},
    {700, 3, "three chunks, the last one partial"},
};

struct Results {
    std::vector<int32_t> exit, label, survivors;
    std::vector<float> confidence;
    int32_t count;
    ExitFlag flag;
};

struct Problem {
    Shape shape;
    DataType type;
    ExitPolicy policy;
    std::vector<double> logits;
    std::vector<double> gate_weights;
    double gate_bias;
    float threshold;

    std::vector<double> Row(int32_t sample) const {
        auto const begin = logits.begin() + static_cast<int64_t>(sample) * shape.classes;
        return std::vector<double>(begin, begin + shape.classes);
    }
};

Problem MakeProblem(Shape const& shape, DataType type, ExitPolicy policy, uint64_t seed) {
    Random random(seed);
    int64_t const count = static_cast<int64_t>(shape.samples) * shape.classes;
    Problem problem{shape, type, policy, {}, {}, 0.25, 0.0f};
    problem.logits = testing::RoundTo(type, random.Normals(count, 3.0));
    problem.gate_weights = testing::RoundTo(DataType::kFloat, random.Normals(shape.classes));
    // A threshold that splits the batch: the confidence of one of its samples.
    double const one =
        ReferenceExitGate(policy, problem.Row(shape.samples / 2), problem.gate_weights, 0.25)
            .confidence;
    problem.threshold = static_cast<float>(one * 1.001);
    return problem;
}

Results Run(Problem const& problem) {
    Shape const& shape = problem.shape;
    Activations logits(problem.type, problem.logits);
    DeviceArray<float> threshold(std::vector<float>{problem.threshold});
    DeviceArray<float> weights(
        std::vector<float>(problem.gate_weights.begin(), problem.gate_weights.end()));
    DeviceArray<int32_t> exit(shape.samples), label(shape.samples), survivors(shape.samples);
    DeviceArray<int32_t> count(1);
    DeviceArray<float> confidence(shape.samples);
    DeviceArray<ExitFlag> flag(1);
    ExitGate const gate{shape.samples,  shape.classes, problem.type,
                        problem.policy, weights.get(), static_cast<float>(problem.gate_bias)};
    ES_EXPECT_CUDA(LaunchExitGate(
        gate, logits.get(), threshold.get(),
        {exit.get(), label.get(), confidence.get(), survivors.get(), count.get(), flag.get()},
        nullptr));
    return Results{exit.Host(),       label.Host(),    survivors.Host(),
                   confidence.Host(), count.Host()[0], flag.Host()[0]};
}

// Survivors follow from the decisions, whatever those are.
void CheckCompaction(Problem const& problem, Results const& results) {
    std::vector<int32_t> expected;
    for (int32_t i = 0; i < problem.shape.samples; ++i) {
        if (results.exit[static_cast<size_t>(i)] == 0) expected.push_back(i);
    }
    ES_EXPECT(results.count == static_cast<int32_t>(expected.size()), "%d, not %zu", results.count,
              expected.size());
    expected.resize(static_cast<size_t>(problem.shape.samples), -1);
    ES_EXPECT(results.survivors == expected, "wrong or unordered survivors");
    ES_EXPECT(results.flag.exit == results.exit[0] && results.flag.label == results.label[0],
              "flag {%d, %d}", results.flag.exit, results.flag.label);
}

// exp and log of CUDA are good to 2 units in the last place; the sum over C grows by C roundings.
double Allowed(Problem const& problem, double confidence) {
    double const growth = (problem.shape.classes + 16) * std::ldexp(1.0, -24);
    double const scale = problem.policy == ExitPolicy::kEntropy ? std::fabs(confidence) + 4.0 : 1.0;
    return growth * scale;
}

void CheckDecisions(Problem const& problem, Results const& results) {
    for (int32_t i = 0; i < problem.shape.samples; ++i) {
        size_t const at = static_cast<size_t>(i);
        ExitDecision const expected = ReferenceExitGate(problem.policy, problem.Row(i),
                                                        problem.gate_weights, problem.gate_bias);
        float const confidence = results.confidence[at];
        if (expected.label >= 0) {
            ES_EXPECT(results.label[at] == expected.label, "sample %d: label %d, not %d", i,
                      results.label[at], expected.label);
        }
        ES_EXPECT(results.label[at] >= 0 && results.label[at] < problem.shape.classes,
                  "sample %d: label %d", i, results.label[at]);
        if (std::isnan(expected.confidence)) {
            ES_EXPECT(std::isnan(confidence) && results.exit[at] == 0,
                      "sample %d: confidence %g, exit %d", i, confidence, results.exit[at]);
            continue;
        }
        double const error = std::fabs(confidence - expected.confidence);
        double const allowed = Allowed(problem, expected.confidence);
        ES_EXPECT(error <= allowed, "sample %d: confidence %.9g, not %.9g", i, confidence,
                  expected.confidence);
        if (std::fabs(expected.confidence - problem.threshold) <= allowed) continue;  // either way
        bool const exits = ReferenceExits(problem.policy, expected.confidence, problem.threshold);
        ES_EXPECT(results.exit[at] == (exits ? 1 : 0), "sample %d: exit %d", i, results.exit[at]);
    }
}

void Check(Problem const& problem) {
    std::string const name =
        testing::Format("policy %d, %s, %d x %d (%s)", static_cast<int>(problem.policy),
                        testing::Name(problem.type), problem.shape.samples, problem.shape.classes,
                        problem.shape.why);
    ForEveryOrder(name, [&] {
        Results const results = Run(problem);
        CheckDecisions(problem, results);
        CheckCompaction(problem, results);
    });
}

ES_TEST(ExitGateMatchesReference) {
    for (Shape const& shape : kShapes) {
        for (DataType const type : kTypes) {
            for (ExitPolicy const policy : kPolicies) {
                // The linear gate has a block per sample: more of them are slow, and nothing new.
                if (policy == ExitPolicy::kLinearGate && shape.samples > 40) continue;
                Check(MakeProblem(shape, type, policy, 1));
            }
        }
    }
}

ES_TEST(ExitGateRandomShapes) {
    Random random(2);
    for (int i = 0; i < 30; ++i) {
        Shape const shape{static_cast<int32_t>(random.Integer(1, 40)),
                          static_cast<int32_t>(random.Integer(1, 700)), "random"};
        Check(MakeProblem(shape, kTypes[random.Integer(0, 1)], kPolicies[random.Integer(0, 3)],
                          random.Next()));
    }
}

// Each as the second sample of a batch whose first one is ordinary.
ES_TEST(ExitGateOddLogits) {
    float const infinity = std::numeric_limits<float>::infinity();
    float const nan = std::numeric_limits<float>::quiet_NaN();
    struct {
        std::vector<double> logits;
        char const* why;
    } const rows[] = {
        {{1, nan, 3}, "a NaN between numbers"},
        {{nan, nan, nan}, "nothing but NaN"},
        {{1, infinity, 3}, "an infinity: infinity - infinity has no probability"},
        {{-infinity, -infinity, -infinity}, "no class is possible"},
        {{-infinity, 2, -infinity}, "one class is certain: entropy 0, not NaN"},
        {{5, 5, 5}, "all equal: the first label, margin 0"},
        {{60000, -60000, 0}, "exp underflows"},
        {{2, 7, 7}, "two largest: the first of them"},
    };
    for (auto const& row : rows) {
        for (DataType const type : kTypes) {
            for (ExitPolicy const policy : kPolicies) {
                for (float const threshold : {-1.0f, 0.5f, nan}) {
                    Problem problem{{2, 3, row.why}, type, policy,   {0, 1, 2},
                                    {1, -1, 2},      0.1,  threshold};
                    problem.logits.insert(problem.logits.end(), row.logits.begin(),
                                          row.logits.end());
                    Check(problem);
                }
            }
        }
    }
}

ES_TEST(ExitGateThresholdIsInclusive) {
    for (ExitPolicy const policy : {ExitPolicy::kMaxProbability, ExitPolicy::kMargin}) {
        // One class: the probability is exactly 1.
        Problem problem{{1, 1, "threshold 1"}, DataType::kFloat, policy, {3}, {0}, 0.0, 1.0f};
        ES_EXPECT(Run(problem).exit[0] == 1, "a confidence equal to the threshold stays");
    }
    Problem problem{{1, 1, "threshold 0"}, DataType::kFloat, ExitPolicy::kEntropy, {3}, {0}, 0, 0};
    ES_EXPECT(Run(problem).exit[0] == 1, "an entropy equal to the threshold stays");
}

ES_TEST(ExitGateRefusesWrongParameters) {
    DeviceArray<float> floats(8);
    DeviceArray<int32_t> words(8);
    int32_t* const word = words.get();
    ExitGateOutputs const outputs{word, word + 1, floats.get(), word + 2, word + 3, nullptr};
    ExitGate const good{1, 2, DataType::kFloat, ExitPolicy::kMaxProbability, nullptr, 0.0f};
    auto const launch = [&](ExitGate const& gate, float const* logits, float const* threshold,
                            ExitGateOutputs const& to) {
        return LaunchExitGate(gate, logits, threshold, to, nullptr);
    };
    auto const refused = [&](ExitGate const& gate) {
        return launch(gate, floats.get(), floats.get() + 4, outputs) == cudaErrorInvalidValue;
    };
    struct {
        ExitGate gate;
        char const* why;
    } const wrong[] = {
        {{-1, 2, good.type, good.policy, nullptr, 0}, "negative batch"},
        {{1, 0, good.type, good.policy, nullptr, 0}, "no class"},
        {{1, 2, static_cast<DataType>(2), good.policy, nullptr, 0}, "unknown type"},
        {{1, 2, good.type, static_cast<ExitPolicy>(4), nullptr, 0}, "unknown policy"},
        {{1, 2, good.type, static_cast<ExitPolicy>(-1), nullptr, 0}, "negative policy"},
        {{1, 2, good.type, ExitPolicy::kLinearGate, nullptr, 0}, "linear gate without weights"},
        {{1, 4097, good.type, ExitPolicy::kLinearGate, floats.get(), 0}, "too many classes"},
    };
    for (auto const& test : wrong) ES_EXPECT(refused(test.gate), "%s", test.why);
    ES_EXPECT(launch(good, nullptr, floats.get(), outputs) == cudaErrorInvalidValue, "no logits");
    ES_EXPECT(launch(good, floats.get(), nullptr, outputs) == cudaErrorInvalidValue, "threshold");
    ExitGateOutputs partial = outputs;
    partial.survivors = nullptr;
    ES_EXPECT(launch(good, floats.get(), floats.get(), partial) == cudaErrorInvalidValue, "output");
    cudaGetLastError();
}

ES_TEST(ExitGateOfNoSampleCountsNone) {
    DeviceArray<int32_t> count(1);
    ExitGate const gate{0, 10, DataType::kHalf, ExitPolicy::kEntropy, nullptr, 0.0f};
    ExitGateOutputs const outputs{nullptr, nullptr, nullptr, nullptr, count.get(), nullptr};
    ES_EXPECT_CUDA(LaunchExitGate(gate, nullptr, nullptr, outputs, nullptr));
    ES_EXPECT(count.Host()[0] == 0, "%d", count.Host()[0]);
}

}  // namespace
}  // namespace edgesynth
