// Device code of EsSparseConv.
//
// SparseConvKernel is a direct convolution (no lowering; after Escoin: Chen, arXiv:1802.10280). A
// block has a tile of outputs and some slots (filters, sorted by their weights). Panel by panel it
// brings the tile's input to shared memory, with the padding as zeros, so that the inner loop knows
// no borders: a weight is a number and an offset, the same for all lanes, and every lane applies it
// to all of its positions. A warp keeps the sums of its slots in registers through all panels.
//
// SparseConvDirectKernel reads its input from global memory and takes every shape: those whose
// tiles are too large for shared memory, and groups of few filters, which share no input.
#pragma once

#include "sparse/entries.cuh"
#include "sparse/tile.h"

namespace edgesynth {

constexpr int kConvThreads = kConvWarps * kWarpSize;

// Blocks that an SM has registers for. The wide fp16 tile takes the 80 that three leave to a
// thread; for Volta and later the compiler wants a few more, and there are more SMs to fill.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 700
constexpr int kConvBlocks = 2;
#else
constexpr int kConvBlocks = 3;
#endif

static_assert(kTileLanes == kWarpSize, "a row of positions is one warp");
static_assert(kTileBytes <= 65536, "offsets of shared memory have 16 bits");

// ConvShape as kernels want it. For the staged kernel the extents may be those of Flattened().
struct SparseConvWork {
    int32_t samples, channels, group;
    ChannelOrder order;
    int32_t height, width, input_plane;
    int32_t rows, columns, output_plane;
    int32_t kernel_height, kernel_width;
    int32_t stride_down, stride_right, pad_top, pad_left, dilation_down, dilation_right;
};

// An entry as a warp hands it round: the weight and where its input lies.
struct StagedEntry {
    int weight;
    int offset;
};

struct TileOrigin {
    int32_t sample;
    int32_t row, column;  // of the first output
};

__device__ __forceinline__ TileOrigin OriginOf(SparseConvTile const& tile, int halves) {
    int32_t const index = static_cast<int32_t>(blockIdx.x);
    int32_t const line = index / tile.across;
    return TileOrigin{line / tile.down, line % tile.down * tile.height * halves,
                      index % tile.across * tile.width};
}

// The offset in shared memory, in bytes, of every column of a panel.
__device__ __forceinline__ void FillOffsets(SparseConvWork const& work, SparseConvTile const& tile,
                                            int32_t panel_columns, uint16_t* offsets) {
    int32_t const taps = work.kernel_height * work.kernel_width;
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < panel_columns; i += kConvThreads) {
        int32_t const tap = i % taps;
        int32_t const row = tap / work.kernel_width * work.dilation_down;
        int32_t const column = tap % work.kernel_width * work.dilation_right;
        offsets[i] = static_cast<uint16_t>(
            4 * (i / taps * static_cast<int32_t>(tile.plane) + row * tile.pitch +
                 column % work.stride_right * tile.phase_pitch + column / work.stride_right));
    }
}

// Is there an input at row y, column x? The last row of a flattened plane may be partial.
__device__ __forceinline__ bool IsInside(SparseConvWork const& work, int32_t y, int32_t x) {
    return y >= 0 && y < work.height && x >= 0 && x < work.width &&
           static_cast<uint32_t>(y) * static_cast<uint32_t>(work.width) + static_cast<uint32_t>(x) <
               static_cast<uint32_t>(work.input_plane);
}

// How far apart neighbouring pixels of a channel lie, as a power of two.
__device__ __forceinline__ int PixelShift(SparseConvWork const& work) {
    return static_cast<int>(work.order);
}

// The input of the tile, channels first .. first + count of x, which is one image. As many lanes
// share a row as the tile is wide.
template <typename T>
__device__ __forceinline__ void StageInput(SparseConvWork const& work, SparseConvTile const& tile,
                                           TileOrigin const& origin, T const* x, int32_t first,
                                           int32_t count, typename Lanes<T>::Element* shared) {
    int32_t const lane = static_cast<int32_t>(threadIdx.x) % tile.width;
    int32_t const step = kConvThreads / tile.width;
    int32_t const top = origin.row * work.stride_down - work.pad_top;
    int32_t const left = origin.column * work.stride_right - work.pad_left;
    for (int32_t line = static_cast<int32_t>(threadIdx.x) / tile.width;
         line < count * tile.input_height; line += step) {
        int32_t const channel = line / tile.input_height;
        int32_t const row = line - channel * tile.input_height;
        T const* const plane = x + PlaceOf(work.order, first + channel, 0, work.input_plane);
        typename Lanes<T>::Element* const to =
            shared + channel * static_cast<int32_t>(tile.plane) + row * tile.pitch;
#pragma unroll 1
        for (int32_t i = lane; i < tile.input_width; i += tile.width) {
            T values[Lanes<T>::kCount];
#pragma unroll
            for (int half_tile = 0; half_tile < Lanes<T>::kCount; ++half_tile) {
                int32_t const y = top + row + half_tile * tile.height * work.stride_down;
                values[half_tile] =
                    IsInside(work, y, left + i)
                        ? Load(plane + ((y * work.width + left + i) << PixelShift(work)))
                        : FromFloat<T>(0.0f);
            }
            int32_t const column =
                work.stride_right == 1
                    ? i
                    : i % work.stride_right * tile.phase_pitch + i / work.stride_right;
            to[column] = Lanes<T>::Pack(values);
        }
    }
}

// Adds the entries `begin` to `end` of `staged`, which are those of one slot, to its sums.
template <typename T, int kPositions>
__device__ __forceinline__ void AddEntries(StagedEntry const* staged, int32_t begin, int32_t end,
                                           char const* input, int32_t step,
                                           typename Lanes<T>::Sum (&sums)[kPositions]) {
    using Element = typename Lanes<T>::Element;
    Element chains[kPositions];
#pragma unroll
    for (int i = 0; i < kPositions; ++i) chains[i] = Lanes<T>::Zero();
#pragma unroll 2
    for (int32_t e = begin; e < end; ++e) {
        int2 const entry = *reinterpret_cast<int2 const*>(staged + e);
        Element const weight = Lanes<T>::FromWord(entry.x);
#pragma unroll
        for (int i = 0; i < kPositions; ++i) {
            Element const x = *reinterpret_cast<Element const*>(input + (entry.y + i * step));
            chains[i] = Lanes<T>::Multiply(weight, x, chains[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < kPositions; ++i) sums[i] = Lanes<T>::Add(sums[i], chains[i]);
}

// Adds one panel to the sums of the warp's slots, whose entries lie one after the other: 32 at a
// time, so that one load and one look-up serve all lanes.
template <typename T, int kPositions, int kSlots>
__device__ __forceinline__ void AddPanel(SparseView<T> const& weights, int32_t const* starts,
                                         int32_t slots, uint16_t const* offsets,
                                         StagedEntry* staged, char const* input, int32_t step,
                                         typename Lanes<T>::Sum (&sums)[kSlots][kPositions]) {
    int32_t bounds[kSlots + 1];
#pragma unroll
    for (int s = 0; s <= kSlots; ++s) bounds[s] = __ldg(starts + (s < slots ? s : slots));
    int const lane = LaneId();
#pragma unroll 1
    for (int32_t base = bounds[0]; base < bounds[kSlots]; base += kWarpSize) {
        int32_t const left = bounds[kSlots] - base;
        if (lane < left) {
            int const weight = Lanes<T>::ToWord(Load(weights.values + base + lane));
            int const offset = offsets[__ldg(weights.columns + base + lane)];
            *reinterpret_cast<int2*>(staged + lane) = make_int2(weight, offset);
        }
        __syncwarp();
#pragma unroll
        for (int s = 0; s < kSlots; ++s) {
            int32_t const begin = max(bounds[s] - base, 0);
            int32_t const end = min(bounds[s + 1] - base, static_cast<int32_t>(kWarpSize));
            if (begin < end) AddEntries<T, kPositions>(staged, begin, end, input, step, sums[s]);
        }
        __syncwarp();
    }
}

template <typename T, int kPositions, int kSlots>
__device__ __forceinline__ void WriteTile(SparseConvWork const& work, SparseConvTile const& tile,
                                          TileOrigin const& origin, SparseView<T> const& weights,
                                          int32_t slot, int32_t slots,
                                          typename Lanes<T>::Sum const (&sums)[kSlots][kPositions],
                                          Epilogue<T> const& epilogue, T* y) {
    int32_t const column = origin.column + LaneId() % tile.width;
#pragma unroll
    for (int i = 0; i < kPositions; ++i) {
        int32_t const line = LaneId() / tile.width * kPositions + i;
#pragma unroll
        for (int half_tile = 0; half_tile < Lanes<T>::kCount; ++half_tile) {
            int32_t const row = origin.row + half_tile * tile.height + line;
            // Unsigned: behind the last pixel of a flattened plane it may reach 2^31.
            uint32_t const at = static_cast<uint32_t>(row) * static_cast<uint32_t>(work.columns) +
                                static_cast<uint32_t>(column);
            bool const exists = row < work.rows && column < work.columns &&
                                at < static_cast<uint32_t>(work.output_plane);
#pragma unroll
            for (int s = 0; s < kSlots; ++s) {
                if (!exists || s >= slots) continue;
                int32_t const filter = __ldg(weights.rows + slot + s);
                int64_t const index = int64_t{origin.sample} * weights.slots * work.output_plane +
                                      PlaceOf(work.order, filter, at, work.output_plane);
                y[index] = epilogue.Apply(Lanes<T>::Get(sums[s][i], half_tile), filter, index);
            }
        }
    }
}

// grid.x: tiles of all images. grid.y: blocks of kConvWarps * kSlots slots, group after group.
template <typename T, int kPositions, int kSlots>
__global__ void __launch_bounds__(kConvThreads, kConvBlocks)
    SparseConvKernel(SparseConvWork work, SparseConvTile tile, SparseView<T> weights, T const* x,
                     Epilogue<T> epilogue, T* y) {
    static_assert(kSlots == SlotsOfWarp(kPositions), "the launcher counts blocks by SlotsOfWarp");
    using Element = typename Lanes<T>::Element;
    ES_SHARED(StagedEntry, staged, [kConvWarps][kWarpSize]);
    ES_DYNAMIC_SHARED(Element, input);
    int32_t const taps = work.kernel_height * work.kernel_width;
    int32_t const in_panel = weights.panel_columns / taps;  // channels
    uint16_t* const offsets = reinterpret_cast<uint16_t*>(input + in_panel * tile.plane);
    FillOffsets(work, tile, weights.panel_columns, offsets);

    int const warp = static_cast<int>(threadIdx.x) / kWarpSize;
    int32_t const in_group = weights.slots / work.group;
    int32_t const blocks = (in_group + kConvWarps * kSlots - 1) / (kConvWarps * kSlots);
    int32_t const group = static_cast<int32_t>(blockIdx.y) / blocks;
    int32_t const place = static_cast<int32_t>(blockIdx.y) % blocks * kConvWarps * kSlots;
    int32_t const slot = group * in_group + place + warp * kSlots;
    int32_t const slots = max(0, min(kSlots, in_group - place - warp * kSlots));

    TileOrigin const origin = OriginOf(tile, Lanes<T>::kCount);
    int32_t const group_channels = work.channels / work.group;
    T const* const image = x + int64_t{origin.sample} * work.channels * work.input_plane;
    // Of the lane's first output, in bytes; the next ones are `step` on.
    int32_t const step = 4 * work.stride_down * tile.pitch;
    int32_t const own = 4 * (LaneId() / tile.width * kPositions * work.stride_down * tile.pitch +
                             LaneId() % tile.width);
    char const* const first_input = reinterpret_cast<char const*>(input) + own;
    typename Lanes<T>::Sum sums[kSlots][kPositions];
#pragma unroll
    for (int i = 0; i < kPositions; ++i) {
#pragma unroll
        for (int s = 0; s < kSlots; ++s) SetZero(&sums[s][i]);
    }
#pragma unroll 1
    for (int32_t panel = 0; panel < weights.panels; ++panel) {
        int32_t const first = panel * in_panel;
        __syncthreads();
        StageInput(work, tile, origin, image, group * group_channels + first,
                   min(in_panel, group_channels - first), input);
        __syncthreads();
        if (slots > 0) {
            int32_t const* const starts =
                weights.starts + static_cast<int64_t>(panel) * weights.slots + slot;
            AddPanel<T, kPositions, kSlots>(weights, starts, slots, offsets, staged[warp],
                                            first_input, step, sums);
        }
    }
    WriteTile<T, kPositions, kSlots>(work, tile, origin, weights, slot, slots, sums, epilogue, y);
}

// An entry for any lane: the weight, its channel's plane, and its place in the window.
struct alignas(16) DirectEntry {
    float weight;
    int32_t plane, down, right;
};

template <typename T>
__device__ __forceinline__ DirectEntry Decode(SparseConvWork const& work,
                                              SparseView<T> const& weights, int32_t entry,
                                              int32_t panel, int32_t first_channel) {
    int32_t const taps = work.kernel_height * work.kernel_width;
    int32_t const column = panel * weights.panel_columns + __ldg(weights.columns + entry);
    int32_t const tap = column % taps;
    return DirectEntry{LoadFloat(weights.values + entry),
                       static_cast<int32_t>(
                           PlaceOf(work.order, first_channel + column / taps, 0, work.input_plane)),
                       tap / work.kernel_width * work.dilation_down,
                       tap % work.kernel_width * work.dilation_right};
}

// The sum of one output; `x` is its image. All lanes of a warp have the same slot.
template <typename T>
__device__ __forceinline__ float SumDirect(SparseConvWork const& work, SparseView<T> const& weights,
                                           T const* x, int32_t slot, int32_t output,
                                           DirectEntry* staged) {
    int const lane = LaneId();
    int32_t const row = output / work.columns;
    int32_t const top = row * work.stride_down - work.pad_top;
    int32_t const left = (output - row * work.columns) * work.stride_right - work.pad_left;
    int32_t const first_channel =
        slot / (weights.slots / work.group) * (work.channels / work.group);
    float sum = 0.0f;
    for (int32_t panel = 0; panel < weights.panels; ++panel) {
        int32_t const* const starts =
            weights.starts + static_cast<int64_t>(panel) * weights.slots + slot;
        int32_t const end = __ldg(starts + 1);
        for (int32_t base = __ldg(starts); base < end; base += kWarpSize) {
            int32_t const count = min(end - base, static_cast<int32_t>(kWarpSize));
            if (lane < count) {
                staged[lane] = Decode(work, weights, base + lane, panel, first_channel);
            }
            __syncwarp();
            for (int32_t e = 0; e < count; ++e) {
                DirectEntry const entry = staged[e];
                int32_t const y = top + entry.down;
                int32_t const at = left + entry.right;
                if (y >= 0 && y < work.height && at >= 0 && at < work.width) {
                    int32_t const place = (y * work.width + at) << PixelShift(work);
                    sum = fmaf(entry.weight, LoadFloat(x + entry.plane + place), sum);
                }
            }
            __syncwarp();
        }
    }
    return sum;
}

// Blocks share the work: kConvThreads outputs of one slot and image at a time, long slots first.
template <typename T>
__global__ void __launch_bounds__(kConvThreads, 4)
    SparseConvDirectKernel(SparseConvWork work, SparseView<T> weights, T const* x,
                           Epilogue<T> epilogue, T* y) {
    ES_SHARED(DirectEntry, staged, [kConvWarps][kWarpSize]);
    int const warp = static_cast<int>(threadIdx.x) / kWarpSize;
    int32_t const pieces = (work.output_plane - 1) / kConvThreads + 1;
    int64_t const all = static_cast<int64_t>(pieces) * work.samples * weights.slots;
    for (int64_t i = blockIdx.x; i < all; i += gridDim.x) {
        int64_t const line = i / pieces;
        int64_t const sample = line % work.samples;
        int32_t const slot = static_cast<int32_t>(line / work.samples);
        int64_t const output = i % pieces * kConvThreads + static_cast<int32_t>(threadIdx.x);
        T const* const image = x + sample * work.channels * work.input_plane;
        bool const exists = output < work.output_plane;  // else some output: lanes stay together
        float const sum = SumDirect(work, weights, image, slot,
                                    exists ? static_cast<int32_t>(output) : 0, staged[warp]);
        if (!exists) continue;
        int32_t const filter = __ldg(weights.rows + slot);
        int64_t const index = sample * weights.slots * work.output_plane +
                              PlaceOf(work.order, filter, output, work.output_plane);
        y[index] = epilogue.Apply(sum, filter, index);
    }
}

}  // namespace edgesynth
