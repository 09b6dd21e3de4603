// A few neighbouring outputs of some filters of one group: what one thread computes at a time.
#pragma once

#include <vector>

#include "effort/cpu/layer.h"
#include "effort/cpu/vectors.h"

namespace edgesynth {

// One run of a layer. `x` is padded, if the layer pads: no window leaves it.
struct EffortCpuRun {
    EffortCpuConv const& layer;
    ConvShape shape;  // with samples and extents
    float const* x;
    bool slack;             // may eight numbers before and behind x be read?
    int32_t width;          // of a padded row
    int64_t plane;          // of a padded map
    int32_t rows, columns;  // P, Q
    int32_t added;          // channels that are added up
    bool skips_zeros;
    float* y;
    int32_t const* agree;  // of every sample of every map, row by row: -1 where the outputs between
                           // it and its neighbours are told from them, else 0. Null while samples
                           // are computed.
    int32_t sample_columns;
    float const* parts[kParts];  // x for single outputs; see dots.h
};

// Outputs first <= i < first + kLanes of a phase's grid, which has `rows` x `columns`, and
// filters first_filter <= f < last_filter of `group`.
struct EffortCpuPlace {
    int64_t sample;
    int32_t group, first_filter, last_filter;
    int32_t phase[2], rows, columns;
    int32_t first;
};

// Memory of a thread, and how it works through a place.
class EffortCpuTile {
  public:
    explicit EffortCpuTile(EffortCpuRun const& run);

    // `counts` is added to; null for none.
    void Compute(EffortCpuPlace const& place, EffortCpuCounts* counts);

  private:
    struct Cost {  // of one lane, for any filter
        int32_t products[kLanes], nonzero[kLanes];
    };

    void Locate(EffortCpuPlace const& place);
    void LookForRuns();
    void ChooseFilters(EffortCpuPlace const& place);
    void AddChannels(int32_t first, int32_t last, EffortCpuCounts* counts);
    void AddFew(EffortCpuPlace const& place, int32_t first, int32_t last, EffortCpuCounts* counts);
    bool IsFew(uint32_t lanes) const;
    void LeaveFew();
    void GatherRow(float const* from, float* to) const;
    int TakeMeans(int32_t channel, int rows, uint32_t* similar);
    int DropZeros(int rows);
    void NoteCost(int rows, int32_t kept, uint32_t similar);
    void Multiply(EffortCpuCounts* counts);
    void LookForSaturation(int32_t rank);
    uint32_t EndedOf(int32_t f) const;
    void Write(EffortCpuPlace const& place);
    void Finish(float const* sums, float bias, uint32_t predicted, float* y) const;
    void Count(EffortCpuCounts* counts) const;

    EffortCpuRun const& run_;
    EffortCpuConv const& layer_;
    int capacity_;
    Aligned columns_;                           // [capacity][kLanes]
    std::vector<int32_t> places_;               // of their weights
    int filled_ = 0;                            // columns
    Aligned sums_;                              // [filters of the group][kLanes]
    std::vector<int32_t> alive_;                // filters that still need columns
    std::vector<int32_t> few_;                  // filters that need them for a few lanes only
    std::vector<int32_t> wanted_;               // filters with an output to compute
    std::vector<uint32_t> needed_, predicted_;  // lanes, by filter
    std::vector<uint32_t> left_;                // lanes of `few_` that still need columns
    int64_t map_;                               // where the maps of the sample and group begin
    int64_t base_[kLanes];                      // corners of the windows in them
    int32_t out_[kLanes], cell_[kLanes];
    int32_t step_[kVectors];  // between eight lanes that lie 1 or 2 apart; 0 elsewhere
    int32_t turn_[kVectors];  // so many of eight lie next to each other, and so do the rest; or 0
    int32_t seen_ = 0, kept_ = 0;  // columns of this tile, and those that are not zero
    int lanes_ = 0;
    int32_t first_filter_ = 0;  // of the group, in the layer
    Cost prefix_, total_;
};

}  // namespace edgesynth
