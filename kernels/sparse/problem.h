// Random sparse layers, on the host and on the device: for tests and the benchmark.
#pragma once

#include "sparse/packing.h"
#include "sparse/reference.h"
#include "testing/testing.h"

namespace edgesynth {

struct SparseProblem {
    ConvShape shape;
    DataType type;
    bool is_linear;
    bool has_residual;
    Activation activation;
    std::vector<double> weights, bias, x, residual;  // dense; what the device will have of them

    int64_t Outputs() const {
        return int64_t{shape.samples} * shape.filters * OutputSide(shape, 0) * OutputSide(shape, 1);
    }
};

// Weights are kept with a chance of 1 - sparsity; empty_rows of 4 rows have none at all.
SparseProblem MakeSparseProblem(ConvShape const& shape, bool is_linear, double sparsity,
                                DataType type, int empty_rows, uint64_t seed);

// Positions and values of the weights that are not zero, or position 0 with 0 where all are.
struct SparseList {
    std::vector<int32_t> positions;
    std::vector<float> values;
    SparseWeights Get() const {
        return SparseWeights{positions.data(), values.data(),
                             static_cast<int64_t>(positions.size())};
    }
};
SparseList ListOf(std::vector<double> const& weights);

// The packed weights; a failure of the running test where they are refused.
SparsePacked PackProblem(SparseProblem const& problem);

// The layer on the device.
class SparseLayer {
  public:
    explicit SparseLayer(SparseProblem const& problem, ChannelOrder order = ChannelOrder::kApart);
    cudaError_t Launch(cudaStream_t stream) const;
    std::vector<double> Output() const;  // whatever the order, channel by channel
    SparseOperands Operands() const;

  private:
    SparseProblem const& problem_;
    ChannelOrder const order_;
    SparsePacked const packed_;
    testing::DeviceBytes weights_;
    testing::DeviceArray<float> bias_;
    testing::Activations x_, residual_, y_;
};

// How far an output may lie from the reference, beside the magnitude of its sum.
testing::Tolerance SparseTolerance(SparseProblem const& problem);

}  // namespace edgesynth
