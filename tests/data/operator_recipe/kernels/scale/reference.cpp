#include "scale/reference.h"

namespace edgesynth {

std::vector<double> ReferenceScale(double factor, std::vector<double> const& x) {
    std::vector<double> y;
    for (double const value : x) y.push_back(factor * value);
    return y;
}

}  // namespace edgesynth
