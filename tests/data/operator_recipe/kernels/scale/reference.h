// EsScale in double precision.
#pragma once

#include <vector>

namespace edgesynth {

std::vector<double> ReferenceScale(double factor, std::vector<double> const& x);

}  // namespace edgesynth
