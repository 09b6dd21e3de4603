// What EsEffortConv refuses, and where PackEffort puts the weights.
#include <cmath>
#include <cstring>
#include <functional>

#include "effort/test_problem.h"

namespace edgesynth {
namespace {

constexpr EffortKnobs kOff{Saturation::kOff, 0, -1.0f, 1, 0.0f, 0.0f};
constexpr ConvShape kShape{1, 4, 4, 4, 18, 2, {1, 2}, {1, 1}, {0, 0, 0, 0}, {1, 1}};

float FloatAt(EffortPacked const& packed, int64_t place) {
    float value;
    std::memcpy(&value, packed.bytes.data() + place, 4);
    return value;
}

ES_TEST(EffortWeightsLieInRowsOfEight) {
    EffortProblem problem = MakeEffortProblem(kShape, "rows", DataType::kFloat, kOff, 1);
    problem.order = {1, 0};
    problem.levels = {2, 1};
    problem.thresholds.assign(1, -1.5f);
    for (size_t i = 0; i < problem.weights.size(); ++i) {
        problem.weights[i] = static_cast<float>(i) - 100.0f;  // negative up to filter 24
    }
    problem.layer.knobs.similarity = 0.0f;
    EffortPacked packed;
    ES_EXPECT(
        PackEffort(problem.Attributes(), kShape, DataType::kFloat, problem.layer.knobs, &packed)
            .empty(),
        "refused");
    // Two groups of nine filters are two eights each; a row for 2 x 2 columns and for 2 means.
    ES_EXPECT(packed.layout.rows == 6, "%d rows", packed.layout.rows);
    ES_EXPECT(packed.layout.thresholds == 4 * 6 * 8 * 4, "%lld bytes of weights",
              static_cast<long long>(packed.layout.thresholds));
    // Filter 10, the second of the second group, which is the third eight: the last channel first.
    int64_t const third = 2 * 6 * 8 * 4 + 4;
    float const expected[] = {-100 + 42, -100 + 43, -100 + 40, -100 + 41, -115, -119};
    for (int64_t row = 0; row < 6; ++row) {
        ES_EXPECT(FloatAt(packed, third + row * 32) == expected[row], "row %lld",
                  static_cast<long long>(row));
    }
    ES_EXPECT(FloatAt(packed, packed.layout.thresholds + 17 * 4) == -1.5f, "one for all");
    ConvShape huge = kShape;
    huge.filters = huge.channels = INT32_MAX - 1;
    huge.kernel[0] = 1 << 20;
    ES_EXPECT(LayoutOfEffort(huge, DataType::kFloat, kOff, 1).bytes == -1, "overflows");
}

ES_TEST(EffortRefusesWrongAttributes) {
    EffortProblem const good = MakeEffortProblem(kShape, "good", DataType::kFloat, kOff, 2);
    auto const refused = [&](std::function<void(EffortProblem*)> const& change) {
        EffortProblem problem = good;
        change(&problem);
        EffortPacked packed;
        return !PackEffort(problem.Attributes(), kShape, DataType::kFloat, kOff, &packed).empty();
    };
    ES_EXPECT(!refused([](EffortProblem*) {}), "good");
    ES_EXPECT(refused([](EffortProblem* p) { p->order = {0, 0}; }), "a channel twice");
    ES_EXPECT(refused([](EffortProblem* p) { p->order = {0, 2}; }), "an unknown channel");
    ES_EXPECT(refused([](EffortProblem* p) { p->order = {-1, 0}; }), "a negative channel");
    ES_EXPECT(refused([](EffortProblem* p) { p->levels = {1}; }), "not all channels first");
    ES_EXPECT(refused([](EffortProblem* p) { p->levels = {2, 2}; }), "a level twice");
    ES_EXPECT(refused([](EffortProblem* p) { p->levels = {2, 0}; }), "a level of nothing");
    ES_EXPECT(refused([](EffortProblem* p) { p->levels.clear(); }), "no levels");
    ES_EXPECT(refused([](EffortProblem* p) { p->thresholds.resize(2); }), "two thresholds");
}

ES_TEST(EffortRefusesWrongParameters) {
    EffortProblem const problem = MakeEffortProblem(kShape, "good", DataType::kFloat, kOff, 3);
    EffortPacked packed;
    PackEffort(problem.Attributes(), kShape, DataType::kFloat, kOff, &packed);
    testing::DeviceArray<uint8_t> const bytes(packed.bytes);
    testing::DeviceArray<float> const x(std::vector<float>(64)), y(int64_t{18 * 4 * 3});
    testing::DeviceArray<int32_t> const effort(std::vector<int32_t>{0});
    EffortConv good = problem.layer;
    good.activation = Activation::kRelu;
    good.layout = packed.layout;
    good.weights = bytes.get();
    auto const launch = [&](EffortConv const& layer) {
        return LaunchEffortConv(layer, x.get(), effort.get(), y.get(), nullptr, nullptr);
    };
    ES_EXPECT_CUDA(launch(good));
    struct {
        char const* why;
        std::function<void(EffortConv*)> change;
    } const wrong[] = {
        {"negative batch", [](EffortConv* l) { l->shape.samples = -1; }},
        {"group does not divide", [](EffortConv* l) { l->shape.group = 4; }},
        {"a window of 5 in 4", [](EffortConv* l) { l->shape.kernel[0] = 5; }},
        {"more outputs than 31 bits count",
         [](EffortConv* l) { l->shape.pads[0] = l->shape.pads[1] = 1 << 16; }},
        {"more blocks than a grid has", [](EffortConv* l) { l->shape.samples = INT32_MAX; }},
        {"unknown type", [](EffortConv* l) { l->type = static_cast<DataType>(2); }},
        {"weights of another type", [](EffortConv* l) { l->type = DataType::kHalf; }},
        {"unknown activation", [](EffortConv* l) { l->activation = static_cast<Activation>(2); }},
        {"unknown saturation", [](EffortConv* l) { l->knobs.saturation = Saturation(3); }},
        {"no prefix", [](EffortConv* l) { l->knobs.saturation = Saturation::kExact; }},
        {"all channels are prefix",
         [](EffortConv* l) {
             l->knobs.saturation = Saturation::kPredicted;
             l->knobs.prefix_channels = 2;
         }},
        {"saturation without ReLU",
         [](EffortConv* l) {
             l->activation = Activation::kNone;
             l->knobs.saturation = Saturation::kPredicted;
             l->knobs.prefix_channels = 1;
         }},
        {"means whose weights are not there", [](EffortConv* l) { l->knobs.similarity = 1.0f; }},
        {"NaN similarity", [](EffortConv* l) { l->knobs.similarity = std::nanf(""); }},
        {"period 0", [](EffortConv* l) { l->knobs.sample_period = 0; }},
        {"period 9", [](EffortConv* l) { l->knobs.sample_period = 9; }},
        {"NaN below", [](EffortConv* l) { l->knobs.sample_below = std::nanf(""); }},
        {"infinite within", [](EffortConv* l) { l->knobs.sample_within = INFINITY; }},
        {"negative input threshold", [](EffortConv* l) { l->knobs.input_threshold = -1.0f; }},
        {"NaN input threshold", [](EffortConv* l) { l->knobs.input_threshold = std::nanf(""); }},
        {"layout of another layer", [](EffortConv* l) { ++l->layout.rows; }},
        {"no levels", [](EffortConv* l) { l->layout.levels = 0; }},
        {"no weights", [](EffortConv* l) { l->weights = nullptr; }},
        {"weights not aligned",
         [](EffortConv* l) { l->weights = static_cast<char const*>(l->weights) + 4; }},
    };
    for (auto const& test : wrong) {
        EffortConv layer = good;
        test.change(&layer);
        ES_EXPECT(launch(layer) == cudaErrorInvalidValue, "%s", test.why);
    }
    auto const with = [&](void const* from, int32_t const* level, void* to) {
        return LaunchEffortConv(good, from, level, to, nullptr, nullptr);
    };
    ES_EXPECT(with(nullptr, effort.get(), y.get()) == cudaErrorInvalidValue, "x");
    ES_EXPECT(with(x.get(), nullptr, y.get()) == cudaErrorInvalidValue, "effort");
    ES_EXPECT(with(x.get(), effort.get(), nullptr) == cudaErrorInvalidValue, "y");
    good.shape.samples = 0;
    ES_EXPECT_CUDA(with(nullptr, nullptr, nullptr));
    cudaGetLastError();
}

}  // namespace
}  // namespace edgesynth
