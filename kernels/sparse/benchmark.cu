// Pruned layers of well-known networks at batch 1. Dense and cuSPARSE times of the same layers come
// from sparse/sparse_libraries.py.
#include <cmath>

#include "sparse/problem.h"
#include "testing/benchmark.h"
#include "testing/layers.h"

namespace edgesynth {
namespace {

constexpr double kSparsities[] = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99};

// The last output of the last filter, by its definition.
bool IsRight(SparseProblem const& problem, std::vector<double> const& y) {
    ConvShape one = problem.shape;
    int64_t const row = FilterWeights(one);
    int64_t const in_group = one.channels / one.group, plane = int64_t{one.height} * one.width;
    auto const last = [](std::vector<double> const& values, int64_t count) {
        return std::vector<double>(values.end() - static_cast<std::ptrdiff_t>(count), values.end());
    };
    one.channels = static_cast<int32_t>(in_group);
    one.filters = one.group = 1;
    ReferenceSums const sums = ReferenceSparse(
        one, last(problem.weights, row), last(problem.bias, 1), last(problem.x, in_group * plane),
        problem.has_residual ? last(problem.residual, OutputSide(one, 0) * OutputSide(one, 1))
                             : std::vector<double>(),
        problem.activation);
    testing::Tolerance const allowed = SparseTolerance(problem);
    double const expected = sums.y.back(), error = std::fabs(y.back() - expected);
    return error <= allowed.absolute + allowed.relative * std::fabs(expected) +
                        allowed.scaled * sums.magnitude.back();
}

void Run(testing::Benchmark* benchmark, testing::NamedLayer const& named, DataType type,
         double sparsity) {
    ConvShape const& shape = named.shape;
    bool const is_linear = shape.height == 1 && shape.width == 1;
    SparseProblem const problem = MakeSparseProblem(shape, is_linear, sparsity, type, 0, 1);
    SparseLayer const layer(problem);
    int64_t const pixels = OutputSide(shape, 0) * OutputSide(shape, 1);
    int64_t const activations =
        static_cast<int64_t>(problem.x.size() + problem.residual.size()) + problem.Outputs();
    SparseLayout const& layout = layer.Operands().layout;
    int64_t const bytes = layout.Bytes() + int64_t{4} * shape.filters + activations * SizeOf(type);
    benchmark->Measure(
        {testing::Format("%s, %.0f %%", named.name, 100.0 * sparsity),
         type,
         {{"sparsity", sparsity}, {"nonzero", static_cast<double>(layout.nonzero)}}},
        {bytes, 2 * layout.nonzero * pixels, 2 * problem.Outputs() * FilterWeights(shape)},
        [&](cudaStream_t stream) { return layer.Launch(stream); },
        [&] { return IsRight(problem, layer.Output()); });
}

}  // namespace
}  // namespace edgesynth

int main(int count, char** words) {
    using namespace edgesynth;
    testing::Benchmark benchmark("sparse", count, words);
    for (testing::NamedLayer const& named : testing::kLayers) {
        // In emulation a large layer takes minutes.
        int64_t const products = named.shape.filters * OutputSide(named.shape, 0) *
                                 OutputSide(named.shape, 1) * FilterWeights(named.shape);
        if (benchmark.smoke() && products > 16000000) continue;
        for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
            for (double const sparsity : kSparsities) {
                if (benchmark.smoke() && sparsity < 0.9) continue;
                Run(&benchmark, named, type, sparsity);
            }
        }
    }
    return benchmark.Finish();
}
