// Both operators as a textbook has them: dense weights and plain loops, in double precision.
#pragma once

#include <vector>

#include "common/convolution.h"
#include "common/launcher.h"

namespace edgesynth {

struct ReferenceSums {
    std::vector<double> y;          // after bias, residual and activation
    std::vector<double> magnitude;  // the sum of the absolute terms of each output
};

// weights: (M, C / group, kh, kw); residual: empty for none. A linear layer is LinearAsConv().
// Weights that are zero are left out, so that 0 * infinity is nothing.
ReferenceSums ReferenceSparse(ConvShape const& shape, std::vector<double> const& weights,
                              std::vector<double> const& bias, std::vector<double> const& x,
                              std::vector<double> const& residual, Activation activation);

}  // namespace edgesynth
