// EsEffortConv as its definition has it, output by output, in double precision.
#pragma once

#include <cstdint>
#include <vector>

#include "effort/effort.h"
#include "effort/packing.h"

namespace edgesynth {

struct EffortReference {
    std::vector<double> y;
    std::vector<double> magnitude;  // of every sum: that of its terms' absolute values
    // How near any decision about a sum was to another one, in units of the sum's magnitude.
    double margin;
    int64_t products, checks;  // as a machine that decides output by output would do them
};

// Of the layer with these attributes and an effort of this level. Saturation in exact mode decides
// nothing here: it must change no output.
EffortReference ReferenceEffortConv(EffortConv const& layer, EffortAttributes const& attributes,
                                    std::vector<double> const& bias, std::vector<double> const& x,
                                    int32_t effort);

}  // namespace edgesynth
