// What a block of the staged convolution computes, and what it keeps in shared memory. Host code.
//
// A tile is kTileLanes x positions outputs of one image, in rows of `width`. With fp16 a tile has a
// second half of the same size below the first, and one element of shared memory is a half2: the
// inputs at the same place of both halves. So every window starts at a whole element, however it is
// shifted, which two neighbouring pixels in a half2 would not give.
//
// A lane's positions lie below each other. Elements of one row of input are sorted by their column
// modulo the stride, so that neighbouring lanes read neighbouring elements, and the pitch of a row
// keeps the lanes of a warp in different banks where they are several lines: of 16 or 8 lanes.
#pragma once

#include "common/convolution.h"
#include "sparse/sparse.h"

namespace edgesynth {

constexpr int kTileLanes = 32;
constexpr int32_t kBanks = 32;               // of shared memory, 4 bytes each
constexpr int64_t kTileBytes = 16 << 10;     // of input in shared memory
constexpr int32_t kMostPanelColumns = 1024;  // whose places are looked up in shared memory

struct SparseConvTile {
    int32_t width;                      // outputs; 8, 16 or 32
    int32_t height;                     // outputs; of one half
    int32_t across, down;               // tiles of an image
    int32_t positions;                  // outputs of a lane in each half
    int32_t input_width, input_height;  // of one half
    int32_t phase_pitch;                // elements from one column modulo the stride to the next
    int32_t pitch;                      // elements from row to row
    int64_t plane;                      // elements of one channel
};

// The image as the staged kernel sees it: a 1x1 convolution without padding or stride takes a plane
// for rows of 32 pixels, the last of them partial.
ConvShape Flattened(ConvShape const& shape);

// Of the tile that is `width` outputs wide, with so many outputs to a lane; across and down are
// for `halves` halves.
SparseConvTile MakeTile(ConvShape const& shape, int32_t width, int32_t positions, int32_t halves);

// The tile with the fewest accesses to memory for these weights, of those that fit into shared
// memory; width 0: none does, or the layer has too few filters in a group to share what is staged.
SparseConvTile ChooseTile(ConvShape const& shape, SparseLayout const& layout);

// Filters that a block computes at a time, by the outputs of a lane.
ES_HOST_DEVICE constexpr int32_t SlotsOfWarp(int32_t positions) { return positions == 1 ? 8 : 4; }
constexpr int32_t kConvWarps = 8;

// Columns of a panel: whole channels, as many as fit into shared memory with every large tile.
int32_t ConvPanelColumns(ConvShape const& shape);

}  // namespace edgesynth
