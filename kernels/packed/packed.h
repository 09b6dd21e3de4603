// EsPackedLinear and EsPackedConv: layers whose weights are integers of 2, 3, 4 or 8 bits, each
// multiplied by a scale of its output channel. Low-bit is how the weights are stored: sums run in
// fp16 pairs or in fp32, as the activations are.
#pragma once

#include "common/convolution.h"
#include "common/launcher.h"
#include "packed/layout.h"

namespace edgesynth {

struct PackedWeights {
    int32_t const* words;  // device, 16-byte aligned, in the order of InterleaveWords
    float const* scales;   // device, M
    float const* bias;     // device, M; null: none
    int32_t bits;          // of a code: 2, 3, 4 or 8
};

// y (N, M) = act(x (N, K) . weights + bias + residual)
struct PackedLinear {
    int32_t samples;   // N >= 0
    int32_t features;  // K >= 1
    int32_t filters;   // M >= 1
    DataType type;     // of x, residual and y
    Activation activation;
    PackedWeights weights;  // of one group
};

// y (N, M, P, Q) = act(conv(x (N, C, H, W)) + bias + residual)
struct PackedConv {
    ConvShape shape;
    DataType type;
    Activation activation;
    PackedWeights weights;
    ChannelOrder order = ChannelOrder::kApart;  // of x, residual and y
};

// x, residual (null: none) and y are device memory of the layer's type; y overlaps neither.
//
// With kHalf, products are added up in fp16, at most 32 of them, codes taken as fractions code /
// 2^(bits - 1); from there on and with kFloat everything is fp32 until y is rounded. Nothing
// overflows on the way while |x| < 2047.
//
// cudaErrorInvalidValue: a size, type or pointer that the comments exclude, or C * H * W, M * P * Q
// or the weights of one filter reach 2^31, or the grid is larger than CUDA allows, or channels are
// in pairs that are not fp16 or of which there is an odd number.
cudaError_t LaunchPackedLinear(PackedLinear const& layer, void const* x, void const* residual,
                               void* y, cudaStream_t stream);
cudaError_t LaunchPackedConv(PackedConv const& layer, void const* x, void const* residual, void* y,
                             cudaStream_t stream);

}  // namespace edgesynth
