// Single outputs: where few of a tile's lanes are left, each costs no more than itself.
//
// Weights and x lie pixel by pixel with the channels of a pixel side by side, in the order in which
// they are added up, so that eight channels are one vector and a window's row is one run of
// memory. Channels before and behind the prefix of predicted saturation are two parts.
#pragma once

#include <vector>

#include "effort/cpu/vectors.h"

namespace edgesynth {

class EffortCpuConv;

constexpr int kParts = 2;
constexpr int kDotsAtOnce = 8;
// Of 16 lanes: with more of them left, a tile is faster.
constexpr int kFewLanes = 11;

// Channels first <= rank < last of a layer's order.
struct EffortCpuPart {
    int32_t first, last;
    int32_t padded;              // to whole vectors
    std::vector<float> weights;  // [filter][kernel][padded]
};

// The parts of `layer`, whose shape, order, weights and knobs are set; none where its sums must not
// be added in another order, or all of a tile's lanes are always needed.
void MakeParts(EffortCpuConv* layer);

// x of one run, padded, as one part reads it: [sample][group][height][width][padded]. Channels from
// `added` on are 0.
void PackPart(EffortCpuConv const& layer, EffortCpuPart const& part, float const* x,
              int64_t samples, int64_t plane, int32_t added, std::vector<float>* packed);

// Adds to sums[lane], for each of the `count` lanes, the products of `filter` with the window whose
// corner is the pixel base[lane] of `x`, which begins with its sample and group.
void AddDots(EffortCpuConv const& layer, EffortCpuPart const& part, float const* x, int32_t width,
             int64_t filter, int64_t const* base, int const* lanes, int count, float* sums);

}  // namespace edgesynth
