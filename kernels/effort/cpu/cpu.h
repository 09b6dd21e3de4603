// EsEffortConv on this machine's processor: a compiled operator that turns what need not be
// computed into time. Threads by OpenMP, fp32, vectors of whatever the compiler is told the machine
// has.
//
// An output is what edgesynth/operators/effort_spec.py says. What is saved is saved for 16
// neighbouring outputs of a filter at once (tile.h), or where few of them are left for each by
// itself (dots.h), or, of zeros, for all filters of a group at once (nonzero.h). The sums of the
// latter two are added in another order. Exact saturation changes no bit.
#pragma once

#include <cstdint>

#include "common/convolution.h"
#include "effort/effort.h"
#include "effort/packing.h"

namespace edgesynth {

// What one run did. Outputs beyond the map's edge are not counted.
struct EffortCpuCounts {
    int64_t executed;   // multiply-accumulates, by vectors, for outputs that need them or not
    int64_t products;   // those of a machine that decides output by output
    int64_t nonzero;    // of these, with an input that is not zero
    int64_t predicted;  // outputs that ended after the prefix
    int64_t filled;     // outputs that were told from their samples

    void Add(EffortCpuCounts const& more) {
        executed += more.executed;
        products += more.products;
        nonzero += more.nonzero;
        predicted += more.predicted;
        filled += more.filled;
    }
};

// A layer, ready to run; copies everything that it is made of.
class EffortCpuConv;

// Samples and extents of `shape` do not matter. Null where PackEffort would refuse the attributes.
EffortCpuConv* MakeEffortCpuConv(ConvShape const& shape, EffortAttributes const& attributes,
                                 float const* bias, Activation activation,
                                 EffortKnobs const& knobs);
void FreeEffortCpuConv(EffortCpuConv* layer);

// y (N, M, P, Q) from x (N, C, height, width) at a level of effort. `skips_zeros`: inputs that are
// zero are left out; where the layer saturates or samples, or a group has few filters, or a sample
// few zeros, only columns whose 16 inputs are all zero. `counts` may be null, which is faster.
// False where the extents do not fit the layer.
bool RunEffortCpuConv(EffortCpuConv const& layer, float const* x, int32_t samples, int32_t height,
                      int32_t width, int32_t effort, bool skips_zeros, float* y,
                      EffortCpuCounts* counts);

}  // namespace edgesynth
