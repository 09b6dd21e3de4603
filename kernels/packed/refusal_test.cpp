// What the packed layers refuse, and the order of their words on the device.
#include <functional>

#include "packed/packed.h"
#include "packed/reference.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::DeviceArray;
using testing::Random;

ES_TEST(PackedWordsAreInterleavedByFours) {
    // Groups of 3 rows, 2 words each: the fourth row of each group is empty.
    std::vector<int32_t> const words = {10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61};
    std::vector<int32_t> const expected = {10, 20, 30, 0, 11, 21, 31, 0,
                                           40, 50, 60, 0, 41, 51, 61, 0};
    ES_EXPECT(InterleavedWordCount(6, 2, 32, 2) == 16, "count");
    std::vector<int32_t> interleaved(16, -1);
    ES_EXPECT(InterleaveWords(6, 2, 32, 2, words.data(), interleaved.data()), "refused");
    ES_EXPECT(interleaved == expected, "wrong order");
    ES_EXPECT(InterleavedWordCount(6, 4, 32, 2) == -1, "group does not divide filters");
    ES_EXPECT(InterleavedWordCount(6, 2, 32, 5) == -1, "no layout of 5 bits");
    ES_EXPECT(InterleavedWordCount(6, 2, 0, 2) == -1, "no columns");
    ES_EXPECT(InterleavedWordCount(INT32_MAX, 1, INT64_MAX, 8) == -1, "more than 63 bits");
    ES_EXPECT(InterleavedWordCount(65536, 1, 1 << 20, 8) == int64_t{1} << 34, "beyond 32 bits");
    for (int32_t const bits : {2, 3, 4, 8}) {
        Random random(10);
        std::vector<int32_t> codes(3 * 37);
        for (int32_t& code : codes) {
            code = static_cast<int32_t>(random.Integer(-(1 << (bits - 1)), (1 << (bits - 1)) - 1));
        }
        ES_EXPECT(UnpackCodes(PackCodes(codes, 37, bits), 37, bits) == codes, "%d bits", bits);
    }
}

ES_TEST(PackedRefusesWrongParameters) {
    DeviceArray<float> floats(64);
    DeviceArray<int32_t> words(64);
    PackedWeights const weights{words.get(), floats.get(), nullptr, 2};
    ConvShape const shape{1, 1, 4, 4, 2, 1, {3, 3}, {1, 1}, {0, 0, 0, 0}, {1, 1}};
    PackedConv const good{shape, DataType::kFloat, Activation::kNone, weights};
    float* const data = floats.get();
    auto const refused = [&](PackedConv const& layer) {
        return LaunchPackedConv(layer, data, nullptr, data + 32, nullptr) == cudaErrorInvalidValue;
    };
    auto const with = [&](std::function<void(PackedConv*)> const& change) {
        PackedConv layer = good;
        change(&layer);
        return layer;
    };
    struct {
        char const* why;
        std::function<void(PackedConv*)> change;
    } const wrong[] = {
        {"negative batch", [](PackedConv* l) { l->shape.samples = -1; }},
        {"no channels", [](PackedConv* l) { l->shape.channels = 0; }},
        {"no filters", [](PackedConv* l) { l->shape.filters = 0; }},
        {"group 0", [](PackedConv* l) { l->shape.group = 0; }},
        {"group does not divide channels", [](PackedConv* l) { l->shape.group = 2; }},
        {"stride 0", [](PackedConv* l) { l->shape.strides[1] = 0; }},
        {"dilation 0", [](PackedConv* l) { l->shape.dilations[0] = 0; }},
        {"negative pad", [](PackedConv* l) { l->shape.pads[3] = -1; }},
        {"window of 5 in 4", [](PackedConv* l) { l->shape.kernel[0] = 5; }},
        {"window of 2^31", [](PackedConv* l) { l->shape.dilations[1] = INT32_MAX; }},
        {"pads of 2^31", [](PackedConv* l) { l->shape.pads[0] = INT32_MAX; }},
        {"a sample of 2^32 inputs",
         [](PackedConv* l) { l->shape.height = l->shape.width = 1 << 16; }},
        {"a sample of 2^40 outputs", [](PackedConv* l) { l->shape.filters = INT32_MAX; }},
        {"more blocks than a grid has",
         [](PackedConv* l) { l->shape = LinearAsConv(INT32_MAX, 1, 1 << 20); }},
        {"pairs of floats",
         [](PackedConv* l) {
             l->shape.channels = 2;
             l->order = ChannelOrder::kPaired;
         }},
        {"pairs of one channel",
         [](PackedConv* l) {
             l->type = DataType::kHalf;
             l->order = ChannelOrder::kPaired;
         }},
        {"unknown order", [](PackedConv* l) { l->order = static_cast<ChannelOrder>(2); }},
        {"unknown type", [](PackedConv* l) { l->type = static_cast<DataType>(2); }},
        {"unknown activation", [](PackedConv* l) { l->activation = static_cast<Activation>(2); }},
        {"5 bits", [](PackedConv* l) { l->weights.bits = 5; }},
        {"no words", [](PackedConv* l) { l->weights.words = nullptr; }},
        {"words not aligned", [](PackedConv* l) { ++l->weights.words; }},
        {"no scales", [](PackedConv* l) { l->weights.scales = nullptr; }},
    };
    for (auto const& test : wrong) ES_EXPECT(refused(with(test.change)), "%s", test.why);
    ES_EXPECT(LaunchPackedConv(good, nullptr, nullptr, data, nullptr) == cudaErrorInvalidValue,
              "x");
    ES_EXPECT(LaunchPackedConv(good, data, nullptr, nullptr, nullptr) == cudaErrorInvalidValue,
              "y");
    PackedLinear linear{1, 4, 2, DataType::kFloat, Activation::kNone, weights};
    auto const linear_refused = [&] {
        return LaunchPackedLinear(linear, data, nullptr, data + 32, nullptr) ==
               cudaErrorInvalidValue;
    };
    linear.features = 0;
    ES_EXPECT(linear_refused(), "no features");
    linear.features = 4;
    linear.weights.bits = 1;
    ES_EXPECT(linear_refused(), "1 bit");
    linear.weights.bits = 2;
    linear.samples = -1;
    ES_EXPECT(linear_refused(), "negative batch");
    linear.samples = 0;
    ES_EXPECT_CUDA(LaunchPackedLinear(linear, nullptr, nullptr, nullptr, nullptr));
    cudaGetLastError();
}

}  // namespace
}  // namespace edgesynth
