#include <cmath>
#include <limits>
#include <utility>

#include "sparse/problem.h"
#include "sparse/tile.h"

namespace edgesynth {
namespace {

constexpr DataType kTypes[] = {DataType::kFloat, DataType::kHalf};

struct LinearCase {
    int32_t batch, features, outputs;
    double sparsity;
    char const* why;
};

// Sparsities of the networks are those of Han et al. (NIPS 2015) where a layer is named.
LinearCase const kLinearCases[] = {
    {1, 1, 1, 0.0, "one weight"},
    {1, 1, 300, 0.5, "one column: half of the rows are empty"},
    {1, 17, 5, 1.0, "all weights are zero"},
    {3, 17, 5, 1.0, "all weights are zero, several batch rows"},
    {1, 31, 33, 0.0, "dense: no row is a multiple of a vector"},
    {1, 400, 120, 0.90, "LeNet-5 fc1"},
    {1, 120, 84, 0.90, "LeNet-5 fc2"},
    {1, 84, 10, 0.80, "LeNet-5 fc3: fewer outputs than warps"},
    {1, 800, 500, 0.92, "LeNet-5 (Caffe) ip1"},
    {1, 3072, 65, 0.91, "a full panel; one row more than two blocks of lanes"},
    {1, 3073, 64, 0.91, "the first size with two panels, cut in the middle"},
    {1, 9216, 96, 0.91, "AlexNet fc6, a part of its outputs: three panels"},
    {1, 4096, 100, 0.75, "AlexNet fc8: whole warps to a row"},
    {1, 25088, 24, 0.96, "VGG-16 fc6, a part of its outputs: nine panels"},
    {1, 2048, 70, 0.99, "ResNet-50 fc, very sparse"},
    {1, 1024, 40, 0.85, "GoogLeNet's classifier"},
    {1, 6000, 3, 0.0, "dense, few and long rows: whole warps"},
    {2, 300, 40, 0.9, "batch of two: one pair, or half of what a block has at once"},
    {3, 300, 40, 0.9, "batch of three: the last pair has one row"},
    {4, 300, 40, 0.9, "batch of four"},
    {5, 300, 40, 0.9, "batch of five: a second group of one"},
    {9, 4000, 20, 0.95, "groups of batch rows, and two panels"},
    {1, 20, 3000, 0.5, "so many outputs that a block has its most slots"},
};

struct Case {
    ConvShape shape;
    double sparsity;
    char const* why;
};

// samples, channels, height, width, filters, group, kernel, strides, pads, dilations
Case const kCases[] = {
    {{1, 1, 1, 1, 1, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, 0.0, "one weight, one pixel"},
    {{1, 3, 5, 5, 9, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 1.0, "all weights are zero"},
    {{1, 1, 28, 28, 20, 1, {5, 5}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, 0.34, "LeNet-5 conv1"},
    {{1, 20, 12, 12, 50, 1, {5, 5}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, 0.88, "LeNet-5 conv2"},
    {{1, 3, 51, 51, 16, 1, {11, 11}, {4, 4}, {2, 2, 2, 2}, {1, 1}},
     0.16,
     "AlexNet conv1 at a quarter of its size: stride 4, columns in four phases"},
    {{1, 48, 13, 13, 32, 2, {5, 5}, {1, 1}, {2, 2, 2, 2}, {1, 1}},
     0.62,
     "AlexNet conv2, two groups"},
    {{1, 64, 13, 13, 40, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
     0.65,
     "AlexNet conv3: 13 x 13 outputs, four panels"},
    {{1, 16, 28, 28, 32, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 0.78, "VGG-16 conv3, narrower"},
    {{1, 96, 14, 14, 40, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 0.95, "VGG-16 conv5, narrower"},
    {{1, 100, 14, 14, 36, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}},
     0.90,
     "GoogLeNet inception 1x1: 196 pixels in rows of 32, the last one partial"},
    {{1, 16, 14, 14, 24, 1, {5, 5}, {1, 1}, {2, 2, 2, 2}, {1, 1}}, 0.9, "GoogLeNet 5x5"},
    {{1, 3, 45, 45, 16, 1, {7, 7}, {2, 2}, {3, 3, 3, 3}, {1, 1}},
     0.5,
     "ResNet-50 conv1 at a fifth of its size: stride 2, two phases"},
    {{1, 64, 7, 7, 70, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
     0.9,
     "ResNet-50 stage 5: 49 outputs, one position to a lane"},
    {{1, 130, 7, 7, 65, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}},
     0.95,
     "ResNet-50 1x1 in stage 5: one slot in its second block"},
    {{1, 32, 14, 14, 32, 1, {1, 1}, {2, 2}, {0, 0, 0, 0}, {1, 1}},
     0.8,
     "ResNet-50 shortcut: 1x1 with stride 2"},
    {{1, 24, 26, 26, 18, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 0.9, "YOLOv2 26 x 26"},
    {{1, 40, 13, 13, 25, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, 0.99, "YOLOv2's last layer"},
    {{2, 12, 9, 40, 16, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
     0.8,
     "two images, wider than a tile"},
    {{1, 8, 2, 16, 8, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 0.5, "two rows of 16 outputs"},
    {{1, 8, 20, 3, 8, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 0.5, "narrower than any tile"},
    {{1, 8, 9, 9, 8, 1, {3, 2}, {2, 1}, {0, 1, 2, 3}, {1, 1}},
     0.5,
     "nothing is symmetric: kernel, strides, pads"},
    {{1, 8, 17, 17, 8, 1, {3, 3}, {1, 1}, {2, 2, 2, 2}, {2, 2}}, 0.7, "dilation 2"},
    {{1, 8, 17, 17, 8, 1, {3, 3}, {3, 2}, {3, 2, 3, 2}, {2, 3}}, 0.7, "dilation beside stride"},
    {{1, 8, 150, 4, 8, 1, {3, 1}, {1, 1}, {0, 0, 0, 0}, {70, 1}},
     0.7,
     "dilation 70: no tile fits into shared memory"},
    {{1, 2, 40, 40, 8, 1, {33, 33}, {1, 1}, {0, 0, 0, 0}, {1, 1}},
     0.95,
     "more taps than a panel has columns"},
    {{1, 12, 8, 8, 12, 12, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 0.3, "depthwise"},
    {{2, 12, 8, 8, 24, 3, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
     0.5,
     "the fewest filters in a group that share their input"},
    {{2, 10, 9, 9, 18, 2, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
     0.5,
     "pairs of channels across two groups"},
    {{1, 6, 5, 5, 6, 2, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
     0.5,
     "the same, few filters: the direct kernel"},
    {{1, 8, 6, 6, 8, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 0.5, "1x1 with padding"},
    {{1, 4, 3, 3, 8, 1, {3, 3}, {5, 5}, {0, 0, 0, 0}, {1, 1}},
     0.5,
     "a stride beyond the input: one output"},
    {{1, 4, 1, 1, 8, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, 0.5, "almost nothing but padding"},
    {{1, 2, 4, 4, 8, 1, {3, 3}, {1, 1}, {9, 9, 9, 9}, {1, 1}},
     0.5,
     "windows that see padding only"},
};

void Check(SparseProblem const& problem, std::string const& why) {
    ReferenceSums const expected = ReferenceSparse(problem.shape, problem.weights, problem.bias,
                                                   problem.x, problem.residual, problem.activation);
    ConvShape const& shape = problem.shape;
    std::string const name =
        testing::Format("%s, %d x %d x %d x %d, %d filters %d x %d (%s)",
                        testing::Name(problem.type), shape.samples, shape.channels, shape.height,
                        shape.width, shape.filters, shape.kernel[0], shape.kernel[1], why.c_str());
    // a convolution also computes pairs of channels, with the very same sums
    bool const pairs = !problem.is_linear && problem.type == DataType::kHalf &&
                       shape.channels % 2 == 0 && shape.filters % 2 == 0;
    testing::ForEveryOrder(name, [&] {
        SparseLayer const layer(problem);
        ES_EXPECT_CUDA(layer.Launch(nullptr));
        ES_EXPECT_CLOSE("y", layer.Output(), expected.y, expected.magnitude,
                        SparseTolerance(problem));
        if (!pairs) return;
        SparseLayer const paired(problem, ChannelOrder::kPaired);
        ES_EXPECT_CUDA(paired.Launch(nullptr));
        ES_EXPECT_CLOSE("y in pairs", paired.Output(), expected.y, expected.magnitude,
                        SparseTolerance(problem));
    });
}

ES_TEST(SparseLinearMatchesReference) {
    for (LinearCase const& shape : kLinearCases) {
        for (DataType const type : kTypes) {
            Check(MakeSparseProblem(LinearAsConv(shape.batch, shape.features, shape.outputs), true,
                                    shape.sparsity, type, 0, 1),
                  shape.why);
        }
    }
}

ES_TEST(SparseLinearRandomShapes) {
    testing::Random random(2);
    for (int i = 0; i < 30; ++i) {
        ConvShape const shape = LinearAsConv(static_cast<int32_t>(random.Integer(1, 6)),
                                             static_cast<int32_t>(random.Integer(1, 700)),
                                             static_cast<int32_t>(random.Integer(1, 90)));
        Check(MakeSparseProblem(shape, true, random.Uniform(), kTypes[random.Integer(0, 1)],
                                static_cast<int>(random.Integer(0, 3)), random.Next()),
              "random");
    }
}

// What one row reads must not reach another: padding points at no input.
ES_TEST(SparseLinearKeepsOddInputsApart) {
    double const infinity = std::numeric_limits<double>::infinity();
    for (DataType const type : kTypes) {
        SparseProblem problem = MakeSparseProblem(LinearAsConv(2, 64, 16), true, 0.9, type, 1, 3);
        problem.x[0] = infinity;
        problem.x[63] = std::nan("");
        problem.x[70] = -infinity;
        Check(problem, "infinities and NaN in x");
    }
}

ES_TEST(SparseLinearRefusesWrongParameters) {
    SparseProblem const problem =
        MakeSparseProblem(LinearAsConv(1, 16, 8), true, 0.5, DataType::kFloat, 0, 4);
    SparseLayer const layer(problem);
    auto const refused = [&](SparseOperands const& operands, int32_t batch) {
        cudaError_t const status = LaunchSparseLinear(operands, batch, nullptr);
        cudaGetLastError();
        return status == cudaErrorInvalidValue;
    };
    SparseOperands const good = layer.Operands();
    ES_EXPECT(refused(good, -1), "negative batch");
    SparseOperands wrong = good;
    wrong.weights = nullptr;
    ES_EXPECT(refused(wrong, 1), "no weights");
    wrong = good;
    wrong.weights = static_cast<char const*>(good.weights) + 4;
    ES_EXPECT(refused(wrong, 1), "weights at an odd address");
    wrong = good;
    wrong.x = nullptr;
    ES_EXPECT(refused(wrong, 1), "no input");
    wrong = good;
    wrong.y = nullptr;
    ES_EXPECT(refused(wrong, 1), "no output");
    wrong = good;
    wrong.layout.type = static_cast<DataType>(2);
    ES_EXPECT(refused(wrong, 1), "unknown type");
    wrong = good;
    wrong.layout.type = DataType::kHalf;
    ES_EXPECT(refused(wrong, 1), "weights of another type");
    wrong = good;
    wrong.activation = static_cast<Activation>(7);
    ES_EXPECT(refused(wrong, 1), "unknown activation");
    wrong = good;
    wrong.layout.panels = 2;
    ES_EXPECT(refused(wrong, 1), "panels that the columns do not have");
    wrong = good;
    wrong.order = ChannelOrder::kPaired;
    ES_EXPECT(refused(wrong, 1), "pairs of channels");
    ES_EXPECT(LaunchSparseLinear(good, 0, nullptr) == cudaSuccess, "an empty batch");
}

ES_TEST(SparseConvMatchesReference) {
    for (Case const& one : kCases) {
        for (DataType const type : kTypes) {
            Check(MakeSparseProblem(one.shape, false, one.sparsity, type, 0, 1), one.why);
        }
    }
}

ConvShape RandomShape(testing::Random* random) {
    auto const draw = [random](int64_t low, int64_t high) {
        return static_cast<int32_t>(random->Integer(low, high));
    };
    while (true) {
        int32_t const group = random->Chance(0.7) ? 1 : draw(2, 3);
        ConvShape const shape{draw(1, 2),
                              group * draw(1, 12),
                              draw(1, 24),
                              draw(1, 40),
                              group * draw(1, 40),
                              group,
                              {draw(1, 5), draw(1, 5)},
                              {draw(1, 3), draw(1, 3)},
                              {draw(0, 3), draw(0, 3), draw(0, 3), draw(0, 3)},
                              {draw(1, 3), draw(1, 3)}};
        if (IsValid(shape)) return shape;
    }
}

ES_TEST(SparseConvRandomShapes) {
    testing::Random random(2);
    for (int i = 0; i < 40; ++i) {
        ConvShape const shape = RandomShape(&random);
        Check(MakeSparseProblem(shape, false, random.Uniform(), kTypes[random.Integer(0, 1)],
                                static_cast<int>(random.Integer(0, 3)), random.Next()),
              "random");
    }
}

// An input that no weight of a filter reads must not reach it, and padding is no input.
ES_TEST(SparseConvKeepsOddInputsApart) {
    for (DataType const type : kTypes) {
        ConvShape const shape{1, 4, 6, 6, 9, 1, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}};
        SparseProblem problem = MakeSparseProblem(shape, false, 0.9, type, 1, 3);
        problem.x[0] = std::numeric_limits<double>::infinity();
        problem.x[80] = std::nan("");
        Check(problem, "infinity and NaN in x");
    }
}

// TensorRT on kCHW2: element (c, h, w) is element [c/2][h][w][c%2] of memory.
ES_TEST(PairsOfChannelsLieAsTensorRtHasThem) {
    int64_t const rows = 2, columns = 3;
    auto const at = [&](int64_t c, int64_t h, int64_t w) {
        return PlaceOf(ChannelOrder::kPaired, c, h * columns + w, rows * columns);
    };
    ES_EXPECT(at(0, 0, 0) == 0 && at(1, 0, 0) == 1 && at(0, 0, 1) == 2 && at(1, 1, 2) == 11,
              "pair");
    ES_EXPECT(at(2, 0, 1) == 14 && at(3, 1, 2) == 23, "the second pair");
    ES_EXPECT(PlaceOf(ChannelOrder::kApart, 3, 5, 6) == 23, "apart");
}

// Every kernel and every tile is met by the cases above, or they would prove less than they say.
ES_TEST(SparseConvCasesMeetEveryTile) {
    bool met[5][33] = {};
    bool direct = false;
    for (Case const& one : kCases) {
        for (DataType const type : kTypes) {
            SparsePacked const packed =
                PackProblem(MakeSparseProblem(one.shape, false, one.sparsity, type, 0, 1));
            SparseConvTile const tile = ChooseTile(one.shape, packed.layout);
            met[tile.positions][tile.width] = true;
            direct = direct || tile.width == 0;
        }
    }
    ES_EXPECT(direct, "no case takes the direct kernel");
    for (int const width : {8, 16, 32}) {
        for (int const positions : {1, 4}) {
            ES_EXPECT(met[positions][width], "no case has a tile %d wide with %d outputs to a lane",
                      width, positions);
        }
    }
}

ES_TEST(SparseConvRefusesWrongParameters) {
    ConvShape const shape{1, 4, 6, 6, 8, 2, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}};
    SparseProblem const problem = MakeSparseProblem(shape, false, 0.5, DataType::kHalf, 0, 4);
    SparseLayer const layer(problem);
    SparseOperands const good = layer.Operands();
    auto const refused = [](SparseOperands const& operands, ConvShape const& wrong) {
        cudaError_t const status = LaunchSparseConv(operands, wrong, nullptr);
        cudaGetLastError();
        return status == cudaErrorInvalidValue;
    };
    struct {
        void (*change)(ConvShape*);
        char const* why;
    } const changes[] = {
        {[](ConvShape* s) { s->samples = -1; }, "negative batch"},
        {[](ConvShape* s) { s->group = 0; }, "no group"},
        {[](ConvShape* s) { s->group = 3; }, "a group that divides nothing"},
        {[](ConvShape* s) { s->group = 1; }, "a group that the weights do not have"},
        {[](ConvShape* s) { s->height = 0; }, "no rows"},
        {[](ConvShape* s) { s->strides[1] = 0; }, "stride 0"},
        {[](ConvShape* s) { s->dilations[0] = 0; }, "dilation 0"},
        {[](ConvShape* s) { s->pads[2] = -1; }, "negative padding"},
        {[](ConvShape* s) { s->dilations[0] = 9; }, "a window that does not fit"},
        {[](ConvShape* s) { s->filters = 16; }, "filters that the weights do not have"},
        {[](ConvShape* s) { s->kernel[0] = 1; }, "a kernel that the weights do not have"},
        {[](ConvShape* s) { s->height = s->width = 1 << 20; }, "a plane of 2^40 elements"},
        {[](ConvShape* s) { s->pads[0] = s->pads[2] = s->pads[1] = s->pads[3] = 1 << 20; },
         "an output plane of 2^42 elements"},
        {[](ConvShape* s) { s->pads[1] = INT32_MAX; }, "padding that overflows"},
        {[](ConvShape* s) { s->dilations[1] = INT32_MAX; }, "a window that overflows"},
    };
    for (auto const& one : changes) {
        ConvShape wrong = shape;
        one.change(&wrong);
        ES_EXPECT(refused(good, wrong), "%s", one.why);
    }
    SparseOperands wrong = good;
    wrong.y = nullptr;
    ES_EXPECT(refused(wrong, shape), "no output");
    wrong = good;
    wrong.layout.vector = 4;
    ES_EXPECT(refused(wrong, shape), "the layout of a linear layer");
    wrong = good;
    wrong.order = static_cast<ChannelOrder>(2);
    ES_EXPECT(refused(wrong, shape), "an unknown order of channels");
    for (auto const& odd :
         {std::make_pair(DataType::kFloat, 2), std::make_pair(DataType::kHalf, 1)}) {
        ConvShape const other{1, 3 * odd.second, 6, 6, 4, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}};
        SparseProblem const single = MakeSparseProblem(other, false, 0.5, odd.first, 0, 4);
        SparseLayer const apart(single);
        wrong = apart.Operands();
        ES_EXPECT(!refused(wrong, other), "as it should be");
        wrong.order = ChannelOrder::kPaired;
        ES_EXPECT(refused(wrong, other), "pairs of floats, or of an odd number of channels");
    }
    ConvShape empty = shape;
    empty.samples = 0;
    ES_EXPECT(LaunchSparseConv(good, empty, nullptr) == cudaSuccess, "an empty batch");
}

}  // namespace
}  // namespace edgesynth
