// Where a tile lies, and how it fetches the columns of x that its filters are multiplied with.
#include <algorithm>

#include "effort/cpu/tile.h"

namespace edgesynth {
namespace {

bool AllZero(float const* row) {
    Int8 other = Load8(row) != 0.0f;
    for (int i = 1; i < kVectors; ++i) other |= Load8(row + 8 * i) != 0.0f;
    uint64_t words[4];
    std::memcpy(words, &other, sizeof(words));
    return (words[0] | words[1] | words[2] | words[3]) == 0;
}

}  // namespace

void EffortCpuTile::Locate(EffortCpuPlace const& place) {
    ConvShape const& shape = run_.shape;
    int32_t const period = layer_.knobs.sample_period;
    lanes_ = std::min(kLanes, place.rows * place.columns - place.first);
    first_filter_ = place.group * (shape.filters / shape.group);
    map_ = (place.sample * shape.channels + int64_t{place.group} * layer_.channels) * run_.plane;
    seen_ = kept_ = 0;
    int32_t row = place.first / place.columns, column = place.first % place.columns;
    for (int i = 0; i < kLanes; ++i) {
        if (i >= lanes_) {  // computed again, and thrown away
            base_[i] = base_[lanes_ - 1];
            continue;
        }
        int32_t const down = place.phase[0] + row * period;
        int32_t const right = place.phase[1] + column * period;
        base_[i] =
            int64_t{down} * shape.strides[0] * run_.width + int64_t{right} * shape.strides[1];
        out_[i] = down * run_.columns + right;
        cell_[i] = row * run_.sample_columns + column;
        if (++column == place.columns) {
            column = 0;
            ++row;
        }
    }
    LookForRuns();
}

// How vectors of lanes can be fetched.
void EffortCpuTile::LookForRuns() {
    int32_t const step = run_.shape.strides[1] * layer_.knobs.sample_period;
    for (int i = 0; i < kVectors; ++i) {
        int64_t const* const base = base_ + 8 * i;
        step_[i] = turn_[i] = 0;
        if (lanes_ < 8 * (i + 1) || step > 2) continue;
        int32_t turns = 0;
        for (int k = 1; k < 8; ++k) {
            if (base[k] - base[k - 1] == step) continue;
            turn_[i] = k;
            ++turns;
        }
        if (turns == 0) step_[i] = step;
        if (turns != 1 || step != 1 || !run_.slack) turn_[i] = 0;
    }
}

inline void EffortCpuTile::GatherRow(float const* from, float* to) const {
    for (int half = 0; half < kVectors; ++half) {
        int64_t const* const base = base_ + 8 * half;
        if (step_[half] == 1) {
            Store8(Load8(from + base[0]), to + 8 * half);
        } else if (step_[half] == 2) {
            Store8(LoadEveryOther8(from + base[0]), to + 8 * half);
        } else if (turn_[half] != 0) {
            Int8 const lanes{0, 1, 2, 3, 4, 5, 6, 7};
            Float8 const before = Load8(from + base[0]), behind = Load8(from + base[7] - 7);
            Store8(lanes < turn_[half] ? before : behind, to + 8 * half);
        } else {
            for (int i = 0; i < 8; ++i) to[8 * half + i] = from[base[i]];
        }
    }
}

void EffortCpuTile::AddChannels(int32_t first, int32_t last, EffortCpuCounts* counts) {
    ConvShape const& shape = run_.shape;
    for (int32_t rank = first; rank < last; ++rank) {
        int32_t const channel = layer_.order[static_cast<size_t>(rank)];
        if (filled_ + layer_.window > capacity_) Multiply(counts);
        int32_t place = channel * layer_.window;
        int rows = 0;
        for (int32_t i = 0; i < shape.kernel[0]; ++i) {
            float const* const line =
                run_.x + map_ + channel * run_.plane + int64_t{i} * shape.dilations[0] * run_.width;
            for (int32_t j = 0; j < shape.kernel[1]; ++j, ++rows) {
                size_t const at = static_cast<size_t>(filled_ + rows);
                GatherRow(line + int64_t{j} * shape.dilations[1], columns_.data() + at * kLanes);
                places_[at] = place++;
            }
        }
        uint32_t similar = 0;
        if (layer_.takes_means) rows = TakeMeans(channel, rows, &similar);
        if (counts != nullptr) NoteCost(rows, layer_.window, similar);
        seen_ += rows;
        if (run_.skips_zeros) rows = DropZeros(rows);
        kept_ += rows;
        filled_ += rows;
    }
    Multiply(counts);
}

// Puts the mean into lanes whose window is similar; into one row where all are. The rows that are
// left.
int EffortCpuTile::TakeMeans(int32_t channel, int rows, uint32_t* similar) {
    float* const from = columns_.data() + static_cast<size_t>(filled_) * kLanes;
    Float8 mean[kVectors];
    Int8 mask[kVectors];
    for (int half = 0; half < kVectors; ++half) {
        Float8 most = Load8(from + 8 * half), least = most, sum = most;
        for (int i = 1; i < rows; ++i) {
            Float8 const x = Load8(from + i * kLanes + 8 * half);
            most = x > most ? x : most;
            least = x < least ? x : least;
            sum += x;
        }
        // With NaN or infinity in the window `sum - sum` is NaN.
        mask[half] = ((sum - sum) == 0.0f) & ((most - least) <= layer_.knobs.similarity);
        mean[half] = sum / static_cast<float>(rows);
    }
    *similar = BitsOf(mask);
    if (*similar == 0) return rows;
    int const left = *similar == (1u << kLanes) - 1u ? 1 : rows;
    for (int i = 0; i < left; ++i) {
        for (int half = 0; half < kVectors; ++half) {
            float* const to = from + i * kLanes + 8 * half;
            Store8(mask[half] ? mean[half] : Load8(to), to);
        }
    }
    if (left == 1) {
        places_[static_cast<size_t>(filled_)] = layer_.channels * layer_.window + channel;
    }
    return left;
}

int EffortCpuTile::DropZeros(int rows) {
    float* const from = columns_.data() + static_cast<size_t>(filled_) * kLanes;
    int32_t* const places = places_.data() + filled_;
    int kept = 0;
    for (int i = 0; i < rows; ++i) {
        if (AllZero(from + i * kLanes)) continue;
        if (kept != i) {
            std::memcpy(from + kept * kLanes, from + i * kLanes, kLanes * sizeof(float));
            places[kept] = places[i];
        }
        ++kept;
    }
    return kept;
}

void EffortCpuTile::NoteCost(int rows, int32_t window, uint32_t similar) {
    float const* const from = columns_.data() + static_cast<size_t>(filled_) * kLanes;
    if (similar == 0) {
        for (int i = 0; i < kLanes; i += 8) {
            Int8 nonzero;
            std::memcpy(&nonzero, total_.nonzero + i, sizeof(nonzero));
            for (int row = 0; row < rows; ++row) nonzero -= Load8(from + row * kLanes + i) != 0.0f;
            std::memcpy(total_.nonzero + i, &nonzero, sizeof(nonzero));
        }
        for (int i = 0; i < kLanes; ++i) total_.products[i] += window;
        return;
    }
    for (int i = 0; i < kLanes; ++i) {
        bool const mean = (similar >> i & 1u) != 0;
        total_.products[i] += mean ? 1 : window;
        if (mean) {
            total_.nonzero[i] += from[i] != 0.0f;
            continue;
        }
        for (int row = 0; row < rows; ++row) total_.nonzero[i] += from[row * kLanes + i] != 0.0f;
    }
}

}  // namespace edgesynth
