#include "effort/cpu/tile.h"

#include <algorithm>
#include <cmath>

namespace edgesynth {
namespace {

constexpr int kColumnsTogether = 256;  // of x, read by every filter while they are cached
constexpr int kFiltersAtOnce = 6;      // twice as many sums, x and a weight: 15 registers

uint32_t BitsOf(Int8 const (&masks)[kVectors]) {
    uint32_t bits = 0;
    for (int i = 0; i < kLanes; ++i) {
        bits |= (static_cast<uint32_t>(masks[i / 8][i % 8]) & 1u) << i;
    }
    return bits;
}

bool AllZero(float const* row) {
    Int8 other = Load8(row) != 0.0f;
    for (int i = 1; i < kVectors; ++i) other |= Load8(row + 8 * i) != 0.0f;
    uint64_t words[4];
    std::memcpy(words, &other, sizeof(words));
    return (words[0] | words[1] | words[2] | words[3]) == 0;
}

// MultiplyColumns for a number of filters that is known when it runs: 1 to kMost.
template <int kMost>
struct Multiplication {
    static void Run(size_t filters, float const* x, int32_t const* places, int count,
                    float const* const* weights, float* const* sums) {
        if (filters == kMost) {
            MultiplyColumns<kMost>(x, places, count, weights, sums);
        } else {
            Multiplication<kMost - 1>::Run(filters, x, places, count, weights, sums);
        }
    }
};
template <>
struct Multiplication<0> {
    static void Run(size_t, float const*, int32_t const*, int, float const* const*, float* const*) {
    }
};

}  // namespace

EffortCpuTile::EffortCpuTile(EffortCpuRun const& run)
    : run_(run), layer_(run.layer), capacity_(std::max(kColumnsTogether, run.layer.window)) {
    size_t const filters = static_cast<size_t>(run_.shape.filters / run_.shape.group);
    columns_.resize(static_cast<size_t>(capacity_ + layer_.window) * kLanes);
    places_.resize(static_cast<size_t>(capacity_ + layer_.window));
    sums_.resize(filters * kLanes);
    needed_.resize(filters);
    predicted_.resize(filters);
}

void EffortCpuTile::Compute(EffortCpuPlace const& place, EffortCpuCounts* counts) {
    Locate(place);
    ChooseFilters(place);
    if (wanted_.empty()) return;
    EffortKnobs const& knobs = layer_.knobs;
    prefix_ = total_ = Cost{};
    for (int32_t rank = 0; rank < run_.added && !alive_.empty();) {
        bool const looks = knobs.saturation != Saturation::kOff &&
                           (rank == 0 || knobs.saturation == Saturation::kExact);
        int32_t const next =
            looks ? std::min(run_.added, rank + knobs.prefix_channels) : run_.added;
        AddChannels(rank, next, counts);
        rank = next;
        if (!looks || rank == run_.added) continue;
        if (knobs.saturation == Saturation::kPredicted) prefix_ = total_;
        LookForSaturation(rank);
    }
    Write(place);
    if (counts != nullptr) Count(counts);
}

void EffortCpuTile::Locate(EffortCpuPlace const& place) {
    ConvShape const& shape = run_.shape;
    int32_t const period = layer_.knobs.sample_period;
    lanes_ = std::min(kLanes, place.rows * place.columns - place.first);
    first_filter_ = place.group * (shape.filters / shape.group);
    int64_t const map =
        (place.sample * shape.channels + int64_t{place.group} * layer_.channels) * run_.plane;
    int32_t row = place.first / place.columns, column = place.first % place.columns;
    for (int i = 0; i < kLanes; ++i) {
        if (i >= lanes_) {  // computed again, and thrown away
            base_[i] = base_[lanes_ - 1];
            continue;
        }
        int32_t const down = place.phase[0] + row * period;
        int32_t const right = place.phase[1] + column * period;
        base_[i] =
            map + int64_t{down} * shape.strides[0] * run_.width + int64_t{right} * shape.strides[1];
        out_[i] = down * run_.columns + right;
        cell_[i] = row * run_.sample_columns + column;
        if (++column == place.columns) {
            column = 0;
            ++row;
        }
    }
    for (int i = 0; i < kVectors; ++i) {
        joined_[i] = shape.strides[1] * period == 1 && base_[8 * i + 7] - base_[8 * i] == 7;
    }
}

void EffortCpuTile::ChooseFilters(EffortCpuPlace const& place) {
    wanted_.clear();
    int64_t const map = place.sample * run_.shape.filters + first_filter_;
    int64_t const cells =
        int64_t{run_.sample_columns} * DivUp(run_.rows, layer_.knobs.sample_period);
    uint32_t const all = (1u << lanes_) - 1u;
    for (int32_t f = place.first_filter; f < place.last_filter; ++f) {
        uint32_t needed = all;
        if (run_.agree != nullptr) {
            uint8_t const* const agree = run_.agree + (map + f) * cells;
            needed = 0;
            for (int i = 0; i < lanes_; ++i) {
                needed |= static_cast<uint32_t>(agree[cell_[i]] == 0) << i;
            }
            if (needed == 0) continue;
        }
        wanted_.push_back(f);
        needed_[static_cast<size_t>(f)] = needed;
        predicted_[static_cast<size_t>(f)] = 0;
        std::fill_n(sums_.begin() + int64_t{f} * kLanes, kLanes, 0.0f);
    }
    alive_ = wanted_;
}

void EffortCpuTile::GatherRow(float const* from, float* to) const {
    for (int half = 0; half < kVectors; ++half) {
        int64_t const* const base = base_ + 8 * half;
        if (joined_[half]) {
            Store8(Load8(from + base[0]), to + 8 * half);
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
                run_.x + channel * run_.plane + int64_t{i} * shape.dilations[0] * run_.width;
            for (int32_t j = 0; j < shape.kernel[1]; ++j, ++rows) {
                size_t const at = static_cast<size_t>(filled_ + rows);
                GatherRow(line + int64_t{j} * shape.dilations[1], columns_.data() + at * kLanes);
                places_[at] = place++;
            }
        }
        uint32_t similar = 0;
        if (layer_.takes_means) rows = TakeMeans(channel, rows, &similar);
        if (counts != nullptr) NoteCost(rows, layer_.window, similar);
        if (run_.skips_zeros) rows = DropZeros(rows);
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

void EffortCpuTile::Multiply(EffortCpuCounts* counts) {
    float const* weights[kFiltersAtOnce];
    float* sums[kFiltersAtOnce];
    for (size_t first = 0; first < alive_.size() && filled_ > 0; first += kFiltersAtOnce) {
        size_t const count = std::min<size_t>(kFiltersAtOnce, alive_.size() - first);
        for (size_t i = 0; i < count; ++i) {
            int32_t const f = alive_[first + i];
            weights[i] = layer_.Weights(first_filter_ + f);
            sums[i] = sums_.data() + static_cast<size_t>(f) * kLanes;
        }
        float const* const x = columns_.data();
        int32_t const* const places = places_.data();
        Multiplication<kFiltersAtOnce>::Run(count, x, places, filled_, weights, sums);
    }
    if (counts != nullptr) {
        counts->executed += int64_t{filled_} * lanes_ * static_cast<int64_t>(alive_.size());
    }
    filled_ = 0;
}

void EffortCpuTile::LookForSaturation(int32_t rank) {
    bool const exact = layer_.knobs.saturation == Saturation::kExact;
    auto const ends = [&](int32_t f) {
        size_t const filter = static_cast<size_t>(first_filter_ + f), at = static_cast<size_t>(f);
        if (exact && layer_.settled[filter] > rank) return false;
        float const* const sums = sums_.data() + at * kLanes;
        float const limit = exact ? 0.0f : layer_.thresholds[filter];
        Int8 below[kVectors];
        for (int i = 0; i < kVectors; ++i) {
            Float8 const sum = Load8(sums + 8 * i) + layer_.bias[filter];
            below[i] = exact ? sum <= limit : sum < limit;
        }
        uint32_t const ended = BitsOf(below);
        if (!exact) predicted_[at] = ended;
        return (needed_[at] & ~ended) == 0;
    };
    alive_.erase(std::remove_if(alive_.begin(), alive_.end(), ends), alive_.end());
}

void EffortCpuTile::Write(EffortCpuPlace const& place) {
    int64_t const map = int64_t{run_.rows} * run_.columns;
    bool const relu = layer_.activation == Activation::kRelu;
    for (int32_t const f : wanted_) {
        size_t const at = static_cast<size_t>(f);
        float const bias = layer_.bias[static_cast<size_t>(first_filter_ + f)];
        float* const y = run_.y + (place.sample * run_.shape.filters + first_filter_ + f) * map;
        float const* const sums = sums_.data() + at * kLanes;
        for (int i = 0; i < lanes_; ++i) {
            if ((needed_[at] >> i & 1u) == 0) continue;
            float const value = sums[i] + bias;
            bool const zero = (predicted_[at] >> i & 1u) != 0 || (relu && value < 0.0f);
            y[out_[i]] = zero ? 0.0f : value;
        }
    }
}

void EffortCpuTile::Count(EffortCpuCounts* counts) const {
    for (int32_t const f : wanted_) {
        for (int i = 0; i < lanes_; ++i) {
            if ((needed_[static_cast<size_t>(f)] >> i & 1u) == 0) continue;
            bool const ends = (predicted_[static_cast<size_t>(f)] >> i & 1u) != 0;
            counts->products += (ends ? prefix_ : total_).products[i];
            counts->nonzero += (ends ? prefix_ : total_).nonzero[i];
            counts->predicted += ends;
        }
    }
}

}  // namespace edgesynth
