// Every zero of x left out, wherever it lies: the filters of a group side by side in vectors, one
// output pixel after another, and for each only the numbers of its window that are not zero.
//
// Those are listed once, pixel by pixel and in each the channels in the order in which they are
// added up, so that a row of a window is one piece of the list. Some channels at a time, a chunk,
// so that the weights of a row stay cached. An output that ends early or is told from samples would
// save nothing here, where all filters go together, and a mean hardly anything that zeros do not.
#pragma once

#include <cstdint>

#include "effort/cpu/vectors.h"

namespace edgesynth {

class EffortCpuConv;
struct EffortCpuCounts;
struct EffortCpuRun;

// Weights in the order in which they are needed.
struct EffortCpuNonzero {
    int32_t chunks = 0;  // of a group; none where the layer cannot be run so
    int32_t width;       // channels of a chunk, a multiple of 8
    int32_t vectors;     // of filters that go together: a tile
    int32_t tiles;       // of a group
    int64_t chunk;       // weights of a chunk
    Aligned weights;     // [group][tile][chunk][window][width][8 * vectors]

    // Where the weights of a chunk begin.
    int64_t Chunk(int32_t group, int32_t tile, int32_t of_tile) const {
        return ((int64_t{group} * tiles + tile) * chunks + of_tile) * chunk;
    }
};

// The weights of `layer`, whose shape, order, weights and knobs are set.
void MakeNonzero(EffortCpuConv* layer);

// The outputs of one sample of `run`; adds to `counts`, which may be null. False, with nothing
// done, where so few of its numbers are zero that tiles are faster.
bool RunNonzero(EffortCpuRun const& run, EffortCpuCounts* counts);

}  // namespace edgesynth
