// Device code of EsExitGate.
//
// A group of warps has one sample: kWarps is 1 where many samples or few classes keep the GPU busy
// anyway, 8 where one sample with many classes must be quick. The softmax is never written: one
// pass finds the two largest logits, one the sums, and every policy is a formula of those:
//
//     s = sum exp(z - max)          largest probability  1 / s
//     t = sum (z - max) exp(z-max)  entropy              log s - t / s
//                                   margin               (1 - exp(second - max)) / s
//
// The linear gate needs all probabilities in order and sorts the logits in shared memory first.
#pragma once

#include "common/half.h"
#include "common/warp.h"
#include "exit_gate/exit_gate.h"

namespace edgesynth {

constexpr int kGateBlockWarps = 8;    // of a block, where one block cannot hold all samples
constexpr int kGateSingleBlock = 32;  // samples that one block of 32 warps decides and compacts
constexpr int kCompactThreads = 256;

static_assert(kGateSingleBlock <= kWarpSize,
              "the single block compacts with one vote, so it holds at most one sample per lane");
static_assert(kCompactThreads % kWarpSize == 0 && kCompactThreads / kWarpSize <= kWarpSize,
              "one warp adds up the counts of all warps of the compacting block");

// The two largest logits seen, and where the larger one was first.
struct TopTwo {
    float first;
    float second;
    int32_t label;
};

constexpr int32_t kNoLabel = INT32_MAX;

__device__ __forceinline__ float MinusInfinity() { return __int_as_float(0xFF800000); }
__device__ __forceinline__ float NotANumber() { return __int_as_float(0x7FFFFFFF); }

__device__ __forceinline__ TopTwo Merge(TopTwo a, TopTwo b) {
    bool const swap = b.first > a.first || (b.first == a.first && b.label < a.label);
    TopTwo const best = swap ? b : a;
    float const other = swap ? a.first : b.first;
    return TopTwo{best.first, fmaxf(best.second, other), best.label};
}

__device__ __forceinline__ TopTwo WarpMerge(TopTwo top) {
#pragma unroll
    for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
        TopTwo other;
        other.first = __shfl_xor_sync(kFullMask, top.first, offset);
        other.second = __shfl_xor_sync(kFullMask, top.second, offset);
        other.label = __shfl_xor_sync(kFullMask, top.label, offset);
        top = Merge(top, other);
    }
    return top;
}

// The same result in every thread of the group; with more than one warp the group is the block.
template <int kWarps>
__device__ __forceinline__ TopTwo GroupMerge(TopTwo top) {
    top = WarpMerge(top);
    if (kWarps == 1) return top;
    ES_SHARED(TopTwo, partial, [kWarps]);
    int const warp = static_cast<int>(threadIdx.x) / kWarpSize;
    if (LaneId() == 0) partial[warp] = top;
    __syncthreads();
    top = partial[0];
#pragma unroll
    for (int i = 1; i < kWarps; ++i) top = Merge(top, partial[i]);
    return top;
}

template <int kWarps>
__device__ __forceinline__ float2 GroupSum(float2 value) {
    value = make_float2(WarpSum(value.x), WarpSum(value.y));
    if (kWarps == 1) return value;
    ES_SHARED(float2, partial, [kWarps]);
    int const warp = static_cast<int>(threadIdx.x) / kWarpSize;
    if (LaneId() == 0) partial[warp] = value;
    __syncthreads();
    value = partial[0];
#pragma unroll
    for (int i = 1; i < kWarps; ++i) {
        value = make_float2(value.x + partial[i].x, value.y + partial[i].y);
    }
    return value;
}

// What one thread of the group has, first over the logits that are its own. A NaN is never larger.
template <typename T, int kThreads>
__device__ __forceinline__ TopTwo FindTopTwo(T const* row, int32_t classes, int thread) {
    TopTwo top{MinusInfinity(), MinusInfinity(), kNoLabel};
    for (int32_t i = thread; i < classes; i += kThreads) {
        float const logit = LoadFloat(row + i);
        if (logit > top.first) {
            top = TopTwo{logit, top.first, i};
        } else if (logit > top.second) {
            top.second = logit;
        }
    }
    return top;
}

// x: the sum of exp(z - max), NaN if any logit is; y: that of (z - max) exp(z - max).
template <typename T, int kThreads>
__device__ __forceinline__ float2 SumExponentials(T const* row, int32_t classes, int thread,
                                                  float largest) {
    float2 sums = make_float2(0.0f, 0.0f);
    for (int32_t i = thread; i < classes; i += kThreads) {
        float const below = LoadFloat(row + i) - largest;
        float const term = expf(below);
        sums.x += term;
        if (term > 0.0f) sums.y += below * term;  // x log x is 0 at 0, not -infinity * 0
    }
    return sums;
}

__device__ __forceinline__ float Confidence(ExitPolicy policy, TopTwo top, float2 sums) {
    if (policy == ExitPolicy::kEntropy) {
        float const entropy = logf(sums.x) - sums.y / sums.x;
        return entropy < 0.0f ? 0.0f : entropy;  // NaN stays NaN
    }
    if (policy == ExitPolicy::kMargin) return (1.0f - expf(top.second - top.first)) / sums.x;
    return 1.0f / sums.x;
}

__device__ __forceinline__ bool Exits(ExitPolicy policy, float confidence, float threshold) {
    return policy == ExitPolicy::kEntropy ? confidence <= threshold : confidence >= threshold;
}

// The threads of the block sort `values`, whose count is a power of 2, in descending order
// (bitonic: Batcher 1968).
__device__ __forceinline__ void SortDescending(float* values, int32_t count) {
    for (int32_t width = 2; width <= count; width *= 2) {
        for (int32_t stride = width / 2; stride > 0; stride /= 2) {
            __syncthreads();
            for (int32_t i = static_cast<int32_t>(threadIdx.x); i < count / 2;
                 i += static_cast<int32_t>(blockDim.x)) {
                int32_t const low = 2 * i - (i & (stride - 1));
                float const a = values[low];
                float const b = values[low + stride];
                bool const descending = (low & width) == 0;
                if (descending ? a < b : a > b) {
                    values[low] = b;
                    values[low + stride] = a;
                }
            }
        }
    }
    __syncthreads();
}

__device__ __forceinline__ void WriteDecision(ExitGateOutputs const& outputs, int32_t sample,
                                              bool exits, int32_t label, float confidence) {
    outputs.exit[sample] = exits ? 1 : 0;
    outputs.label[sample] = label;
    outputs.confidence[sample] = confidence;
    if (sample == 0 && outputs.flag != nullptr) {
        *reinterpret_cast<int2*>(outputs.flag) = make_int2(exits ? 1 : 0, label);
        __threadfence_system();
    }
}

// The block has all samples, `stays` one word for each: warp 0 writes survivors and count.
__device__ __forceinline__ void CompactSingleBlock(ExitGateOutputs const& outputs,
                                                   int32_t const* stays, int32_t samples) {
    __syncthreads();
    if (threadIdx.x >= kWarpSize) return;
    int32_t const sample = LaneId();
    bool const survives = sample < samples && stays[sample] != 0;
    int total;
    int const rank = RankInWarp(survives, &total);
    if (survives) outputs.survivors[rank] = sample;
    if (sample >= total && sample < samples) outputs.survivors[sample] = -1;
    if (sample == 0) *outputs.count = total;
}

// grid: enough blocks of blockDim.x / (32 kWarps) samples each. A grid of one block compacts too.
template <typename T, int kWarps>
__global__ void __launch_bounds__(kWarps == 1 ? 1024 : kWarps * kWarpSize)
    ExitGateKernel(ExitGate gate, T const* logits, float const* threshold,
                   ExitGateOutputs outputs) {
    static_assert(kWarps == 1 || kWarps == kGateBlockWarps,
                  "a group of several warps meets at block barriers, so it must be the block");
    constexpr int kThreads = kWarps * kWarpSize;
    ES_SHARED(int32_t, stays, [kGateSingleBlock]);
    int const slot = static_cast<int>(threadIdx.x) / kThreads;
    int const thread = static_cast<int>(threadIdx.x) % kThreads;
    int64_t const sample =
        static_cast<int64_t>(blockIdx.x) * (static_cast<int>(blockDim.x) / kThreads) + slot;
    if (sample <
        gate.samples) {  // the same for all threads of a warp, or of the block if kWarps > 1
        T const* const row = logits + sample * gate.classes;
        TopTwo const top = GroupMerge<kWarps>(FindTopTwo<T, kThreads>(row, gate.classes, thread));
        float2 const sums =
            GroupSum<kWarps>(SumExponentials<T, kThreads>(row, gate.classes, thread, top.first));
        if (thread == 0) {
            float const confidence = Confidence(gate.policy, top, sums);
            bool const exits = Exits(gate.policy, confidence, __ldg(threshold));
            stays[slot] = exits ? 0 : 1;
            WriteDecision(outputs, static_cast<int32_t>(sample), exits,
                          top.label == kNoLabel ? 0 : top.label, confidence);
        }
    }
    if (gridDim.x == 1) CompactSingleBlock(outputs, stays, gate.samples);
}

// One block per sample; dynamic shared memory: `padded` floats, a power of 2 and at least C.
template <typename T>
__global__ void __launch_bounds__(kGateBlockWarps* kWarpSize)
    LinearGateKernel(ExitGate gate, T const* logits, float const* threshold, int32_t padded,
                     ExitGateOutputs outputs) {
    constexpr int kThreads = kGateBlockWarps * kWarpSize;
    ES_DYNAMIC_SHARED(float, sorted);
    ES_SHARED(int32_t, stays, [1]);
    int const thread = static_cast<int>(threadIdx.x);
    int64_t const sample = blockIdx.x;
    T const* const row = logits + sample * gate.classes;
    TopTwo const top =
        GroupMerge<kGateBlockWarps>(FindTopTwo<T, kThreads>(row, gate.classes, thread));
    bool has_nan = false;
    for (int32_t i = thread; i < padded; i += kThreads) {
        float const logit = i < gate.classes ? LoadFloat(row + i) : MinusInfinity();
        has_nan = has_nan || logit != logit;
        sorted[i] = logit;  // a NaN makes the order wrong, and then the order is not used
    }
    SortDescending(sorted, padded);
    float2 sums = make_float2(0.0f, 0.0f);
    for (int32_t i = thread; i < gate.classes; i += kThreads) {
        float const term = expf(sorted[i] - top.first);
        sums.x += term;
        sums.y += term * __ldg(gate.gate_weights + i);
    }
    sums = GroupSum<kGateBlockWarps>(sums);
    has_nan = __syncthreads_or(has_nan);
    if (thread == 0) {
        float const evidence = sums.y / sums.x + gate.gate_bias;
        float const confidence = has_nan ? NotANumber() : 1.0f / (1.0f + expf(-evidence));
        bool const exits = Exits(gate.policy, confidence, __ldg(threshold));
        stays[0] = exits ? 0 : 1;
        WriteDecision(outputs, static_cast<int32_t>(sample), exits,
                      top.label == kNoLabel ? 0 : top.label, confidence);
    }
    if (gridDim.x == 1) CompactSingleBlock(outputs, stays, 1);
}

// One block: survivors and count from `exit`, chunk after chunk, so always in ascending order.
__global__ void __launch_bounds__(kCompactThreads)
    CompactSurvivorsKernel(int32_t samples, ExitGateOutputs outputs) {
    constexpr int kWarps = kCompactThreads / kWarpSize;
    ES_SHARED(int32_t, counts, [kWarps]);
    int const warp = static_cast<int>(threadIdx.x) / kWarpSize;
    int32_t found = 0;
    for (int64_t first = 0; first < samples; first += kCompactThreads) {
        int64_t const sample = first + threadIdx.x;
        bool const survives = sample < samples && outputs.exit[sample] == 0;
        int total;
        int32_t rank = found + RankInWarp(survives, &total);
        if (LaneId() == 0) counts[warp] = total;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < kWarps; ++i) {
            rank += i < warp ? counts[i] : 0;
            found += counts[i];
        }
        if (survives) outputs.survivors[rank] = static_cast<int32_t>(sample);
        __syncthreads();  // `counts` is written again
    }
    for (int64_t i = found + static_cast<int64_t>(threadIdx.x); i < samples; i += kCompactThreads) {
        outputs.survivors[i] = -1;
    }
    if (threadIdx.x == 0) *outputs.count = found;
}

}  // namespace edgesynth
