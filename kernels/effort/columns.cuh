// Device code of EsEffortConv: a block gathers 16 columns of x for its 64 pixels into shared
// memory, and each of its four warps adds them to 8 filters of its own, two pixels a lane.
#pragma once

#include "common/epilogue.h"
#include "common/warp.h"
#include "effort/sums.cuh"
#include "effort/task.cuh"

namespace edgesynth {

// Shared memory of a block.
template <typename T>
struct EffortShared {
    T* x;           // [kStepColumns][kTilePixels]
    T* weights;     // [kEffortWarps][kStepColumns][kWarpFilters]
    int4* taps;     // [kStepColumns]
    int32_t* rows;  // [kStepColumns], of the weights
};

// The warp's results, and which of them are still to be computed.
template <typename T>
struct EffortWarp {
    EffortSum<T> sums[kWarpFilters];
    uint32_t alive;        // a bit for every filter that is; the same in all lanes
    uint32_t predicted;    // 2 * filter + pixel of this lane: its output is 0
    uint32_t exists;       // bit 0 and 1: are the lane's two pixels outputs?
    int32_t pixels;        // of the tile that are
    int32_t first_filter;  // of the layer
    unsigned long long products, checks;

    __device__ __forceinline__ unsigned int Pixels() const {
        return static_cast<unsigned int>(pixels);
    }
    __device__ __forceinline__ void Flush() {
#pragma unroll
        for (int i = 0; i < kWarpFilters; ++i) sums[i].Flush();
    }
};

// Columns for which a filter is asked once whether it still counts.
constexpr int kUnrolledColumns = 4;
static_assert(kStepColumns % kUnrolledColumns == 0,
              "rows beyond the last column of a step are zero");

// Adds `count` columns, which lie in shared memory; those of the step beyond them are zero.
template <typename T>
__device__ __forceinline__ void Multiply(EffortShared<T> const& shared, int count,
                                         EffortWarp<T>* warp) {
    using Pair = typename EffortSum<T>::Pair;
    int const lane = LaneId();
    T const* const weights =
        shared.weights + static_cast<int>(threadIdx.x) / kWarpSize * (kStepColumns * kWarpFilters);
    uint32_t const alive = warp->alive;
    if (alive == 0) return;
    for (int k = 0; k < count; k += kUnrolledColumns) {
        T w[kUnrolledColumns][kWarpFilters];
        Pair x[kUnrolledColumns];
#pragma unroll
        for (int i = 0; i < kUnrolledColumns; ++i) {
            LoadEight(weights + (k + i) * kWarpFilters, w[i]);
            x[i] = reinterpret_cast<Pair const*>(shared.x + (k + i) * kTilePixels)[lane];
        }
#pragma unroll
        for (int f = 0; f < kWarpFilters; ++f) {
            if ((alive >> f & 1u) == 0) continue;
#pragma unroll
            for (int i = 0; i < kUnrolledColumns; ++i) warp->sums[f].Add(w[i][f], x[i]);
        }
    }
}

// Brings the warp's weights of the step's columns to shared memory; zero beyond `count`.
template <typename T>
__device__ __forceinline__ void LoadWeights(EffortTask const& task, EffortTile const& tile,
                                            EffortShared<T> const& shared, int count,
                                            bool anything) {
    if (!anything) return;
    ConvShape const& shape = task.layer.shape;
    int const warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = LaneId();
    int64_t const together =
        static_cast<int64_t>(tile.group) * DivUp(shape.filters / shape.group, kWarpFilters) +
        tile.first_filter / kWarpFilters + warp;
    T const* const from = static_cast<T const*>(task.layer.weights) +
                          together * task.layer.layout.rows * kWarpFilters;
    int const k = lane / 2, half_of = lane % 2 * 4;
    T* const to = shared.weights + (warp * kStepColumns + k) * kWarpFilters + half_of;
    static_assert(kStepColumns * kWarpFilters == 4 * kWarpSize, "each lane copies four weights");
    if (k < count) {
        CopyFour(from + static_cast<int64_t>(shared.rows[k]) * kWarpFilters + half_of, to);
    } else {
        ClearFour(to);
    }
}

// x at a tap, as bits; 0 where it is too small to count.
template <typename T>
__device__ __forceinline__ uint32_t LoadInput(EffortTask const& task, Corner<T> const& corner,
                                              int4 tap) {
    uint32_t const bits = LoadTap(task.layer.shape, corner, tap);
    return fabsf(ToFloat(NumberOf<T>(bits))) < task.layer.knobs.input_threshold ? 0 : bits;
}

// Adds the columns that `shared.taps` and `shared.rows` describe; at(k, pixel) is x at the k-th of
// them, as bits. Every thread takes part.
template <typename T, typename At>
__device__ __forceinline__ void Step(EffortTask const& task, EffortTile const& tile,
                                     EffortShared<T> const& shared, int count, At const& at,
                                     EffortWarp<T>* warp) {
    int const thread = static_cast<int>(threadIdx.x), pixel = thread % kTilePixels;
    __syncthreads();  // taps are written, and the last step's columns are read
#pragma unroll
    for (int i = 0; i < kStepColumns * kTilePixels / kEffortThreads; ++i) {
        int const k = thread / kTilePixels + i * (kEffortThreads / kTilePixels);
        uint32_t const bits = k < count ? at(k, pixel) : 0;
        shared.x[k * kTilePixels + pixel] = NumberOf<T>(bits);
    }
    LoadWeights(task, tile, shared, count, warp->alive != 0);
    __syncthreads();
    Multiply(shared, count, warp);
    warp->products += static_cast<unsigned int>(__popc(warp->alive) * count) * warp->Pixels();
}

// Adds the channels first <= rank < last of the layer's order.
template <typename T>
__device__ __forceinline__ void AddChannels(EffortTask const& task, EffortTile const& tile,
                                            EffortShared<T> const& shared, Corner<T> const& corner,
                                            int32_t first, int32_t last, EffortWarp<T>* warp) {
    ConvShape const& shape = task.layer.shape;
    int32_t const columns = shape.channels / shape.group * task.window;
    int32_t const end = last * task.window;
    int const thread = static_cast<int>(threadIdx.x);
    for (int32_t column = first * task.window; column < end;) {
        // Steps end at multiples of 16 wherever they begin, so that fp16 rounds at the same places.
        int32_t const next = min(end, (column / kStepColumns + 1) * kStepColumns);
        int const count = static_cast<int>(next - column);
        if (thread < count) {
            int32_t const mine = column + thread;
            int32_t const channel = __ldg(OrderOf(task) + mine / task.window);
            shared.taps[thread] = TapOf(
                shape, columns, static_cast<uint32_t>(channel * task.window + mine % task.window));
            shared.rows[thread] = mine;
        }
        Step(
            task, tile, shared, count,
            [&](int k, int) { return LoadInput(task, corner, shared.taps[k]); }, warp);
        if (next % kStepColumns == 0) warp->Flush();
        column = next;
    }
}

}  // namespace edgesynth
