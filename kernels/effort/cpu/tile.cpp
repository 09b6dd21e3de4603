#include "effort/cpu/tile.h"

#include <algorithm>
#include <cmath>

namespace edgesynth {
namespace {

constexpr int kColumnsTogether = 256;  // of x, read by every filter while they are cached
constexpr int kFiltersAtOnce = 6;      // twice as many sums, x and a weight: 15 registers

constexpr size_t kFewFilters = 3;  // fewer than one in so many
constexpr uint32_t kAllLanes = (1u << kLanes) - 1u;

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
    columns_.Resize(static_cast<size_t>(capacity_ + layer_.window) * kLanes);
    places_.resize(static_cast<size_t>(capacity_ + layer_.window));
    sums_.Resize(filters * kLanes);
    needed_.resize(filters);
    predicted_.resize(filters);
    left_.resize(filters);
}

void EffortCpuTile::Compute(EffortCpuPlace const& place, EffortCpuCounts* counts) {
    Locate(place);
    ChooseFilters(place);
    if (wanted_.empty()) return;
    EffortKnobs const& knobs = layer_.knobs;
    prefix_ = total_ = Cost{};
    for (int32_t rank = 0; rank < run_.added && !(alive_.empty() && few_.empty());) {
        bool const looks = knobs.saturation != Saturation::kOff &&
                           (rank == 0 || knobs.saturation == Saturation::kExact);
        int32_t const next =
            looks ? std::min(run_.added, rank + knobs.prefix_channels) : run_.added;
        if (!alive_.empty() || counts != nullptr) AddChannels(rank, next, counts);
        AddFew(place, rank, next, counts);
        rank = next;
        if (!looks || rank == run_.added) continue;
        if (knobs.saturation == Saturation::kPredicted) prefix_ = total_;
        LookForSaturation(rank);
    }
    Write(place);
    if (counts != nullptr) Count(counts);
}

void EffortCpuTile::ChooseFilters(EffortCpuPlace const& place) {
    wanted_.clear();
    alive_.clear();
    few_.clear();
    int64_t const map = place.sample * run_.shape.filters + first_filter_;
    int64_t const cells =
        int64_t{run_.sample_columns} * DivUp(run_.rows, layer_.knobs.sample_period);
    uint32_t const all = (1u << lanes_) - 1u;
    bool const joined = all == kAllLanes && cell_[kLanes - 1] - cell_[0] == kLanes - 1;
    for (int32_t f = place.first_filter; f < place.last_filter; ++f) {
        uint32_t needed = all;
        if (run_.agree != nullptr) {
            int32_t const* const agree = run_.agree + (map + f) * cells;
            if (joined) {
                Int8 masks[kVectors];
                std::memcpy(masks, agree + cell_[0], sizeof(masks));
                needed &= ~BitsOf(masks);
            } else {
                for (int i = 0; i < lanes_; ++i) {
                    needed &= ~(static_cast<uint32_t>(agree[cell_[i]] & 1) << i);
                }
            }
            if (needed == 0) continue;
        }
        size_t const at = static_cast<size_t>(f);
        wanted_.push_back(f);
        (IsFew(needed) ? few_ : alive_).push_back(f);
        needed_[at] = left_[at] = needed;
        predicted_[at] = 0;
        std::fill_n(sums_.data() + int64_t{f} * kLanes, kLanes, 0.0f);
    }
    LeaveFew();
}

// Fetching columns for hardly any filter does not pay.
void EffortCpuTile::LeaveFew() {
    if (alive_.size() * kFewFilters > few_.size()) return;
    few_.insert(few_.end(), alive_.begin(), alive_.end());
    alive_.clear();
}

// Is it faster to compute these lanes one by one? Never where nothing is saved: all sums of a tile
// are then added in the order of the channels, as without knobs.
bool EffortCpuTile::IsFew(uint32_t lanes) const {
    if (layer_.parts.empty() || lanes == (1u << lanes_) - 1u) return false;
    int limit = kFewLanes;
    if (run_.skips_zeros) limit = seen_ == 0 ? limit / 2 : limit * kept_ / seen_;
    return __builtin_popcount(lanes) <= limit;
}

void EffortCpuTile::AddFew(EffortCpuPlace const& place, int32_t first, int32_t last,
                           EffortCpuCounts* counts) {
    if (few_.empty()) return;
    size_t const index = first == 0 ? 0 : 1;
    EffortCpuPart const& part = layer_.parts[index];
    int64_t const group = place.sample * run_.shape.group + place.group;
    float const* const map = run_.parts[index] + group * run_.plane * part.padded;
    float const* x[kLanes];
    for (int i = 0; i < kLanes; ++i) x[i] = map + base_[i] * part.padded;
    for (int32_t const f : few_) {
        int lanes[kLanes], count = 0;
        for (uint32_t left = left_[static_cast<size_t>(f)]; left != 0; left &= left - 1) {
            lanes[count++] = __builtin_ctz(left);
        }
        AddDots(layer_, part, x, run_.width, first_filter_ + f, lanes, count,
                sums_.data() + int64_t{f} * kLanes);
        if (counts != nullptr) counts->executed += int64_t{count} * layer_.window * (last - first);
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

// Lanes whose sum lies below the limit.
uint32_t EffortCpuTile::EndedOf(int32_t f) const {
    bool const exact = layer_.knobs.saturation == Saturation::kExact;
    size_t const filter = static_cast<size_t>(first_filter_ + f);
    float const* const sums = sums_.data() + int64_t{f} * kLanes;
    float const limit = exact ? 0.0f : layer_.thresholds[filter];
    Int8 below[kVectors];
    for (int i = 0; i < kVectors; ++i) {
        Float8 const sum = Load8(sums + 8 * i) + layer_.bias[filter];
        below[i] = exact ? sum <= limit : sum < limit;
    }
    return BitsOf(below);
}

void EffortCpuTile::LookForSaturation(int32_t rank) {
    bool const exact = layer_.knobs.saturation == Saturation::kExact;
    auto const few_end = [&](int32_t f) {
        size_t const at = static_cast<size_t>(f);
        predicted_[at] = EndedOf(f);
        left_[at] &= ~predicted_[at];
        return left_[at] == 0;
    };
    few_.erase(std::remove_if(few_.begin(), few_.end(), few_end), few_.end());
    auto const leaves = [&](int32_t f) {
        size_t const at = static_cast<size_t>(f);
        if (exact && layer_.settled[static_cast<size_t>(first_filter_ + f)] > rank) return false;
        uint32_t const ended = EndedOf(f);
        if (!exact) predicted_[at] = ended;
        left_[at] = needed_[at] & ~ended;
        if (left_[at] == 0) return true;
        if (exact || !IsFew(left_[at])) return false;
        few_.push_back(f);
        return true;
    };
    alive_.erase(std::remove_if(alive_.begin(), alive_.end(), leaves), alive_.end());
    if (!exact) LeaveFew();
}

void EffortCpuTile::Write(EffortCpuPlace const& place) {
    int64_t const map = int64_t{run_.rows} * run_.columns;
    bool const whole = lanes_ == kLanes && layer_.knobs.sample_period == 1;
    for (int32_t const f : wanted_) {
        size_t const at = static_cast<size_t>(f);
        float const bias = layer_.bias[static_cast<size_t>(first_filter_ + f)];
        float* const y = run_.y + (place.sample * run_.shape.filters + first_filter_ + f) * map;
        float const* const sums = sums_.data() + int64_t{f} * kLanes;
        if (whole) {
            Finish(sums, bias, predicted_[at], y + out_[0]);
            continue;
        }
        float outputs[kLanes];
        Finish(sums, bias, predicted_[at], outputs);
        for (uint32_t needed = needed_[at]; needed != 0; needed &= needed - 1) {
            int const lane = __builtin_ctz(needed);
            y[out_[lane]] = outputs[lane];
        }
    }
}

// From the sums of a tile to its outputs.
void EffortCpuTile::Finish(float const* sums, float bias, uint32_t predicted, float* y) const {
    Int8 const bits{1, 2, 4, 8, 16, 32, 64, 128};
    Float8 const zeros{};
    bool const relu = layer_.activation == Activation::kRelu;
    for (int i = 0; i < kVectors; ++i) {
        Float8 value = Load8(sums + 8 * i) + bias;
        if (relu) value = value < 0.0f ? zeros : value;
        Int8 const ended = (static_cast<int32_t>(predicted >> (8 * i) & 255u) & bits) != 0;
        Store8(ended ? zeros : value, y + 8 * i);
    }
}

void EffortCpuTile::Count(EffortCpuCounts* counts) const {
    uint32_t const all = (1u << lanes_) - 1u;
    EffortCpuCounts whole{0, 0, 0, 0, 0};  // of a filter with all lanes computed to the end
    for (int i = 0; i < lanes_; ++i) {
        whole.products += total_.products[i];
        whole.nonzero += total_.nonzero[i];
    }
    for (int32_t const f : wanted_) {
        uint32_t const needed = needed_[static_cast<size_t>(f)];
        uint32_t const predicted = predicted_[static_cast<size_t>(f)];
        if (needed == all && predicted == 0) {
            counts->products += whole.products;
            counts->nonzero += whole.nonzero;
            continue;
        }
        for (uint32_t left = needed; left != 0; left &= left - 1) {
            int const i = __builtin_ctz(left);
            bool const ends = (predicted >> i & 1u) != 0;
            counts->products += (ends ? prefix_ : total_).products[i];
            counts->nonzero += (ends ? prefix_ : total_).nonzero[i];
            counts->predicted += ends;
        }
    }
}

}  // namespace edgesynth
