#include "effort/packing.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/half_bits.h"
#include "common/sizes.h"

namespace edgesynth {
namespace {

constexpr int64_t kAlignment = 16;

int64_t WindowOf(ConvShape const& shape) { return int64_t{shape.kernel[0]} * shape.kernel[1]; }

// Appends a section of `bytes` to `*end` and returns where it begins; -1 after an overflow.
int64_t Append(int64_t bytes, int64_t* end) {
    int64_t const begin = *end;
    if (begin < 0 || bytes < 0 || bytes > INT64_MAX / 2 - begin) return *end = -1;
    *end = RoundUp(begin + bytes, kAlignment);
    return begin;
}

void Store(float value, DataType type, int64_t index, uint8_t* bytes) {
    if (type == DataType::kFloat) {
        std::memcpy(bytes + index * 4, &value, 4);
    } else {
        uint16_t const bits = FloatToHalfBits(value);
        std::memcpy(bytes + index * 2, &bits, 2);
    }
}

bool IsPermutation(int32_t const* order, int64_t count) {
    std::vector<bool> seen(static_cast<size_t>(count), false);
    for (int64_t i = 0; i < count; ++i) {
        if (order[i] < 0 || order[i] >= count || seen[static_cast<size_t>(order[i])]) return false;
        seen[static_cast<size_t>(order[i])] = true;
    }
    return true;
}

bool AreLevels(int32_t const* levels, int64_t count, int64_t channels) {
    if (count < 1 || levels[0] != channels) return false;
    for (int64_t i = 1; i < count; ++i) {
        if (levels[i] < 1 || levels[i] >= levels[i - 1]) return false;
    }
    return true;
}

// The weights of one filter, in their rows.
void PackFilter(EffortAttributes const& from, ConvShape const& shape, int32_t filter,
                EffortPacked* packed) {
    EffortLayout const& layout = packed->layout;
    int64_t const window = WindowOf(shape), channels = shape.channels / shape.group;
    int32_t const per_group = shape.filters / shape.group;
    int64_t const together = int64_t{filter / per_group} * DivUp(per_group, kFiltersTogether) +
                             filter % per_group / kFiltersTogether;
    int64_t const first =
        together * layout.rows * kFiltersTogether + filter % per_group % kFiltersTogether;
    int32_t settled = 0;
    for (int64_t rank = 0; rank < channels; ++rank) {
        float const* const weights =
            from.weights + (filter * channels + from.channel_order[rank]) * window;
        double sum = 0.0;
        for (int64_t i = 0; i < window; ++i) {
            Store(weights[i], layout.type, first + (rank * window + i) * kFiltersTogether,
                  packed->bytes.data());
            sum += double{weights[i]};
            if (!(weights[i] <= 0.0f)) settled = static_cast<int32_t>(rank) + 1;
        }
        if (layout.rows > channels * window) {
            Store(static_cast<float>(sum), layout.type,
                  first + (channels * window + rank) * kFiltersTogether, packed->bytes.data());
        }
    }
    float const threshold = from.thresholds[from.threshold_count == 1 ? 0 : filter];
    std::memcpy(packed->bytes.data() + layout.thresholds + int64_t{filter} * 4, &threshold, 4);
    std::memcpy(packed->bytes.data() + layout.settled + int64_t{filter} * 4, &settled, 4);
}

}  // namespace

bool TakesMeans(ConvShape const& shape, EffortKnobs const& knobs) {
    return knobs.similarity >= 0.0f && WindowOf(shape) > 1;  // one number is its own mean
}

EffortLayout LayoutOfEffort(ConvShape const& shape, DataType type, EffortKnobs const& knobs,
                            int64_t levels) {
    EffortLayout layout{};
    layout.type = type;
    int64_t const channels = shape.channels / shape.group;
    int64_t const columns = FilterWeights(shape);
    int64_t const rows = columns < 0 ? -1 : columns + (TakesMeans(shape, knobs) ? channels : 0);
    int64_t const together = DivUp(shape.filters / shape.group, kFiltersTogether);
    layout.bytes = rows > INT32_MAX || levels > INT32_MAX ? -1 : 0;
    Append(CheckedProduct(rows, together, shape.group, kFiltersTogether, SizeOf(type)),
           &layout.bytes);
    layout.thresholds = Append(int64_t{shape.filters} * 4, &layout.bytes);
    layout.settled = Append(int64_t{shape.filters} * 4, &layout.bytes);
    layout.order = Append(channels * 4, &layout.bytes);
    layout.level_table = Append(levels * 4, &layout.bytes);
    if (layout.bytes < 0) return layout;
    layout.rows = static_cast<int32_t>(rows);
    layout.levels = static_cast<int32_t>(levels);
    return layout;
}

std::string WrongKnob(EffortKnobs const& knobs, int64_t channels_of_group, Activation activation) {
    auto const saturation = static_cast<int32_t>(knobs.saturation);
    if (saturation < 0 || saturation > 2) return "saturation is none of 0, 1 and 2";
    if (saturation != 0 && activation != Activation::kRelu) return "saturation goes with ReLU only";
    if (saturation != 0 &&
        (knobs.prefix_channels < 1 || knobs.prefix_channels >= channels_of_group)) {
        return "prefix_channels is not between 1 and all channels but one";
    }
    if (knobs.sample_period < 1 || knobs.sample_period > kMostSamplePeriod) {
        return "sample_period is not between 1 and 8";
    }
    if (!(knobs.input_threshold >= 0.0f && std::isfinite(knobs.input_threshold))) {
        return "input_threshold is no number from 0 on";
    }
    bool const numbers = std::isfinite(knobs.similarity) && std::isfinite(knobs.sample_below) &&
                         std::isfinite(knobs.sample_within);
    return numbers ? "" : "similarity, sample_below or sample_within is no number";
}

std::string PackEffort(EffortAttributes const& attributes, ConvShape const& shape, DataType type,
                       EffortKnobs const& knobs, EffortPacked* packed) {
    int64_t const channels = shape.channels / shape.group;
    if (!IsPermutation(attributes.channel_order, channels)) {
        return "channel_order does not hold every channel once";
    }
    if (!AreLevels(attributes.level_channels, attributes.levels, channels)) {
        return "level_channels does not descend strictly from all channels";
    }
    if (attributes.threshold_count != 1 && attributes.threshold_count != shape.filters) {
        return "prefix_thresholds are neither one nor as many as filters";
    }
    packed->layout = LayoutOfEffort(shape, type, knobs, attributes.levels);
    if (packed->layout.bytes < 0) return "the weights overflow";
    packed->bytes.assign(static_cast<size_t>(packed->layout.bytes), 0);
    for (int32_t filter = 0; filter < shape.filters; ++filter) {
        PackFilter(attributes, shape, filter, packed);
    }
    std::memcpy(packed->bytes.data() + packed->layout.order, attributes.channel_order,
                static_cast<size_t>(channels) * 4);
    std::memcpy(packed->bytes.data() + packed->layout.level_table, attributes.level_channels,
                static_cast<size_t>(attributes.levels) * 4);
    return "";
}

}  // namespace edgesynth
