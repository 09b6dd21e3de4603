// Device code of EsPackedLinear for few samples: a matrix times a vector or a few.
//
// Every weight is used once per sample, so reading them is all that counts. A warp has four rows,
// whose words lie together: each lane loads 128 bits, the same columns of the four rows. The block
// keeps the piece of x that its warps are at in shared memory, padded with zeros, so that neither
// the alignment nor the number of columns matters any more; an x that is read there is multiplied
// with four weights, and a weight that is decoded with all samples.
//
// Words of the next piece are loaded before the barriers, so memory is busy while x is exchanged.
#pragma once

#include "common/epilogue.h"
#include "common/warp.h"
#include "packed/decode.cuh"
#include "packed/packed.h"

namespace edgesynth {

constexpr int kLinearWarps = 8;

// Of one block, where there is more than one; in fp32 four would take too many registers.
template <typename T>
constexpr int kLinearSamples = 2 * Operand<T>::kStep;

template <typename T, int kBits>
struct LinearTile {
    static_assert(IsPackedWidth(kBits), "packing.py lays out codes of 2, 3, 4 and 8 bits only");
    static constexpr int kCodes = CodesPerWord(kBits);
    // Per lane and row, between two barriers; fewer where many operands take the registers.
    static constexpr int kWordsAhead = kCodes / Operand<T>::kStep > 10 ? 2 : 4;
    static constexpr int kOperands = kCodes / Operand<T>::kStep;  // of x, for one word
    static constexpr int kVector = kOperands % 4 == 0 ? 4 : kOperands % 2 == 0 ? 2 : 1;
    static constexpr int kLoads = kOperands / kVector;  // of shared memory, for one word
    static constexpr int kTileOperands = kWordsAhead * kWarpSize * kOperands;
    static constexpr int kColumns = kTileOperands * Operand<T>::kStep;
    static_assert(kCodes * kWordsAhead <= kMostUnflushed,
                  "sums are flushed once per piece of x, so a lane must not add more columns");

    // Where in shared memory operand `i` of the piece lies. Lanes are kLoads vectors of 16 bytes
    // apart; eight of them are served at once and have to hit different banks.
    __device__ __forceinline__ static int Place(int i) {
        constexpr int kSwizzle = (kLoads & (kLoads - 1)) == 0 ? kLoads - 1 : 0;
        int const vector = i / kVector;
        return (vector ^ ((vector >> 3) & kSwizzle)) * kVector + i % kVector;
    }
};

// The operand that begins at `column`; zero from `count` columns on.
template <typename T>
__device__ __forceinline__ uint32_t LoadOperand(T const* row, int column, int count) {
    uint32_t bits = column < count ? LoadBits(row + column) : 0;
    if (Operand<T>::kStep == 2 && column + 1 < count) bits |= LoadBits(row + column + 1) << 16;
    return bits;
}

// Multiply one word of each of four rows with its columns of x; `operand` is the first of them.
template <typename T, int kBits, int kSamples>
__device__ __forceinline__ void MultiplyWord(uint4 words, uint32_t const* x, int operand,
                                             Sum<T> (&sums)[kRowsTogether][kSamples]) {
    using Tile = LinearTile<T, kBits>;
    uint32_t const rows[kRowsTogether] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int load = 0; load < Tile::kLoads; ++load) {
        uint32_t columns[kSamples][Tile::kVector];
        int const place = Tile::Place(operand + load * Tile::kVector);
#pragma unroll
        for (int n = 0; n < kSamples; ++n) {
            LoadShared(x + n * Tile::kTileOperands + place, columns[n]);
        }
#pragma unroll
        for (int row = 0; row < kRowsTogether; ++row) {
#pragma unroll
            for (int i = 0; i < Tile::kVector; ++i) {
                auto const weight =
                    Operand<T>::template Decode<kBits>(rows[row], load * Tile::kVector + i);
#pragma unroll
                for (int n = 0; n < kSamples; ++n) {
                    sums[row][n].Add(weight, Operand<T>::FromBits(columns[n][i]));
                }
            }
        }
    }
}

// grid: x has a block for every 4 kLinearWarps rows, y one for every kSamples samples.
template <typename T, int kBits, int kSamples>
__global__ void __launch_bounds__(kLinearWarps* kWarpSize, kSamples == 1 ? 3 : 2)
    PackedLinearKernel(PackedLinear layer, T const* x, T const* residual, T* y) {
    static_assert(kSamples * kRowsTogether <= kWarpSize, "every result has a lane that writes it");
    using Tile = LinearTile<T, kBits>;
    ES_SHARED(uint32_t, tile, [kSamples * Tile::kTileOperands]);
    int const thread = static_cast<int>(threadIdx.x);
    int64_t const first_row =
        (static_cast<int64_t>(blockIdx.x) * kLinearWarps + thread / kWarpSize) * kRowsTogether;
    int32_t const first_sample = static_cast<int32_t>(blockIdx.y) * kSamples;
    int32_t const per_row = static_cast<int32_t>(PackedWordsPerRow(layer.features, kBits));
    bool const has_rows = first_row < layer.filters;  // the same for all lanes
    uint4 const* const words = reinterpret_cast<uint4 const*>(layer.weights.words) +
                               (has_rows ? first_row / kRowsTogether * per_row : 0);
    Sum<T> sums[kRowsTogether][kSamples];
#pragma unroll
    for (int i = 0; i < kRowsTogether * kSamples; ++i) sums[i / kSamples][i % kSamples].Clear();

    for (int32_t piece = 0; piece < per_row; piece += Tile::kWordsAhead * kWarpSize) {
        uint4 ahead[Tile::kWordsAhead];
#pragma unroll
        for (int i = 0; i < Tile::kWordsAhead; ++i) {
            int32_t const word = piece + i * kWarpSize + LaneId();
            ahead[i] = has_rows && word < per_row ? __ldg(words + word) : make_uint4(0, 0, 0, 0);
        }
        int64_t const first_column = static_cast<int64_t>(piece) * Tile::kCodes;
        int const count = static_cast<int>(
            min(layer.features - first_column, static_cast<int64_t>(Tile::kColumns)));
        __syncthreads();  // all have read the piece before
#pragma unroll
        for (int n = 0; n < kSamples; ++n) {
            int64_t const sample = first_sample + n;
            T const* const row = x + sample * layer.features + first_column;
            int const columns = sample < layer.samples ? count : 0;
            for (int i = thread; i < Tile::kTileOperands; i += kLinearWarps * kWarpSize) {
                tile[n * Tile::kTileOperands + Tile::Place(i)] =
                    LoadOperand(row, i * Operand<T>::kStep, columns);
            }
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < Tile::kWordsAhead; ++i) {
            MultiplyWord<T, kBits>(ahead[i], tile, (i * kWarpSize + LaneId()) * Tile::kOperands,
                                   sums);
        }
#pragma unroll
        for (int i = 0; i < kRowsTogether * kSamples; ++i) sums[i / kSamples][i % kSamples].Flush();
    }

    float mine = 0.0f;
#pragma unroll
    for (int i = 0; i < kRowsTogether * kSamples; ++i) {
        float const total = WarpSum(sums[i / kSamples][i % kSamples].total);
        if (LaneId() == i) mine = total;
    }
    int64_t const filter = first_row + LaneId() / kSamples;
    int64_t const sample = first_sample + LaneId() % kSamples;
    if (LaneId() >= kRowsTogether * kSamples || filter >= layer.filters ||
        sample >= layer.samples) {
        return;
    }
    Epilogue<T> const epilogue{layer.weights.bias, residual, layer.activation};
    int64_t const index = sample * layer.filters + filter;
    float const scale = FractionScale<kBits>(__ldg(layer.weights.scales + filter));
    y[index] = epilogue.Apply(mine * scale, filter, index);
}

}  // namespace edgesynth
