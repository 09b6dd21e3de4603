// From the attributes of an EsEffortConv to what its kernel reads. Host only, no CUDA.
//
// One array of bytes, each section at a multiple of 16:
//
//     weights      float or half   of every group and eight of its filters `rows` times eight
//                                  numbers, one per filter (0 beyond the last): a row for each
//                                  column, channels in order; then, where windows may count as
//                                  their mean, a row for each channel with the sum of its window
//     thresholds   M x float       settled M x int32     order C / group x int32
//     level_table  levels x int32
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "effort/effort.h"

namespace edgesynth {

constexpr int32_t kFiltersTogether = 8;

// Attributes of a node; arrays on the host.
struct EffortAttributes {
    float const* weights;  // (M, C / group, kernel)
    int32_t const* channel_order;
    int32_t const* level_channels;
    int64_t levels;
    float const* thresholds;  // one, or M
    int64_t threshold_count;
};

struct EffortPacked {
    EffortLayout layout;
    std::vector<uint8_t> bytes;
};

// The layout for `shape` (whose samples and extents do not matter) with `levels` of effort; bytes
// is -1 where it overflows.
EffortLayout LayoutOfEffort(ConvShape const& shape, DataType type, EffortKnobs const& knobs,
                            int64_t levels);

// The result is empty, or one sentence that says what is wrong; `packed` is then not to be used.
std::string PackEffort(EffortAttributes const& attributes, ConvShape const& shape, DataType type,
                       EffortKnobs const& knobs, EffortPacked* packed);

// What is wrong with the knobs of a layer; empty for nothing.
std::string WrongKnob(EffortKnobs const& knobs, int64_t channels_of_group, Activation activation);

// Do windows of this layer count as their mean where they are similar?
bool TakesMeans(ConvShape const& shape, EffortKnobs const& knobs);

}  // namespace edgesynth
