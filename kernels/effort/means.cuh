// Device code of EsEffortConv for similar windows: where the greatest and the least number of a
// channel's window differ by no more than the layer's limit, all of them count as their mean. Where
// that is so for all 64 pixels of a block, the channel is one column instead of a window of them.
#pragma once

#include "effort/columns.cuh"

namespace edgesynth {

constexpr int kMeanChannels = 8;  // whose windows are looked at together

// What was seen in them.
struct EffortMeans {
    float* values;     // [kMeanChannels][kTilePixels]
    uint8_t* similar;  // the same: does the window count as its mean?
    int32_t* votes;    // [kMeanChannels][kTilePixels / kWarpSize]: do those of these pixels?
    int32_t* ends;     // [kMeanChannels]: columns up to the channel, itself included
};

// Looks at one window. Padding is part of it, and a pixel that is none has padding alone.
template <typename T>
__device__ __forceinline__ float MeanOf(EffortTask const& task, Corner<T> const& channel,
                                        bool* similar) {
    ConvShape const& shape = task.layer.shape;
    float const infinity = __uint_as_float(0x7F800000u);
    float most = -infinity, least = infinity, sum = 0.0f;
    for (int32_t row = 0; row < shape.kernel[0]; ++row) {
        for (int32_t column = 0; column < shape.kernel[1]; ++column) {
            int32_t const down = row * shape.dilations[0], right = column * shape.dilations[1];
            uint32_t const distance =
                static_cast<uint32_t>(down) * static_cast<uint32_t>(shape.width) +
                static_cast<uint32_t>(right);
            int4 const tap = make_int4(static_cast<int32_t>(distance), down, right, 0);
            float const x = ToFloat(NumberOf<T>(LoadInput(task, channel, tap)));
            most = fmaxf(most, x);
            least = fminf(least, x);
            sum += x;
        }
    }
    // With NaN or infinity in the window `sum` is one of them, and the difference is NaN.
    *similar = sum - sum == 0.0f && most - least <= task.layer.knobs.similarity;
    return sum / static_cast<float>(task.window);
}

// Of the channels first <= rank < first + channels. Every thread takes part.
template <typename T>
__device__ __forceinline__ void LookAtWindows(EffortTask const& task, Corner<T> const& corner,
                                              int32_t first, int32_t channels,
                                              EffortMeans const& means) {
    constexpr int kVotes = kTilePixels / kWarpSize;
    int const thread = static_cast<int>(threadIdx.x), pixel = thread % kTilePixels;
    int64_t const plane = int64_t{task.layer.shape.height} * task.layer.shape.width;
    for (int i = thread / kTilePixels; i < channels; i += kEffortThreads / kTilePixels) {
        Corner<T> channel = corner;
        channel.channels += __ldg(OrderOf(task) + first + i) * plane;
        bool similar;
        means.values[i * kTilePixels + pixel] = MeanOf(task, channel, &similar);
        means.similar[i * kTilePixels + pixel] = similar;
        bool const all = __all_sync(kFullMask, similar);
        if (LaneId() == 0) means.votes[i * kVotes + pixel / kWarpSize] = all;
    }
    __syncthreads();
    if (thread < channels) {
        int32_t end = 0;
        for (int i = 0; i <= thread; ++i) {
            bool all = true;
            for (int k = 0; k < kVotes; ++k) all = all && means.votes[i * kVotes + k] != 0;
            end += all ? 1 : task.window;
        }
        means.ends[thread] = end;
    }
    __syncthreads();
}

// Adds the channels first <= rank < last of the layer's order.
template <typename T>
__device__ __forceinline__ void AddChannelsOrMeans(EffortTask const& task, EffortTile const& tile,
                                                   EffortShared<T> const& shared,
                                                   EffortMeans const& means,
                                                   Corner<T> const& corner, int32_t first,
                                                   int32_t last, EffortWarp<T>* warp) {
    ConvShape const& shape = task.layer.shape;
    int32_t const columns = shape.channels / shape.group * task.window;
    int const thread = static_cast<int>(threadIdx.x);
    auto const at = [&](int k, int pixel) {
        int4 const tap = shared.taps[k];
        int const place = tap.w * kTilePixels + pixel;
        if (means.similar[place] != 0) return BitsOf(FromFloat<T>(means.values[place]));
        return LoadInput(task, corner, tap);
    };
    for (int32_t base = first; base < last; base += kMeanChannels) {
        int32_t const channels = min(kMeanChannels, last - base);
        LookAtWindows(task, corner, base, channels, means);
        if (thread < kWarpSize) {  // once for all filters of the block
            warp->checks +=
                static_cast<unsigned int>(channels * (3 * task.window + 2)) * warp->Pixels();
        }
        int32_t const end = means.ends[channels - 1];
        for (int32_t column = 0; column < end; column += kStepColumns) {
            int const count = static_cast<int>(min(kStepColumns, end - column));
            if (thread < count) {
                int32_t const mine = column + thread;
                int i = 0;
                while (mine >= means.ends[i]) ++i;
                int32_t const begin = i == 0 ? 0 : means.ends[i - 1];
                bool const mean = means.ends[i] - begin == 1;
                int32_t const channel = __ldg(OrderOf(task) + base + i);
                int4 tap = TapOf(shape, columns,
                                 static_cast<uint32_t>(channel * task.window + mine - begin));
                tap.w = i;
                shared.taps[thread] = tap;
                shared.rows[thread] =
                    mean ? columns + base + i : (base + i) * task.window + mine - begin;
            }
            Step(task, tile, shared, count, at, warp);
            warp->Flush();
        }
    }
}

}  // namespace edgesynth
