#include "sparse/reference.h"

#include <cmath>

namespace edgesynth {
namespace {

struct Sum {
    double value, magnitude;
    void Add(double term) {
        value += term;
        magnitude += std::fabs(term);
    }
};

// The products of filter m at output (p, q) of sample n.
Sum Convolve(ConvShape const& shape, std::vector<double> const& weights,
             std::vector<double> const& x, int64_t n, int64_t m, int64_t p, int64_t q) {
    int64_t const in_group = shape.channels / shape.group;
    int64_t const first = m / (shape.filters / shape.group) * in_group;
    Sum sum{0.0, 0.0};
    int64_t weight = m * FilterWeights(shape);
    for (int64_t c = 0; c < in_group; ++c) {
        for (int64_t i = 0; i < shape.kernel[0]; ++i) {
            for (int64_t j = 0; j < shape.kernel[1]; ++j, ++weight) {
                int64_t const row = p * shape.strides[0] - shape.pads[0] + i * shape.dilations[0];
                int64_t const column =
                    q * shape.strides[1] - shape.pads[1] + j * shape.dilations[1];
                bool const inside =
                    row >= 0 && row < shape.height && column >= 0 && column < shape.width;
                double const factor = weights[static_cast<size_t>(weight)];
                if (!inside || factor == 0.0) continue;
                int64_t const at =
                    ((n * shape.channels + first + c) * shape.height + row) * shape.width + column;
                sum.Add(factor * x[static_cast<size_t>(at)]);
            }
        }
    }
    return sum;
}

}  // namespace

ReferenceSums ReferenceSparse(ConvShape const& shape, std::vector<double> const& weights,
                              std::vector<double> const& bias, std::vector<double> const& x,
                              std::vector<double> const& residual, Activation activation) {
    ReferenceSums sums;
    for (int64_t n = 0; n < shape.samples; ++n) {
        for (int64_t m = 0; m < shape.filters; ++m) {
            for (int64_t p = 0; p < OutputSide(shape, 0); ++p) {
                for (int64_t q = 0; q < OutputSide(shape, 1); ++q) {
                    Sum sum = Convolve(shape, weights, x, n, m, p, q);
                    if (!bias.empty()) sum.Add(bias[static_cast<size_t>(m)]);
                    if (!residual.empty()) sum.Add(residual[sums.y.size()]);
                    bool const cut = activation == Activation::kRelu && sum.value < 0.0;
                    sums.y.push_back(cut ? 0.0 : sum.value);
                    sums.magnitude.push_back(sum.magnitude);
                }
            }
        }
    }
    return sums;
}

}  // namespace edgesynth
