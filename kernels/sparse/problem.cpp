#include "sparse/problem.h"

#include <cmath>

namespace edgesynth {

SparseProblem MakeSparseProblem(ConvShape const& shape, bool is_linear, double sparsity,
                                DataType type, int empty_rows, uint64_t seed) {
    testing::Random random(seed);
    SparseProblem problem{shape,
                          type,
                          is_linear,
                          random.Chance(0.5),
                          Activation::kNone,
                          {},
                          random.Normals(shape.filters),
                          {},
                          {}};
    problem.activation = random.Chance(0.5) ? Activation::kRelu : Activation::kNone;
    int64_t const columns = FilterWeights(shape);
    for (int64_t row = 0; row < shape.filters; ++row) {
        bool const is_empty = row % 4 < empty_rows;
        for (int64_t column = 0; column < columns; ++column) {
            bool const kept = !is_empty && !random.Chance(sparsity);
            problem.weights.push_back(kept ? random.Normal() : 0.0);
        }
    }
    problem.weights = testing::RoundTo(type, problem.weights);
    problem.bias = testing::RoundTo(DataType::kFloat, problem.bias);
    int64_t const inputs = int64_t{shape.samples} * shape.channels * shape.height * shape.width;
    problem.x = testing::RoundTo(type, random.Normals(inputs));
    if (problem.has_residual) {
        problem.residual = testing::RoundTo(type, random.Normals(problem.Outputs()));
    }
    return problem;
}

SparseList ListOf(std::vector<double> const& weights) {
    SparseList list;
    for (size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] == 0.0) continue;
        list.positions.push_back(static_cast<int32_t>(i));
        list.values.push_back(static_cast<float>(weights[i]));
    }
    if (list.positions.empty()) {
        list.positions.push_back(0);
        list.values.push_back(0.0f);
    }
    return list;
}

SparsePacked PackProblem(SparseProblem const& problem) {
    SparsePacked packed;
    SparseList const list = ListOf(problem.weights);
    std::string const wrong =
        problem.is_linear ? PackSparseLinear(list.Get(), problem.shape.channels,
                                             problem.shape.filters, problem.type, &packed)
                          : PackSparseConv(list.Get(), problem.shape, problem.type, &packed);
    ES_EXPECT(wrong.empty(), "%s", wrong.c_str());
    return packed;
}

namespace {

int64_t InputPlane(ConvShape const& shape) { return int64_t{shape.height} * shape.width; }
int64_t OutputPlane(ConvShape const& shape) { return OutputSide(shape, 0) * OutputSide(shape, 1); }

std::vector<double> InOrder(ChannelOrder order, std::vector<double> const& values, int64_t channels,
                            int64_t plane) {
    return order == ChannelOrder::kPaired ? testing::Paired(values, channels, plane) : values;
}

}  // namespace

SparseLayer::SparseLayer(SparseProblem const& problem, ChannelOrder order)
    : problem_(problem),
      order_(order),
      packed_(PackProblem(problem)),
      weights_(packed_.bytes.data(), static_cast<int64_t>(packed_.bytes.size())),
      bias_(std::vector<float>(problem.bias.begin(), problem.bias.end())),
      x_(problem.type,
         InOrder(order, problem.x, problem.shape.channels, InputPlane(problem.shape))),
      residual_(problem.type, InOrder(order, problem.residual, problem.shape.filters,
                                      OutputPlane(problem.shape))),
      y_(problem.type, problem.Outputs()) {}

SparseOperands SparseLayer::Operands() const {
    return SparseOperands{packed_.layout,  weights_.get(), bias_.get(),         x_.get(),
                          residual_.get(), y_.get(),       problem_.activation, order_};
}

std::vector<double> SparseLayer::Output() const {
    ConvShape const& shape = problem_.shape;
    std::vector<double> const y = y_.Host();
    return order_ == ChannelOrder::kPaired ? testing::Unpaired(y, shape.filters, OutputPlane(shape))
                                           : y;
}

cudaError_t SparseLayer::Launch(cudaStream_t stream) const {
    return problem_.is_linear ? LaunchSparseLinear(Operands(), problem_.shape.samples, stream)
                              : LaunchSparseConv(Operands(), problem_.shape, stream);
}

testing::Tolerance SparseTolerance(SparseProblem const& problem) {
    testing::Tolerance tolerance =
        testing::ToleranceFor(problem.type, FilterWeights(problem.shape));
    if (problem.type == DataType::kHalf) {
        // Chains of at most 32 in fp16. Their roundings are of both signs: a bound that holds for
        // the worst of them, 32 * 2^-11, would let wrong results pass.
        tolerance.scaled += 4.0 * std::ldexp(1.0, -11);
        tolerance.absolute += 32.0 * std::ldexp(1.0, -25);  // subnormal products
    }
    return tolerance;
}

}  // namespace edgesynth
