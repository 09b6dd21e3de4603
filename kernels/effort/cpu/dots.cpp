#include "effort/cpu/dots.h"

#include <algorithm>

#include "effort/cpu/layer.h"

namespace edgesynth {
namespace {

// A window: `runs` pieces of memory of `vectors` each, `step` numbers apart in x.
struct Window {
    int32_t runs, vectors;
    int64_t step;
};

// Several chains of sums, so that no addition waits for the one before.
template <int kDots>
void Dots(Window const& window, float const* weights, float const* const* x, float* to) {
    constexpr int kChains = kDots <= 2 ? 4 : kDots <= 4 ? 2 : 1;
    Float8 sums[kChains][kDots] = {};
    for (int32_t run = 0; run < window.runs; ++run) {
        float const* from[kDots];
        for (int i = 0; i < kDots; ++i) from[i] = x[i] + run * window.step;
        int32_t at = 0;
        for (; at + kChains <= window.vectors; at += kChains, weights += 8 * kChains) {
            for (int chain = 0; chain < kChains; ++chain) {
                Float8 const weight = Load8(weights + 8 * chain);
                for (int i = 0; i < kDots; ++i) {
                    sums[chain][i] += weight * Load8(from[i] + 8 * (at + chain));
                }
            }
        }
        for (; at < window.vectors; ++at, weights += 8) {
            Float8 const weight = Load8(weights);
            for (int i = 0; i < kDots; ++i) sums[0][i] += weight * Load8(from[i] + 8 * at);
        }
    }
    Float8 totals[kDotsAtOnce] = {};
    for (int i = 0; i < kDots; ++i) {
        totals[i] = sums[0][i];
        for (int chain = 1; chain < kChains; ++chain) totals[i] += sums[chain][i];
    }
    Store8(Load8(to) + SumsOf(totals), to);
}

using DotsOfSome = void (*)(Window const&, float const*, float const* const*, float*);
DotsOfSome const kDots[kDotsAtOnce] = {Dots<1>, Dots<2>, Dots<3>, Dots<4>,
                                       Dots<5>, Dots<6>, Dots<7>, Dots<8>};

EffortCpuPart MakePart(EffortCpuConv const& layer, int32_t first, int32_t last) {
    EffortCpuPart part{first, last, RoundUp(last - first, 8), {}};
    part.weights.resize(static_cast<size_t>(layer.shape.filters) * layer.window * part.padded);
    for (int32_t filter = 0; filter < layer.shape.filters; ++filter) {
        float const* const from = layer.Weights(filter);
        float* const to = part.weights.data() + int64_t{filter} * layer.window * part.padded;
        for (int32_t rank = first; rank < last; ++rank) {
            int64_t const channel = layer.order[static_cast<size_t>(rank)];
            for (int32_t i = 0; i < layer.window; ++i) {
                to[int64_t{i} * part.padded + rank - first] = from[channel * layer.window + i];
            }
        }
    }
    return part;
}

}  // namespace

void MakeParts(EffortCpuConv* layer) {
    bool const predicts = layer->knobs.saturation == Saturation::kPredicted;
    bool const saves = predicts || layer->knobs.sample_period > 1;
    if (!saves || layer->takes_means || layer->knobs.saturation == Saturation::kExact) return;
    int32_t const cut = predicts ? layer->knobs.prefix_channels : layer->channels;
    layer->parts.push_back(MakePart(*layer, 0, cut));
    if (cut < layer->channels) layer->parts.push_back(MakePart(*layer, cut, layer->channels));
}

void PackPart(EffortCpuConv const& layer, EffortCpuPart const& part, float const* x,
              int64_t samples, int64_t plane, int32_t added, std::vector<float>* packed) {
    int64_t const groups = samples * layer.shape.group;
    packed->resize(static_cast<size_t>(groups * plane * part.padded));
    int32_t const last = std::min(part.last, added);
#pragma omp parallel for schedule(static)
    for (int64_t group = 0; group < groups; ++group) {
        float const* const from = x + group * layer.channels * plane;
        float* const to = packed->data() + group * plane * part.padded;
        for (int32_t begin = 0; begin < part.padded; begin += 8) {
            float const* maps[8];
            int const count = std::max(0, std::min(8, last - part.first - begin));
            for (int i = 0; i < count; ++i) {
                int64_t const rank = part.first + begin + i;
                maps[i] = from + layer.order[static_cast<size_t>(rank)] * plane;
            }
            float* out = to + begin;
            for (int64_t at = 0; at < plane; ++at, out += part.padded) {
                Store8(Across(maps, count, at), out);
            }
        }
    }
}

void AddDots(EffortCpuConv const& layer, EffortCpuPart const& part, float const* const* x,
             int32_t width, int64_t filter, int const* lanes, int count, float* sums) {
    ConvShape const& shape = layer.shape;
    int64_t const line = int64_t{shape.dilations[0]} * width * part.padded;
    int64_t const row = int64_t{shape.kernel[1]} * part.padded;
    float const* const weights = part.weights.data() + filter * layer.window * part.padded;
    for (int first = 0; first < count; first += kDotsAtOnce) {
        int const some = std::min(kDotsAtOnce, count - first);
        float const* from[kDotsAtOnce];
        float to[kDotsAtOnce] = {};
        for (int i = 0; i < some; ++i) from[i] = x[lanes[first + i]];
        if (shape.dilations[1] == 1) {
            Window const window{shape.kernel[0], static_cast<int32_t>(row / 8), line};
            kDots[some - 1](window, weights, from, to);
        } else {
            Window const window{shape.kernel[1], part.padded / 8,
                                int64_t{shape.dilations[1]} * part.padded};
            for (int32_t i = 0; i < shape.kernel[0]; ++i) {
                kDots[some - 1](window, weights + i * row, from, to);
                for (int k = 0; k < some; ++k) from[k] += line;
            }
        }
        for (int i = 0; i < some; ++i) sums[lanes[first + i]] += to[i];
    }
}

}  // namespace edgesynth
