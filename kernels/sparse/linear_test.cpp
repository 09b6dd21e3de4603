#include <cmath>
#include <limits>

#include "sparse/problem.h"

namespace edgesynth {
namespace {

constexpr DataType kTypes[] = {DataType::kFloat, DataType::kHalf};

struct Shape {
    int32_t batch, features, outputs;
    double sparsity;
    char const* why;
};

// Sparsities of the networks are those of Han et al. (NIPS 2015) where a layer is named.
Shape const kShapes[] = {
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

void Check(SparseProblem const& problem, std::string const& why) {
    ReferenceSums const expected = ReferenceSparse(problem.shape, problem.weights, problem.bias,
                                                   problem.x, problem.residual, problem.activation);
    std::string const name = testing::Format("%s, %d x %d -> %d (%s)", testing::Name(problem.type),
                                             problem.shape.samples, problem.shape.channels,
                                             problem.shape.filters, why.c_str());
    testing::ForEveryOrder(name, [&] {
        SparseLayer const layer(problem);
        ES_EXPECT_CUDA(layer.Launch(nullptr));
        ES_EXPECT_CLOSE("y", layer.Output(), expected.y, expected.magnitude,
                        SparseTolerance(problem));
    });
}

ES_TEST(SparseLinearMatchesReference) {
    for (Shape const& shape : kShapes) {
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
    ES_EXPECT(LaunchSparseLinear(good, 0, nullptr) == cudaSuccess, "an empty batch");
}

}  // namespace
}  // namespace edgesynth
