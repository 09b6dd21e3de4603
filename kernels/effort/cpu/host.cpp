// What Python calls through ctypes; see edgesynth/operators/effort_cpu.py.
#include "common/entries.h"
#include "effort/cpu/cpu.h"

using edgesynth::EffortCpuConv;

// A layer from the attributes of an EsEffortConv; null where they are wrong.
ES_ENTRY EffortCpuConv* es_effort_cpu_make(
    int32_t const* weight_shape, float const* weights, int64_t weights_count, float const* bias,
    int64_t bias_count, int32_t const* strides, int32_t const* pads, int32_t const* dilations,
    int32_t group, int32_t activation, int32_t const* channel_order, int64_t channel_order_count,
    int32_t const* level_channels, int64_t level_channels_count, int32_t saturation,
    int32_t prefix_channels, float const* prefix_thresholds, int64_t prefix_thresholds_count,
    float similarity, int32_t sample_period, float sample_below, float sample_within,
    float input_threshold) {
    using namespace edgesynth;
    int64_t const channels = CheckedProduct(weight_shape[1], group);
    if (channels < 1 || channels > INT32_MAX) return nullptr;
    ConvShape const shape{0,
                          static_cast<int32_t>(channels),
                          0,
                          0,
                          weight_shape[0],
                          group,
                          {weight_shape[2], weight_shape[3]},
                          {strides[0], strides[1]},
                          {pads[0], pads[1], pads[2], pads[3]},
                          {dilations[0], dilations[1]}};
    if (weight_shape[0] % group != 0 || bias_count != weight_shape[0] ||
        channel_order_count != weight_shape[1] ||
        weights_count !=
            CheckedProduct(weight_shape[0], weight_shape[1], weight_shape[2], weight_shape[3])) {
        return nullptr;
    }
    EffortAttributes const attributes{weights,           channel_order,
                                      level_channels,    level_channels_count,
                                      prefix_thresholds, prefix_thresholds_count};
    EffortKnobs const knobs{static_cast<Saturation>(saturation),
                            prefix_channels,
                            similarity,
                            sample_period,
                            sample_below,
                            sample_within,
                            input_threshold};
    return MakeEffortCpuConv(shape, attributes, bias, static_cast<Activation>(activation), knobs);
}

ES_ENTRY void es_effort_cpu_free(EffortCpuConv* layer) { edgesynth::FreeEffortCpuConv(layer); }

// 0, or 1 where `shape`, that of x, does not fit the layer. `counts`: five numbers, or null.
ES_ENTRY int32_t es_effort_cpu_run(EffortCpuConv const* layer, float const* x, int64_t const* shape,
                                   int32_t effort, int32_t skips_zeros, float* y, int64_t* counts) {
    for (int axis = 0; axis < 4; ++axis) {
        if (shape[axis] < 0 || shape[axis] > INT32_MAX) return 1;
    }
    return edgesynth::RunEffortCpuConv(*layer, x, static_cast<int32_t>(shape[0]),
                                       static_cast<int32_t>(shape[2]),
                                       static_cast<int32_t>(shape[3]), effort, skips_zeros != 0, y,
                                       reinterpret_cast<edgesynth::EffortCpuCounts*>(counts))
               ? 0
               : 1;
}
