#include "effort/cpu/layer.h"

#include <algorithm>

namespace edgesynth {
namespace {

void TakeFilter(EffortAttributes const& from, int32_t filter, EffortCpuConv* layer) {
    float* const to = layer->weights.data() + filter * layer->row;
    int64_t const columns = int64_t{layer->channels} * layer->window;
    std::copy_n(from.weights + filter * columns, columns, to);
    int32_t settled = 0;
    for (int32_t rank = 0; rank < layer->channels; ++rank) {
        float const* const weights = to + int64_t{from.channel_order[rank]} * layer->window;
        double sum = 0.0;
        for (int32_t i = 0; i < layer->window; ++i) {
            sum += static_cast<double>(weights[i]);
            if (!(weights[i] <= 0.0f)) settled = rank + 1;
        }
        if (layer->takes_means) to[columns + from.channel_order[rank]] = static_cast<float>(sum);
    }
    layer->settled.push_back(settled);
    layer->thresholds.push_back(from.thresholds[from.threshold_count == 1 ? 0 : filter]);
}

}  // namespace

EffortCpuConv* MakeEffortCpuConv(ConvShape const& shape, EffortAttributes const& attributes,
                                 float const* bias, Activation activation,
                                 EffortKnobs const& knobs) {
    EffortPacked packed;  // says what is wrong; its bytes are for a GPU
    int32_t const channels = shape.channels / shape.group;
    if (!WrongKnob(knobs, channels, activation).empty() ||
        !PackEffort(attributes, shape, DataType::kFloat, knobs, &packed).empty()) {
        return nullptr;
    }
    EffortCpuConv* const layer = new EffortCpuConv;
    layer->shape = shape;
    layer->activation = activation;
    layer->knobs = knobs;
    layer->channels = channels;
    layer->window = shape.kernel[0] * shape.kernel[1];
    layer->takes_means = TakesMeans(shape, knobs);
    layer->row = FilterWeights(shape) + (layer->takes_means ? channels : 0);
    layer->weights.resize(static_cast<size_t>(shape.filters * layer->row));
    layer->bias.assign(bias, bias + shape.filters);
    layer->order.assign(attributes.channel_order, attributes.channel_order + channels);
    layer->levels.assign(attributes.level_channels, attributes.level_channels + attributes.levels);
    for (int32_t filter = 0; filter < shape.filters; ++filter) {
        TakeFilter(attributes, filter, layer);
    }
    MakeParts(layer);
    MakeNonzero(layer);
    return layer;
}

void FreeEffortCpuConv(EffortCpuConv* layer) { delete layer; }

}  // namespace edgesynth
