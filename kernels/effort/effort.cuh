// Device code of EsEffortConv: an implicit matrix product whose warps stop early.
//
//   y[filter][pixel] = sum over columns of weight[filter][column] * x[column's tap at the pixel]
//
// What is left out is left out by warps: a filter whose 64 outputs are all decided is no longer
// multiplied (a branch that all lanes take alike), a warp without filters only helps to gather, and
// when no warp has any the block ends.
#pragma once

#include "effort/means.cuh"

namespace edgesynth {

// Looks for outputs that need no more channels than the first `rank`.
template <typename T>
__device__ __forceinline__ void LookForSaturation(EffortTask const& task, int32_t rank,
                                                  EffortWarp<T>* warp) {
    EffortLayout const& layout = task.layer.layout;
    float const* const thresholds =
        reinterpret_cast<float const*>(BytesOf(task) + layout.thresholds);
    int32_t const* const settled = reinterpret_cast<int32_t const*>(BytesOf(task) + layout.settled);
    bool const exact = task.layer.knobs.saturation == Saturation::kExact;
#pragma unroll
    for (int f = 0; f < kWarpFilters; ++f) {
        if ((warp->alive >> f & 1u) == 0) continue;
        int32_t const filter = warp->first_filter + f;
        if (exact && __ldg(settled + filter) > rank) continue;
        float const bias = task.layer.bias == nullptr ? 0.0f : __ldg(task.layer.bias + filter);
        float2 const sum = warp->sums[f].Total();
        float const limit = exact ? 0.0f : __ldg(thresholds + filter);
        float const first = sum.x + bias, second = sum.y + bias;
        // What is NaN is neither below nor equal.
        bool const ends[2] = {exact ? first <= limit : first < limit,
                              exact ? second <= limit : second < limit};
        warp->checks += warp->Pixels();
        if (!exact) {
            warp->predicted |= static_cast<uint32_t>(ends[0]) << (2 * f);
            warp->predicted |= static_cast<uint32_t>(ends[1]) << (2 * f + 1);
        }
        bool const done =
            (ends[0] || (warp->exists & 1u) == 0) && (ends[1] || (warp->exists & 2u) == 0);
        if (__all_sync(kFullMask, done)) warp->alive &= ~(1u << f);
    }
}

// Leaves out the filters whose outputs here can all be told from the samples around them. `at`: row
// and column of the first of the lane's two outputs.
template <typename T>
__device__ __forceinline__ void LookAtSamples(EffortTask const& task, int32_t const (&at)[2],
                                              T const* maps, EffortWarp<T>* warp) {
#pragma unroll 1
    for (int f = 0; f < kWarpFilters; ++f) {
        if ((warp->alive >> f & 1u) == 0) continue;
        T const* const map = maps + static_cast<int64_t>(f) * task.out_height * task.out_width;
        bool fills[2];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            bool const exists = (warp->exists >> i & 1u) != 0;
            fills[i] = exists && LookAround(task, map, at[0], at[1] + i * Period(task)).agree;
            warp->checks += static_cast<unsigned int>(kFillOperations *
                                                      __popc(__ballot_sync(kFullMask, fills[i])));
            fills[i] = fills[i] || !exists;
        }
        warp->checks += kLookOperations * warp->Pixels();
        if (__all_sync(kFullMask, fills[0] && fills[1])) warp->alive &= ~(1u << f);
    }
}

// Writes the warp's outputs; those of a launch that follows the samples may be told from them.
template <typename T>
__device__ __forceinline__ void WriteOutputs(EffortTask const& task, EffortWarp<T>& warp,
                                             int32_t filters, int32_t const (&at)[2], T* maps) {
    Epilogue<T> const epilogue{task.layer.bias, nullptr, task.layer.activation};
    warp.Flush();
#pragma unroll
    for (int f = 0; f < kWarpFilters; ++f) {
        if (f >= filters) break;
        T* const map = maps + static_cast<int64_t>(f) * task.out_height * task.out_width;
        float2 const sum = warp.sums[f].Total();
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            if ((warp.exists >> i & 1u) == 0) continue;
            int32_t const column = at[1] + i * Period(task);
            T value = epilogue.Apply(i == 0 ? sum.x : sum.y, warp.first_filter + f, 0);
            if ((warp.predicted >> (2 * f + i) & 1u) != 0) value = FromFloat<T>(0.0f);
            if (task.first_phase != 0) {
                Neighbours const around = LookAround(task, map, at[0], column);
                if (around.agree) value = FromFloat<T>(around.value);
            }
            map[at[0] * task.out_width + column] = value;
        }
    }
}

// The warp's part of the tile: nothing added up yet.
template <typename T>
__device__ __forceinline__ EffortWarp<T> StartWarp(EffortTask const& task, EffortTile const& tile,
                                                   int32_t filters, int32_t row, int32_t column) {
    EffortWarp<T> warp;
#pragma unroll
    for (int f = 0; f < kWarpFilters; ++f) warp.sums[f].Clear();
    warp.alive = (1u << filters) - 1u;
    warp.predicted = 0;
    warp.exists = 0;
    warp.pixels = 0;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        bool const exists = tile.Exists(task, row, column + i);
        warp.exists |= static_cast<uint32_t>(exists) << i;
        warp.pixels += __popc(__ballot_sync(kFullMask, exists));
    }
    warp.first_filter = 0;
    warp.products = 0;
    warp.checks = 0;
    return warp;
}

// grid: x has a block for every 32 filters of every group, and again for every tile, phase, sample.
template <typename T, bool kMeans>
__global__ void __launch_bounds__(kEffortThreads, 4)
    EffortConvKernel(EffortTask task, T const* x, int32_t const* effort, T* y) {
    ES_SHARED(T, columns, [kStepColumns * kTilePixels]);
    ES_SHARED(T, weights, [kEffortWarps * kStepColumns * kWarpFilters]);
    ES_SHARED(int4, taps, [kStepColumns]);
    ES_SHARED(int32_t, rows, [kStepColumns]);
    ES_SHARED(float, values, [kMeans ? kMeanChannels * kTilePixels : 1]);
    ES_SHARED(uint8_t, similar, [kMeans ? kMeanChannels * kTilePixels : 1]);
    ES_SHARED(int32_t, votes, [kMeanChannels * (kTilePixels / kWarpSize)]);
    ES_SHARED(int32_t, ends, [kMeanChannels]);
    EffortShared<T> const shared{columns, weights, taps, rows};
    EffortMeans const means{values, similar, votes, ends};
    ConvShape const& shape = task.layer.shape;
    EffortTile const tile = TileOf(task, blockIdx.x);
    int const thread = static_cast<int>(threadIdx.x), pixel = thread % kTilePixels;
    Corner<T> corner = CornerOutside(x);
    if (tile.Exists(task, pixel / kTileSide, pixel % kTileSide)) {
        corner = CornerAt(shape, x, tile.group, tile.sample, tile.OnMap(task, 0, pixel / kTileSide),
                          tile.OnMap(task, 1, pixel % kTileSide));
    }

    int32_t const per_group = shape.filters / shape.group;
    int32_t const first = tile.first_filter + thread / kWarpSize * kWarpFilters;
    int32_t const filters = max(0, min(kWarpFilters, per_group - first));
    int32_t const place[2] = {2 * LaneId() / kTileSide, 2 * LaneId() % kTileSide};
    int32_t const at[2] = {tile.OnMap(task, 0, place[0]), tile.OnMap(task, 1, place[1])};
    EffortWarp<T> warp = StartWarp<T>(task, tile, filters, place[0], place[1]);
    warp.first_filter = tile.group * per_group + first;
    T* const maps = y + (tile.sample * shape.filters + warp.first_filter) *
                            (static_cast<int64_t>(task.out_height) * task.out_width);
    if (task.first_phase != 0) LookAtSamples(task, at, maps, &warp);

    EffortKnobs const& knobs = task.layer.knobs;
    int32_t const channels = ChannelsAt(task, __ldg(effort));
    bool const looks = knobs.saturation != Saturation::kOff;
    for (int32_t rank = 0; rank < channels && __syncthreads_or(warp.alive != 0);) {
        bool const looks_again = looks && (rank == 0 || knobs.saturation == Saturation::kExact);
        int32_t const next = looks_again ? min(channels, rank + knobs.prefix_channels) : channels;
        if (kMeans) {
            AddChannelsOrMeans(task, tile, shared, means, corner, rank, next, &warp);
        } else {
            AddChannels(task, tile, shared, corner, rank, next, &warp);
        }
        rank = next;
        if (looks_again && rank < channels) LookForSaturation(task, rank, &warp);
    }
    WriteOutputs(task, warp, filters, at, maps);
    if (task.counts != nullptr && LaneId() == 0) {
        atomicAdd(&task.counts->products, warp.products);
        atomicAdd(&task.counts->checks, warp.checks);
    }
}

}  // namespace edgesynth
