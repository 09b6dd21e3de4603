// EsTwice in double precision.
#pragma once

#include <vector>

namespace edgesynth {

inline std::vector<double> ReferenceTwice(double factor, std::vector<double> const& x) {
    std::vector<double> y;
    for (double const value : x) y.push_back(factor * value);
    return y;
}

}  // namespace edgesynth
