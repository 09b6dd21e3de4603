// What Python calls through ctypes: one function per operator, in kernels/OPERATOR/host.cpp.
// Written by `python -m edgesynth.operators.fields`; change edgesynth/operators/specs.py instead.
//
// All pointers are to host memory: an entry copies to the device, launches, waits and copies back.
// So the same source serves a GPU and, with ES_EMULATION, the emulation. The arguments are, in this
// order: the DataType of the activations; the shape of the first input; the inputs (a null residual
// is none); the attributes as edgesynth/operators/specs.py has them, complete and valid; the
// outputs. Activations are void pointers. The result is a cudaError_t.
// clang-format off
#pragma once

#include <cstdint>

#define ES_ENTRY extern "C" __attribute__((visibility("default")))

ES_ENTRY int32_t es_sparse_linear_host(
    int32_t type,
    int64_t const* shape,
    void const* x,
    void const* residual,
    int32_t const* weight_shape,
    int32_t const* positions, int64_t positions_count,
    float const* values, int64_t values_count,
    float const* bias, int64_t bias_count,
    int32_t activation,
    void* y);

ES_ENTRY int32_t es_sparse_conv_host(
    int32_t type,
    int64_t const* shape,
    void const* x,
    void const* residual,
    int32_t const* weight_shape,
    int32_t const* positions, int64_t positions_count,
    float const* values, int64_t values_count,
    float const* bias, int64_t bias_count,
    int32_t const* strides,
    int32_t const* pads,
    int32_t const* dilations,
    int32_t group,
    int32_t activation,
    void* y);

ES_ENTRY int32_t es_packed_linear_host(
    int32_t type,
    int64_t const* shape,
    void const* x,
    void const* residual,
    int32_t const* weight_shape,
    int32_t const* words, int64_t words_count,
    float const* scales, int64_t scales_count,
    int32_t bits,
    float const* bias, int64_t bias_count,
    int32_t activation,
    void* y);

ES_ENTRY int32_t es_packed_conv_host(
    int32_t type,
    int64_t const* shape,
    void const* x,
    void const* residual,
    int32_t const* weight_shape,
    int32_t const* words, int64_t words_count,
    float const* scales, int64_t scales_count,
    int32_t bits,
    float const* bias, int64_t bias_count,
    int32_t const* strides,
    int32_t const* pads,
    int32_t const* dilations,
    int32_t group,
    int32_t activation,
    void* y);

ES_ENTRY int32_t es_effort_conv_host(
    int32_t type,
    int64_t const* shape,
    void const* x,
    int32_t const* effort,
    int32_t const* weight_shape,
    float const* weights, int64_t weights_count,
    float const* bias, int64_t bias_count,
    int32_t const* strides,
    int32_t const* pads,
    int32_t const* dilations,
    int32_t group,
    int32_t activation,
    int32_t const* channel_order, int64_t channel_order_count,
    int32_t const* level_channels, int64_t level_channels_count,
    int32_t saturation,
    int32_t prefix_channels,
    float const* prefix_thresholds, int64_t prefix_thresholds_count,
    float similarity,
    int32_t sample_period,
    float sample_below,
    float sample_within,
    float input_threshold,
    void* y);

ES_ENTRY int32_t es_exit_gate_host(
    int32_t type,
    int64_t const* shape,
    void const* logits,
    float const* threshold,
    int32_t classes,
    int32_t policy,
    float const* gate_weights, int64_t gate_weights_count,
    float gate_bias,
    int32_t* exit,
    int32_t* label,
    float* confidence,
    int32_t* survivors,
    int32_t* count);
