// Device code of EsPackedConv: an implicit matrix product.
//
//   y[filter][pixel] = sum over columns of weight[filter][column] * x[column's tap at the pixel]
//
// Pixels are those of all samples in a row. A block makes 64 filters x kPixels pixels. Step by step
// it unpacks some columns of the weights and gathers the same columns of x into shared memory;
// every thread holds a rectangle of the block's results in registers. What the next step needs from
// memory is loaded while this one is multiplied. Where in x a column lies is worked out once per
// step and block, by division, and shared too.
#pragma once

#include "common/epilogue.h"
#include "common/window.cuh"
#include "packed/decode.cuh"
#include "packed/packed.h"

namespace edgesynth {

constexpr int kConvThreads = 128;
constexpr int kConvFilters = 64;
constexpr int kWidePixels = 64;
constexpr int kNarrowPixels = 16;  // for maps so small that 64 would mostly be empty

// What the kernel wants to know of the layer.
struct ConvTask {
    PackedConv layer;
    int32_t out_height, out_width;  // P, Q
    int32_t columns;                // weights of one filter
    int32_t words_per_row;
};

template <typename T, int kBits, int kPixels>
struct ConvTile {
    static_assert(IsPackedWidth(kBits), "packing.py lays out codes of 2, 3, 4 and 8 bits only");
    static constexpr int kCodes = CodesPerWord(kBits);
    static constexpr int kWordOperands = kCodes / Operand<T>::kStep;
    // Of a filter, in one step: about as many as give 16 rows of shared memory.
    static constexpr int kWords = kBits == 8 ? 4 : kWordOperands >= 16 ? 1 : 2;
    static constexpr int kColumns = kWords * kCodes;
    static constexpr int kOperands = kColumns / Operand<T>::kStep;
    static constexpr int kThreadPixels = kPixels == kWidePixels ? 4 : 2;
    static constexpr int kThreadFilters = kConvFilters * kPixels / kConvThreads / kThreadPixels;
    static constexpr int kPixelThreads = kPixels / kThreadPixels;
    static constexpr int kWordLoads = DivUp(kConvFilters * kWords, kConvThreads);
    static constexpr int kGatherStep = kConvThreads / kPixels;
    static constexpr int kGathers = DivUp(kOperands, kGatherStep);
    static constexpr int kStepsUnflushed = kMostUnflushed / kColumns;

    static_assert(kConvThreads % kPixels == 0, "a thread gathers for the same pixel in every step");
    static_assert(kPixelThreads * (kConvFilters / kThreadFilters) == kConvThreads,
                  "the rectangles of all threads cover the block's results exactly once");
    static_assert(kColumns <= kConvThreads, "one thread works out each column's tap");
    static_assert(kStepsUnflushed >= 1, "a step must not add more columns than fp16 may");
};

// The corner of a pixel, which are those of all samples in a row.
template <typename T>
__device__ __forceinline__ Corner<T> CornerOf(ConvTask const& task, T const* x, int32_t group,
                                              int64_t pixel) {
    int32_t const per_map = task.out_height * task.out_width;
    int64_t const sample = pixel / per_map;
    if (sample >= task.layer.shape.samples) return CornerOutside(x);
    int32_t const place = static_cast<int32_t>(pixel % per_map);
    bool const paired = task.layer.order == ChannelOrder::kPaired;
    Corner<T> corner = CornerAt(task.layer.shape, x, paired ? 0 : group, sample,
                                place / task.out_width, place % task.out_width);
    if (paired) corner.distance *= 2;
    return corner;
}

// Of `column` of a filter in `group`. Where channels are in pairs, which may reach over the border
// of two groups, taps and corners count from the start of the sample.
__device__ __forceinline__ int4 TapIn(ConvTask const& task, int32_t group, uint32_t column) {
    ConvShape const& shape = task.layer.shape;
    int4 tap = TapOf(shape, task.columns, column);
    if (task.layer.order == ChannelOrder::kPaired && tap.y != kOutside) {
        uint32_t const window = static_cast<uint32_t>(shape.kernel[0] * shape.kernel[1]);
        int32_t const channel =
            group * (shape.channels / shape.group) + static_cast<int32_t>(column / window);
        tap.x = static_cast<int32_t>(PlaceOf(ChannelOrder::kPaired, channel,
                                             int64_t{tap.y} * shape.width + tap.z,
                                             int64_t{shape.height} * shape.width));
    }
    return tap;
}

template <typename T>
__device__ __forceinline__ uint32_t Gather(ConvShape const& shape, Corner<T> const& corner,
                                           int4 const* taps, int operand) {
    uint32_t bits = LoadTap(shape, corner, taps[operand * Operand<T>::kStep]);
    if (Operand<T>::kStep == 2) bits |= LoadTap(shape, corner, taps[operand * 2 + 1]) << 16;
    return bits;
}

// Words of one step that this thread unpacks, and x that it gathers.
template <typename T, int kBits, int kPixels>
struct ConvStep {
    using Tile = ConvTile<T, kBits, kPixels>;
    uint32_t words[Tile::kWordLoads];
    uint32_t x[Tile::kGathers];

    // `rows`: the words of this thread's filter; null past the last one.
    __device__ __forceinline__ void Load(ConvTask const& task, int32_t const* row,
                                         int32_t first_word, Corner<T> const& corner,
                                         int4 const* taps) {
        int const thread = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int i = 0; i < Tile::kWordLoads; ++i) {
            int32_t const word = first_word + (thread + i * kConvThreads) / kConvFilters;
            bool const exists = row != nullptr && word < task.words_per_row;
            words[i] =
                exists
                    ? static_cast<uint32_t>(__ldg(row + static_cast<int64_t>(word) * kRowsTogether))
                    : 0;
        }
#pragma unroll
        for (int i = 0; i < Tile::kGathers; ++i) {
            int const operand = thread / kPixels + i * Tile::kGatherStep;
            x[i] = operand < Tile::kOperands ? Gather(task.layer.shape, corner, taps, operand) : 0;
        }
    }

    __device__ __forceinline__ void Share(uint32_t* weights, uint32_t* pixels) const {
        int const thread = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int i = 0; i < Tile::kWordLoads; ++i) {
            int const index = thread + i * kConvThreads;
            if (index >= kConvFilters * Tile::kWords) break;
            int const first = index / kConvFilters * Tile::kWordOperands;
#pragma unroll
            for (int k = 0; k < Tile::kWordOperands; ++k) {
                weights[(first + k) * kConvFilters + index % kConvFilters] =
                    Operand<T>::ToBits(Operand<T>::template Decode<kBits>(words[i], k));
            }
        }
#pragma unroll
        for (int i = 0; i < Tile::kGathers; ++i) {
            int const operand = thread / kPixels + i * Tile::kGatherStep;
            if (operand < Tile::kOperands) pixels[operand * kPixels + thread % kPixels] = x[i];
        }
    }
};

template <typename T, int kBits, int kPixels>
__device__ __forceinline__ void MultiplyStep(
    uint32_t const* weights, uint32_t const* pixels,
    Sum<T> (&sums)[ConvTile<T, kBits, kPixels>::kThreadFilters]
                  [ConvTile<T, kBits, kPixels>::kThreadPixels]) {
    using Tile = ConvTile<T, kBits, kPixels>;
#pragma unroll 4
    for (int k = 0; k < Tile::kOperands; ++k) {
        uint32_t a[Tile::kThreadFilters], b[Tile::kThreadPixels];
        LoadShared(weights + k * kConvFilters, a);
        LoadShared(pixels + k * kPixels, b);
#pragma unroll
        for (int i = 0; i < Tile::kThreadFilters * Tile::kThreadPixels; ++i) {
            int const filter = i / Tile::kThreadPixels, pixel = i % Tile::kThreadPixels;
            sums[filter][pixel].Add(Operand<T>::FromBits(a[filter]),
                                    Operand<T>::FromBits(b[pixel]));
        }
    }
}

// Writes the thread's rectangle, whose first filter (of the group) and pixel these are.
template <typename T, int kBits, int kFilters, int kPixels>
__device__ __forceinline__ void WriteRectangle(ConvTask const& task,
                                               Sum<T> const (&sums)[kFilters][kPixels],
                                               int32_t group, int64_t first_filter,
                                               int64_t first_pixel, T const* residual, T* y) {
    PackedConv const& layer = task.layer;
    int32_t const per_map = task.out_height * task.out_width;
    int32_t const per_group = layer.shape.filters / layer.shape.group;
    int64_t sample = first_pixel / per_map;
    int32_t place = static_cast<int32_t>(first_pixel % per_map);
    Epilogue<T> const epilogue{layer.weights.bias, residual, layer.activation};
#pragma unroll
    for (int pixel = 0; pixel < kPixels; ++pixel) {
        if (sample >= layer.shape.samples) return;
#pragma unroll
        for (int i = 0; i < kFilters; ++i) {
            if (first_filter + i < per_group) {
                int64_t const filter = static_cast<int64_t>(group) * per_group + first_filter + i;
                int64_t const index = sample * layer.shape.filters * per_map +
                                      PlaceOf(layer.order, filter, place, per_map);
                float const scale = FractionScale<kBits>(__ldg(layer.weights.scales + filter));
                y[index] = epilogue.Apply(sums[i][pixel].total * scale, filter, index);
            }
        }
        if (++place == per_map) {
            place = 0;
            ++sample;
        }
    }
}

// grid: x has a block for every tile of filters of every group, and again for every tile of pixels.
template <typename T, int kBits, int kPixels>
__global__ void __launch_bounds__(kConvThreads, kPixels == kWidePixels ? 4 : 7)
    PackedConvKernel(ConvTask task, T const* x, T const* residual, T* y) {
    using Tile = ConvTile<T, kBits, kPixels>;
    ES_SHARED(uint32_t, weights, [Tile::kOperands * kConvFilters]);
    ES_SHARED(uint32_t, pixels, [Tile::kOperands * kPixels]);
    ES_SHARED(int4, taps, [Tile::kColumns]);
    ConvShape const& shape = task.layer.shape;
    int const thread = static_cast<int>(threadIdx.x);
    int32_t const per_group = shape.filters / shape.group;
    int32_t const tiles = DivUp(per_group, kConvFilters);
    int32_t const tile =
        static_cast<int32_t>(blockIdx.x % static_cast<uint32_t>(tiles * shape.group));
    int32_t const group = tile / tiles;
    int64_t const first_filter = static_cast<int64_t>(tile % tiles) * kConvFilters;
    int64_t const first_pixel =
        static_cast<int64_t>(blockIdx.x / static_cast<uint32_t>(tiles * shape.group)) * kPixels;

    Corner<T> const corner = CornerOf(task, x, group, first_pixel + thread % kPixels);
    int64_t const filter = first_filter + thread % kConvFilters;
    int64_t const padded = RoundUp(per_group, kRowsTogether);
    int64_t const quad = (group * padded + filter) / kRowsTogether;
    int32_t const* const row = filter < per_group ? task.layer.weights.words +
                                                        quad * task.words_per_row * kRowsTogether +
                                                        filter % kRowsTogether
                                                  : nullptr;

    int const pixel_offset = thread % Tile::kPixelThreads * Tile::kThreadPixels;
    int const filter_offset = thread / Tile::kPixelThreads * Tile::kThreadFilters;
    Sum<T> sums[Tile::kThreadFilters][Tile::kThreadPixels];
#pragma unroll
    for (int i = 0; i < Tile::kThreadFilters * Tile::kThreadPixels; ++i) {
        sums[i / Tile::kThreadPixels][i % Tile::kThreadPixels].Clear();
    }

    ConvStep<T, kBits, kPixels> step;
    uint32_t const column = static_cast<uint32_t>(thread);
    if (thread < Tile::kColumns) taps[thread] = TapIn(task, group, column);
    __syncthreads();
    step.Load(task, row, 0, corner, taps);
    __syncthreads();  // all have read the taps
    int unflushed = 0;
    for (int32_t word = 0; word < task.words_per_row; word += Tile::kWords) {
        int32_t const next = word + Tile::kWords;
        step.Share(weights, pixels);
        if (thread < Tile::kColumns) {
            taps[thread] = TapIn(task, group, static_cast<uint32_t>(next) * Tile::kCodes + column);
        }
        __syncthreads();
        if (next < task.words_per_row) step.Load(task, row, next, corner, taps);
        MultiplyStep<T, kBits, kPixels>(weights + filter_offset, pixels + pixel_offset, sums);
        if (++unflushed == Tile::kStepsUnflushed || next >= task.words_per_row) {
            unflushed = 0;
#pragma unroll
            for (int i = 0; i < Tile::kThreadFilters * Tile::kThreadPixels; ++i) {
                sums[i / Tile::kThreadPixels][i % Tile::kThreadPixels].Flush();
            }
        }
        __syncthreads();  // all have read what the next step overwrites
    }
    WriteRectangle<T, kBits>(task, sums, group, first_filter + filter_offset,
                             first_pixel + pixel_offset, residual, y);
}

}  // namespace edgesynth
