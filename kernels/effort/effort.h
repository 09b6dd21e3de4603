// EsEffortConv: a convolution that leaves out what an input does not need (DyVEDeep, Ganapathy,
// Venkataramani, Ravindran and Raghunathan, arXiv:1704.01137). What each number means is said in
// edgesynth/operators/effort_spec.py; the decisions are those of single outputs, a GPU saves what a
// whole tile can do without.
#pragma once

#include "common/convolution.h"
#include "common/launcher.h"

namespace edgesynth {

enum class Saturation : int32_t { kOff = 0, kExact = 1, kPredicted = 2 };

constexpr int32_t kMostSamplePeriod = 8;

// Which shortcuts are taken. All off: {kOff, 0, -1.0f, 1, 0.0f, 0.0f, 0.0f}.
struct EffortKnobs {
    Saturation saturation;    // other than kOff: with ReLU only
    int32_t prefix_channels;  // 1 to C / group - 1 with saturation, otherwise without meaning
    float similarity;         // below 0: never
    int32_t sample_period;    // 1: every output is computed
    float sample_below, sample_within;
    float input_threshold = 0.0f;  // an input of a smaller magnitude counts as 0
};

// Where in the bytes of PackEffort each part begins.
struct EffortLayout {
    DataType type;        // of the weights, which is that of the activations
    int32_t rows;         // of weights for every eight filters
    int32_t levels;       // of effort
    int64_t thresholds;   // bytes; M x float
    int64_t settled;      // M x int32: channels after which none has a positive weight
    int64_t order;        // C / group x int32
    int64_t level_table;  // levels x int32
    int64_t bytes;
};

// What a launch counts when it is asked to: of outputs that exist, not of idle lanes.
struct EffortCounts {
    unsigned long long products;  // multiply-accumulates
    unsigned long long checks;    // comparisons, additions and multiplications of the decisions
};

// y (N, M, P, Q) = act(conv(x (N, C, H, W)) + bias)
struct EffortConv {
    ConvShape shape;
    DataType type;
    Activation activation;
    EffortKnobs knobs;
    EffortLayout layout;
    void const* weights;  // device, layout.bytes from PackEffort, 16-byte aligned
    float const* bias;    // device, M; null: none
};

// x, effort (1 x int32) and y are device memory; y does not overlap x. `counts`, on the device, is
// added to; null: nothing is counted.
//
// kFloat: every sum is a chain of fmaf over channels in the layer's order, and over the window from
// the upper left to the lower right, the bias last. kHalf: 16 products at a time are added up in
// fp16, which must not overflow; from there on it is fp32.
//
// cudaErrorInvalidValue: a size, type, knob or pointer that the comments exclude, a layout of
// another layer, or C * H * W, M * P * Q or the weights of one filter reach 2^31, or the grid is
// larger than CUDA allows.
cudaError_t LaunchEffortConv(EffortConv const& layer, void const* x, int32_t const* effort, void* y,
                             EffortCounts* counts, cudaStream_t stream);

}  // namespace edgesynth
