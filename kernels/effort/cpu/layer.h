// A layer as its runs read it.
#pragma once

#include <vector>

#include "effort/cpu/cpu.h"
#include "effort/cpu/dots.h"
#include "effort/cpu/nonzero.h"

namespace edgesynth {

class EffortCpuConv {
  public:
    ConvShape shape;  // samples and extents are those of a run
    Activation activation;
    EffortKnobs knobs;
    int32_t channels, window;  // of a filter
    bool takes_means;
    int64_t row;                 // numbers of a filter in `weights`
    std::vector<float> weights;  // of each filter all columns, then every window's sum
    std::vector<float> bias, thresholds;
    std::vector<int32_t> order, levels;
    std::vector<int32_t> settled;      // channels after which the filter has no positive weight
    std::vector<EffortCpuPart> parts;  // for single outputs; may be none
    EffortCpuNonzero nonzero;          // for skipped zeros

    float const* Weights(int64_t filter) const { return weights.data() + filter * row; }
};

}  // namespace edgesynth
