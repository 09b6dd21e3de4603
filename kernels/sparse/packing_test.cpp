#include "sparse/packing.h"

#include <cstring>

#include "common/half_bits.h"
#include "sparse/problem.h"

namespace edgesynth {
namespace {

template <typename T>
std::vector<T> Section(SparsePacked const& packed, int64_t at, int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    if (count > 0) {
        std::memcpy(values.data(), packed.bytes.data() + at, values.size() * sizeof(T));
    }
    return values;
}

// 3 x 5, in two weights, none, and three.
std::vector<int32_t> const kPositions = {1, 4, 10, 11, 13};
std::vector<float> const kValues = {1.5f, 2.0f, 3.0f, -4.0f, 5.0f};

ES_TEST(SparsePackingOfALinearLayer) {
    SparsePacked packed;
    std::string const wrong =
        PackSparseLinear({kPositions.data(), kValues.data(), 5}, 5, 3, DataType::kFloat, &packed);
    ES_EXPECT(wrong.empty(), "%s", wrong.c_str());
    SparseLayout const& layout = packed.layout;
    ES_EXPECT(layout.entries == 8 && layout.nonzero == 5 && layout.panels == 1, "%d entries",
              static_cast<int>(layout.entries));
    ES_EXPECT((Section<float>(packed, 0, 8) == std::vector<float>{3, -4, 5, 0, 1.5, 2, 0, 0}),
              "longest row first, padded with zeros to 16 bytes");
    ES_EXPECT((Section<uint16_t>(packed, layout.ColumnsAt(), 8) ==
               std::vector<uint16_t>{0, 1, 3, 5, 1, 4, 5, 5}),
              "padding points behind the panel");
    ES_EXPECT((Section<int32_t>(packed, layout.StartsAt(), 4) == std::vector<int32_t>{0, 4, 8, 8}),
              "starts");
    ES_EXPECT((Section<int32_t>(packed, layout.RowsAt(), 3) == std::vector<int32_t>{2, 0, 1}),
              "rows");
}

ES_TEST(SparsePackingSortsWithinGroups) {
    // Two groups of two filters with 1 x 2 weights; the longer row is the second of each.
    std::vector<int32_t> const positions = {0, 2, 3, 6};
    std::vector<float> const values = {1, 2, 3, 4};
    ConvShape const shape{0, 2, 0, 0, 4, 2, {1, 2}, {1, 1}, {0, 0, 0, 0}, {1, 1}};
    SparsePacked packed;
    std::string const wrong =
        PackSparseConv({positions.data(), values.data(), 4}, shape, DataType::kHalf, &packed);
    ES_EXPECT(wrong.empty(), "%s", wrong.c_str());
    ES_EXPECT(
        (Section<int32_t>(packed, packed.layout.RowsAt(), 4) == std::vector<int32_t>{1, 0, 3, 2}),
        "rows");
    ES_EXPECT((Section<uint16_t>(packed, 0, 4) ==
               std::vector<uint16_t>{FloatToHalfBits(2), FloatToHalfBits(3), FloatToHalfBits(1),
                                     FloatToHalfBits(4)}),
              "values in fp16");
}

ES_TEST(SparsePackingLeavesZerosOut) {
    std::vector<int32_t> const positions = {0, 1, 2, 3};
    std::vector<float> const values = {0.0f, -0.0f, 1e-9f, 1.0f};
    SparsePacked packed;
    PackSparseLinear({positions.data(), values.data(), 4}, 2, 2, DataType::kFloat, &packed);
    ES_EXPECT(packed.layout.nonzero == 2, "both zeros go");
    PackSparseLinear({positions.data(), values.data(), 4}, 2, 2, DataType::kHalf, &packed);
    ES_EXPECT(packed.layout.nonzero == 1, "what fp16 rounds to zero goes too");
    PackSparseLinear({positions.data(), values.data(), 1}, 2, 2, DataType::kHalf, &packed);
    ES_EXPECT(packed.layout.entries == 0 && !packed.bytes.empty(), "an all-zero layer");
}

ES_TEST(SparsePackingRefusesWrongWeights) {
    SparsePacked packed;
    std::vector<float> const values = {1, 2};
    struct {
        std::vector<int32_t> positions;
        int32_t features, outputs;
        char const* why;
    } const cases[] = {
        {{3, 3}, 4, 4, "the same position twice"},
        {{3, 2}, 4, 4, "descending"},
        {{-1, 2}, 4, 4, "negative"},
        {{0, 16}, 4, 4, "behind the last"},
        {{0, 1}, 0, 4, "no column"},
        {{0, 1}, 4, -1, "negative rows"},
        {{0, 1}, 1 << 16, 1 << 16, "2^32 weights"},
    };
    for (auto const& one : cases) {
        ES_EXPECT(!PackSparseLinear({one.positions.data(), values.data(), 2}, one.features,
                                    one.outputs, DataType::kFloat, &packed)
                       .empty(),
                  "%s", one.why);
    }
    ConvShape const good{1, 4, 8, 8, 4, 2, {3, 3}, {1, 1}, {0, 0, 0, 0}, {1, 1}};
    std::vector<int32_t> const positions = {0, 1};
    SparseWeights const weights{positions.data(), values.data(), 2};
    auto const refused = [&](ConvShape const& shape) {
        return !PackSparseConv(weights, shape, DataType::kFloat, &packed).empty();
    };
    ES_EXPECT(!refused(good), "right");
    ConvShape shape = good;
    shape.group = 3;
    ES_EXPECT(refused(shape), "a group that does not divide");
    shape = good;
    shape.kernel[1] = 0;
    ES_EXPECT(refused(shape), "an empty kernel");
    shape = good;
    shape.strides[0] = 0;
    ES_EXPECT(refused(shape), "stride 0");
    shape = good;
    shape.kernel[0] = shape.kernel[1] = INT32_MAX;
    ES_EXPECT(refused(shape), "a kernel whose size overflows");
}

}  // namespace
}  // namespace edgesynth
