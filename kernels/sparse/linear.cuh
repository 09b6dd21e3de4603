// Device code of EsSparseLinear.
//
// A block keeps one panel of x in shared memory, for kBatch batch rows at once, and has some of the
// slots; kLanes lanes of a warp share a slot, and each reads 16 bytes of values at a time. What is
// read once, the weights, is streamed; what is read at random, x, is near. The sums of a slot wait
// in shared memory for the next panel.
#pragma once

#include "sparse/entries.cuh"

namespace edgesynth {

constexpr int kLinearThreads = 256;
constexpr int32_t kLinearSlots = 256;  // of a block, at most: their sums lie in shared memory

// Values and columns that a lane reads at a time.
template <typename T>
struct EntryVector;

template <>
struct EntryVector<float> {
    static constexpr int kEntries = 4;
    float4 values;
    uint2 columns;

    __device__ __forceinline__ EntryVector(float const* value, uint16_t const* column)
        : values(__ldg(reinterpret_cast<float4 const*>(value))),
          columns(__ldg(reinterpret_cast<uint2 const*>(column))) {}
    __device__ __forceinline__ float Value(int i) const {
        return i == 0 ? values.x : i == 1 ? values.y : i == 2 ? values.z : values.w;
    }
    __device__ __forceinline__ uint32_t Column(int i) const {
        return (i < 2 ? columns.x : columns.y) >> (16 * (i % 2)) & 0xFFFFu;
    }
};

template <>
struct EntryVector<half> {
    static constexpr int kEntries = 8;
    uint4 values, columns;

    __device__ __forceinline__ EntryVector(half const* value, uint16_t const* column)
        : values(__ldg(reinterpret_cast<uint4 const*>(value))),
          columns(__ldg(reinterpret_cast<uint4 const*>(column))) {}
    static __device__ __forceinline__ uint32_t Word(uint4 const& from, int i) {
        return i == 0 ? from.x : i == 1 ? from.y : i == 2 ? from.z : from.w;
    }
    __device__ __forceinline__ half2 Pair(int i) const { return Half2FromBits(Word(values, i)); }
    __device__ __forceinline__ uint32_t Column(int i) const {
        return Word(columns, i / 2) >> (16 * (i % 2)) & 0xFFFFu;
    }
};

// kBatch values of one column, side by side.
template <typename T, int kBatch>
struct alignas(sizeof(T) * kBatch) BatchColumn {
    T values[kBatch];
};

template <int kBatch>
__device__ __forceinline__ void MultiplyVector(EntryVector<float> const& entries,
                                               BatchColumn<float, kBatch> const* panel,
                                               float (&sums)[kBatch]) {
#pragma unroll
    for (int i = 0; i < EntryVector<float>::kEntries; ++i) {
        BatchColumn<float, kBatch> const column = panel[entries.Column(i)];
#pragma unroll
        for (int n = 0; n < kBatch; ++n) {
            sums[n] = fmaf(entries.Value(i), column.values[n], sums[n]);
        }
    }
}

// One batch row: a half2 is two entries of the slot.
__device__ __forceinline__ void MultiplyVector(EntryVector<half> const& entries,
                                               BatchColumn<half, 1> const* panel,
                                               float (&sums)[1]) {
    half2 chain = __float2half2_rn(0.0f);
#pragma unroll
    for (int i = 0; i < EntryVector<half>::kEntries / 2; ++i) {
        half2 const pair = __halves2half2(panel[entries.Column(2 * i)].values[0],
                                          panel[entries.Column(2 * i + 1)].values[0]);
        chain = __hfma2(entries.Pair(i), pair, chain);
    }
    float2 const both = __half22float2(chain);
    sums[0] += both.x + both.y;
}

// More: a half2 is two batch rows.
template <int kBatch>
__device__ __forceinline__ void MultiplyVector(EntryVector<half> const& entries,
                                               BatchColumn<half, kBatch> const* panel,
                                               float (&sums)[kBatch]) {
    static_assert(kBatch % 2 == 0, "two batch rows are one half2");
    half2 chains[kBatch / 2];
#pragma unroll
    for (int n = 0; n < kBatch / 2; ++n) chains[n] = __float2half2_rn(0.0f);
#pragma unroll
    for (int i = 0; i < EntryVector<half>::kEntries; ++i) {
        BatchColumn<half, kBatch> const column = panel[entries.Column(i)];
        half2 const pair = entries.Pair(i / 2);
        half2 const weight = i % 2 == 0 ? __low2half2(pair) : __high2half2(pair);
#pragma unroll
        for (int n = 0; n < kBatch / 2; ++n) {
            half2 const x = __halves2half2(column.values[2 * n], column.values[2 * n + 1]);
            chains[n] = __hfma2(weight, x, chains[n]);
        }
    }
#pragma unroll
    for (int n = 0; n < kBatch / 2; ++n) {
        float2 const both = __half22float2(chains[n]);
        sums[2 * n] += both.x;
        sums[2 * n + 1] += both.y;
    }
}

// The panel's columns of batch rows first .. first + kBatch, and the zero that padding points at.
template <typename T, int kBatch>
__device__ __forceinline__ void LoadPanel(SparseView<T> const& weights, T const* x, int32_t batch,
                                          int64_t first, int32_t panel,
                                          BatchColumn<T, kBatch>* shared) {
    int64_t const begin = int64_t{panel} * weights.panel_columns;
    int32_t const count = static_cast<int32_t>(
        min(static_cast<int64_t>(weights.panel_columns), weights.all_columns - begin));
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < count; i += kLinearThreads) {
        BatchColumn<T, kBatch> column;
#pragma unroll
        for (int n = 0; n < kBatch; ++n) {
            column.values[n] = first + n < batch
                                   ? Load(x + (first + n) * weights.all_columns + begin + i)
                                   : FromFloat<T>(0.0f);
        }
        shared[i] = column;
    }
    if (threadIdx.x < kBatch) {
        shared[weights.panel_columns].values[threadIdx.x] = FromFloat<T>(0.0f);
    }
}

// The sums of one slot over one panel, in all of its lanes.
template <typename T, int kBatch, int kLanes>
__device__ __forceinline__ void SumSlot(SparseView<T> const& weights, int64_t cell, int lane,
                                        bool has_slot, BatchColumn<T, kBatch> const* panel,
                                        float (&sums)[kBatch]) {
    constexpr int kEntries = EntryVector<T>::kEntries;
#pragma unroll
    for (int n = 0; n < kBatch; ++n) sums[n] = 0.0f;
    int32_t const begin = has_slot ? __ldg(weights.starts + cell) : 0;
    int32_t const end = has_slot ? __ldg(weights.starts + cell + 1) : 0;
    for (int64_t i = int64_t{begin} + lane * kEntries; i < end; i += kLanes * kEntries) {
        EntryVector<T> const entries(weights.values + i, weights.columns + i);
        MultiplyVector(entries, panel, sums);
    }
#pragma unroll
    for (int n = 0; n < kBatch; ++n) {
#pragma unroll
        for (int offset = kLanes / 2; offset > 0; offset /= 2) {
            sums[n] += __shfl_xor_sync(kFullMask, sums[n], offset);
        }
    }
}

// grid.x blocks share the slots, slot s being with block s % grid.x: all of them get short and long
// rows. grid.y blocks share the groups of kBatch batch rows.
template <typename T, int kBatch, int kLanes>
__global__ void __launch_bounds__(kLinearThreads, kBatch == 1 ? 4 : 3)
    SparseLinearKernel(SparseView<T> weights, T const* x, int32_t batch, Epilogue<T> epilogue,
                       T* y) {
    static_assert(sizeof(T) * kBatch <= 8, "a panel of x is at most 8 bytes wide, 24 KiB");
    static_assert(kLanes >= 2 && kWarpSize % kLanes == 0, "slots must not straddle warps");
    constexpr int kParallel = kLinearThreads / kLanes;
    ES_SHARED(float, totals, [kLinearSlots][kBatch]);
    using Column = BatchColumn<T, kBatch>;
    ES_DYNAMIC_SHARED(Column, panel_of_x);
    int const lane = static_cast<int>(threadIdx.x) % kLanes;
    int const place = static_cast<int>(threadIdx.x) / kLanes;
    int32_t const blocks = static_cast<int32_t>(gridDim.x);
    int32_t const block = static_cast<int32_t>(blockIdx.x);
    int32_t const own = (weights.slots - block + blocks - 1) / blocks;  // slots of this block
    for (int64_t first = static_cast<int64_t>(blockIdx.y) * kBatch; first < batch;
         first += static_cast<int64_t>(gridDim.y) * kBatch) {
        for (int32_t panel = 0; panel < weights.panels; ++panel) {
            __syncthreads();
            LoadPanel(weights, x, batch, first, panel, panel_of_x);
            __syncthreads();
            for (int32_t base = 0; base < own; base += kParallel) {
                int32_t const i = base + place;
                int64_t const slot = static_cast<int64_t>(i) * blocks + block;
                float sums[kBatch];
                SumSlot<T, kBatch, kLanes>(weights, int64_t{panel} * weights.slots + slot, lane,
                                           i < own, panel_of_x, sums);
                if (lane == 0 && i < own) {
#pragma unroll
                    for (int n = 0; n < kBatch; ++n) {
                        totals[i][n] = panel == 0 ? sums[n] : totals[i][n] + sums[n];
                    }
                }
            }
        }
        __syncthreads();
        for (int32_t i = static_cast<int32_t>(threadIdx.x); i < own * kBatch; i += kLinearThreads) {
            int64_t const sample = first + i % kBatch;
            if (sample >= batch) continue;
            int64_t const slot = static_cast<int64_t>(i / kBatch) * blocks + block;
            int32_t const row = __ldg(weights.rows + slot);
            int64_t const index = sample * weights.slots + row;
            y[index] = epilogue.Apply(totals[i / kBatch][i % kBatch], row, index);
        }
    }
}

}  // namespace edgesynth
