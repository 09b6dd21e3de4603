// What a block of EsEffortConv works at: 32 filters of a group, times 8 x 8 outputs of one sample.
//
// With a sample period of p the outputs fall into p x p phases, those whose row and column leave
// the same rest. A tile is 8 x 8 outputs of one phase, so it spreads over 8p x 8p of the map. The
// first launch makes phase 0, the samples; a second one makes the others, which look at the
// samples.
#pragma once

#include "common/window.cuh"
#include "effort/effort.h"

namespace edgesynth {

constexpr int kEffortThreads = 128;
constexpr int kEffortWarps = kEffortThreads / kWarpSize;
constexpr int kWarpFilters = 8;
constexpr int kBlockFilters = kEffortWarps * kWarpFilters;
constexpr int kTileSide = 8;
constexpr int kTilePixels = kTileSide * kTileSide;
constexpr int kStepColumns = 16;

static_assert(kTilePixels == 2 * kWarpSize, "each lane has two neighbouring pixels of the tile");
static_assert(kTileSide % 2 == 0, "the two pixels of a lane lie in one row");
static_assert(kEffortThreads % kTilePixels == 0, "a thread gathers for one pixel in every step");

struct EffortTask {
    EffortConv layer;
    int32_t out_height, out_width;  // P, Q
    int32_t window;                 // weights of a filter in one channel
    int32_t first_phase, phases;    // of this launch
    int32_t tiles[2];               // of a phase, down and right
    EffortCounts* counts;
};

__device__ __forceinline__ char const* BytesOf(EffortTask const& task) {
    return static_cast<char const*>(task.layer.weights);
}

// The layer's order of channels.
__device__ __forceinline__ int32_t const* OrderOf(EffortTask const& task) {
    return reinterpret_cast<int32_t const*>(BytesOf(task) + task.layer.layout.order);
}

__device__ __forceinline__ int32_t Period(EffortTask const& task) {
    return task.layer.knobs.sample_period;
}

// One of the launch's blocks.
struct EffortTile {
    int32_t group, first_filter;  // of the group
    int64_t sample;
    int32_t phase[2];   // rest of the row and of the column
    int32_t corner[2];  // of the tile, in the phase's grid

    // The row or column of the map that `place` of the tile stands for.
    __device__ __forceinline__ int32_t OnMap(EffortTask const& task, int axis,
                                             int32_t place) const {
        return phase[axis] + task.layer.knobs.sample_period * (corner[axis] + place);
    }
    __device__ __forceinline__ bool Exists(EffortTask const& task, int32_t row,
                                           int32_t column) const {
        return OnMap(task, 0, row) < task.out_height && OnMap(task, 1, column) < task.out_width;
    }
};

// Blocks of the same pixels follow each other, so that they share x in the cache.
__device__ __forceinline__ EffortTile TileOf(EffortTask const& task, uint32_t block) {
    ConvShape const& shape = task.layer.shape;
    uint32_t const blocks =
        static_cast<uint32_t>(DivUp(shape.filters / shape.group, kBlockFilters));
    uint32_t const group = static_cast<uint32_t>(shape.group);
    uint32_t const down = static_cast<uint32_t>(task.tiles[0]);
    uint32_t const right = static_cast<uint32_t>(task.tiles[1]);
    EffortTile tile;
    tile.first_filter = static_cast<int32_t>(block % blocks) * kBlockFilters;
    block /= blocks;
    tile.group = static_cast<int32_t>(block % group);
    block /= group;
    tile.corner[1] = static_cast<int32_t>(block % right) * kTileSide;
    block /= right;
    tile.corner[0] = static_cast<int32_t>(block % down) * kTileSide;
    block /= down;
    uint32_t const phases = static_cast<uint32_t>(task.phases);
    int32_t const phase = task.first_phase + static_cast<int32_t>(block % phases);
    tile.phase[0] = phase / task.layer.knobs.sample_period;
    tile.phase[1] = phase % task.layer.knobs.sample_period;
    tile.sample = block / phases;
    return tile;
}

// How many channels are added up at this level of effort.
__device__ __forceinline__ int32_t ChannelsAt(EffortTask const& task, int32_t effort) {
    EffortLayout const& layout = task.layer.layout;
    int32_t const level = effort < 0 ? 0 : effort < layout.levels ? effort : layout.levels - 1;
    return __ldg(reinterpret_cast<int32_t const*>(BytesOf(task) + layout.level_table) + level);
}

// What the computed neighbours of an output that is no sample say.
struct Neighbours {
    bool agree;  // all below sample_below, and within sample_within of each other
    float value;
};

// The four samples around an output, at the map's edge the last ones; bilinear between them.
template <typename T>
__device__ __forceinline__ Neighbours LookAround(EffortTask const& task, T const* map, int32_t row,
                                                 int32_t column) {
    EffortKnobs const& knobs = task.layer.knobs;
    int32_t const period = knobs.sample_period;
    int32_t const top = row - row % period, left = column - column % period;
    int32_t const bottom = top + period < task.out_height ? top + period : top;
    int32_t const right = left + period < task.out_width ? left + period : left;
    float const a = ToFloat(map[top * task.out_width + left]);
    float const b = ToFloat(map[top * task.out_width + right]);
    float const c = ToFloat(map[bottom * task.out_width + left]);
    float const d = ToFloat(map[bottom * task.out_width + right]);
    float const most = fmaxf(fmaxf(a, b), fmaxf(c, d)), least = fminf(fminf(a, b), fminf(c, d));
    bool const numbers = a == a && b == b && c == c && d == d;
    float const down = static_cast<float>(row % period) / static_cast<float>(period);
    float const over = static_cast<float>(column % period) / static_cast<float>(period);
    float const first = fmaf(over, b - a, a), second = fmaf(over, d - c, c);
    return Neighbours{numbers && most < knobs.sample_below && most - least < knobs.sample_within,
                      fmaf(down, second - first, first)};
}

// What LookAround costs: 4 comparisons to see numbers, 6 for the extremes, 2 of them, 1
// subtraction; the value another 6.
constexpr int kLookOperations = 13;
constexpr int kFillOperations = 6;

}  // namespace edgesynth
