#include "common/entries.h"
#include "common/staged.h"
#include "effort/packing.h"

namespace edgesynth {
namespace {

// Host pointers of a call.
struct Call {
    void const* x;
    int32_t const* effort;
    float const* bias;
    void* y;
};

cudaError_t Run(EffortConv layer, EffortPacked const& packed, Call const& call) {
    ConvShape const& shape = layer.shape;
    int64_t const size = SizeOf(layer.type);
    int64_t const inputs = CheckedProduct(shape.samples, shape.channels, shape.height, shape.width);
    int64_t const outputs =
        CheckedProduct(shape.samples, shape.filters, OutputSide(shape, 0), OutputSide(shape, 1));
    FirstError error;
    Staged const weights(packed.bytes.data(), packed.layout.bytes, &error);
    Staged const bias(call.bias, int64_t{shape.filters} * 4, &error);
    Staged const x(call.x, inputs * size, &error);
    Staged const effort(call.effort, 4, &error);
    Staged y(outputs * size, &error);
    if (!error.Ok()) return error.Get();
    layer.layout = packed.layout;
    layer.weights = weights.As<void>();
    layer.bias = bias.As<float>();
    error.Note(LaunchEffortConv(layer, x.As<void>(), effort.As<int32_t>(), y.As<void>(), nullptr,
                                nullptr));
    error.Note(cudaDeviceSynchronize());
    y.CopyTo(call.y);
    return error.Get();
}

}  // namespace
}  // namespace edgesynth

ES_ENTRY int32_t es_effort_conv_host(
    int32_t type, int64_t const* shape, void const* x, int32_t const* effort,
    int32_t const* weight_shape, float const* weights, int64_t weights_count, float const* bias,
    int64_t bias_count, int32_t const* strides, int32_t const* pads, int32_t const* dilations,
    int32_t group, int32_t activation, int32_t const* channel_order, int64_t channel_order_count,
    int32_t const* level_channels, int64_t level_channels_count, int32_t saturation,
    int32_t prefix_channels, float const* prefix_thresholds, int64_t prefix_thresholds_count,
    float similarity, int32_t sample_period, float sample_below, float sample_within,
    float input_threshold, void* y) {
    using namespace edgesynth;
    for (int axis = 0; axis < 4; ++axis) {
        if (shape[axis] > INT32_MAX) return cudaErrorInvalidValue;
    }
    ConvShape const conv{static_cast<int32_t>(shape[0]),
                         static_cast<int32_t>(shape[1]),
                         static_cast<int32_t>(shape[2]),
                         static_cast<int32_t>(shape[3]),
                         weight_shape[0],
                         group,
                         {weight_shape[2], weight_shape[3]},
                         {strides[0], strides[1]},
                         {pads[0], pads[1], pads[2], pads[3]},
                         {dilations[0], dilations[1]}};
    if (!IsValid(conv) || !IsValid(static_cast<DataType>(type)) || bias_count != conv.filters ||
        channel_order_count != conv.channels / group ||
        weights_count != conv.filters * FilterWeights(conv)) {
        return cudaErrorInvalidValue;
    }
    EffortKnobs const knobs{static_cast<Saturation>(saturation),
                            prefix_channels,
                            similarity,
                            sample_period,
                            sample_below,
                            sample_within,
                            input_threshold};
    EffortConv const layer{conv,
                           static_cast<DataType>(type),
                           static_cast<Activation>(activation),
                           knobs,
                           EffortLayout{},
                           nullptr,
                           nullptr};
    EffortAttributes const attributes{weights,           channel_order,
                                      level_channels,    level_channels_count,
                                      prefix_thresholds, prefix_thresholds_count};
    EffortPacked packed;
    if (!PackEffort(attributes, conv, layer.type, knobs, &packed).empty()) {
        return cudaErrorInvalidValue;
    }
    return Run(layer, packed, Call{x, effort, bias, y});
}
