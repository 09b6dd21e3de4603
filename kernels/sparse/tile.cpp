#include "sparse/tile.h"

#include <algorithm>

namespace edgesynth {
namespace {

// Do the lanes of a warp, in rows of `width` that lie `step` elements apart, hit different banks?
bool AvoidsConflicts(int32_t width, int64_t step) {
    if (width >= kBanks) return true;
    int64_t const distance = step % kBanks;
    // Two rows of 16, or four of 8 in the order 0 8 16 24 or 0 24 16 8.
    return distance == width || distance == kBanks - width;
}

// `stride`: rows of input between the outputs of neighbouring lines of lanes.
int32_t PitchOf(int32_t width, int64_t stride, int32_t least) {
    for (int32_t pitch = least; pitch < least + kBanks; ++pitch) {
        if (AvoidsConflicts(width, stride * pitch)) return pitch;
    }
    return least;
}

int32_t Taps(ConvShape const& shape) { return shape.kernel[0] * shape.kernel[1]; }

// Warp-wide accesses to memory of all tiles of an image and one channel of input.
double Cost(SparseConvTile const& tile, SparseLayout const& layout, int32_t taps, int32_t halves) {
    int32_t const slots = kConvWarps * SlotsOfWarp(tile.positions);
    int32_t const in_group = layout.rows / layout.groups;
    double const density =
        static_cast<double>(layout.nonzero) / (static_cast<double>(layout.rows) * layout.columns);
    // A weight is read once by its warp, and then an input for every position.
    double const computing = in_group * density * taps * (1 + tile.positions);
    // An element is `halves` loads and a store, by every block of filters; 1 is for its address.
    double const staging =
        DivUp(in_group, slots) * static_cast<double>(tile.plane) / kTileLanes * (halves + 2);
    return static_cast<double>(tile.across) * tile.down * (computing + staging);
}

}  // namespace

ConvShape Flattened(ConvShape const& shape) {
    ConvShape flat = shape;
    bool const is_product = Taps(shape) == 1 && shape.strides[0] == 1 && shape.strides[1] == 1 &&
                            shape.pads[0] == 0 && shape.pads[1] == 0 && shape.pads[2] == 0 &&
                            shape.pads[3] == 0;
    if (!is_product) return flat;
    flat.width = kTileLanes;
    flat.height = DivUp(shape.height * shape.width, static_cast<int32_t>(kTileLanes));
    return flat;
}

SparseConvTile MakeTile(ConvShape const& shape, int32_t width, int32_t positions, int32_t halves) {
    SparseConvTile tile{};
    tile.width = width;
    tile.height = kTileLanes / width * positions;
    tile.positions = positions;
    tile.across = static_cast<int32_t>(DivUp<int64_t>(OutputSide(shape, 1), width));
    tile.down = static_cast<int32_t>(DivUp<int64_t>(OutputSide(shape, 0), tile.height * halves));
    int64_t const input_width = int64_t{width - 1} * shape.strides[1] +
                                int64_t{shape.dilations[1]} * (shape.kernel[1] - 1) + 1;
    int64_t const input_height = int64_t{tile.height - 1} * shape.strides[0] +
                                 int64_t{shape.dilations[0]} * (shape.kernel[0] - 1) + 1;
    if (CheckedProduct(input_width, input_height) < 0 ||
        input_width * input_height > kTileBytes) {  // far too large: say so without overflow
        tile.plane = kTileBytes;
        return tile;
    }
    tile.input_width = static_cast<int32_t>(input_width);
    tile.input_height = static_cast<int32_t>(input_height);
    tile.phase_pitch = DivUp(tile.input_width, shape.strides[1]);
    int32_t const phases = std::min(shape.strides[1], tile.input_width);
    tile.pitch = PitchOf(width, int64_t{positions} * shape.strides[0], tile.phase_pitch * phases);
    tile.plane = int64_t{tile.pitch} * tile.input_height;
    return tile;
}

SparseConvTile ChooseTile(ConvShape const& shape, SparseLayout const& layout) {
    SparseConvTile best{};
    int32_t const taps = Taps(shape), halves = layout.type == DataType::kHalf ? 2 : 1;
    bool const is_whole = layout.panel_columns % taps == 0;
    if (!is_whole || layout.panel_columns > kMostPanelColumns ||
        layout.rows / layout.groups < kConvWarps) {
        return best;
    }
    ConvShape const flat = Flattened(shape);
    int64_t const channels = layout.panel_columns / taps;
    double least = 0.0;
    for (int32_t const width : {32, 16, 8}) {
        for (int32_t const positions : {4, 1}) {
            SparseConvTile const tile = MakeTile(flat, width, positions, halves);
            if (channels * tile.plane * 4 > kTileBytes) continue;
            double const cost = Cost(tile, layout, taps, halves);
            if (best.width == 0 || cost < least) {
                best = tile;
                least = cost;
            }
        }
    }
    return best;
}

int32_t ConvPanelColumns(ConvShape const& shape) {
    int64_t const columns = FilterWeights(shape);
    int64_t const taps = int64_t{shape.kernel[0]} * shape.kernel[1];
    if (taps > kMostPanelColumns) {
        return static_cast<int32_t>(std::min<int64_t>(columns, kMostPanelColumns));
    }
    int64_t const all = shape.channels / shape.group;
    int64_t plane = 1;
    for (int32_t const width : {32, 16, 8}) {
        plane = std::max(plane, MakeTile(shape, width, 4, 1).plane);
    }
    int64_t fitting = std::min(kTileBytes / 4 / plane, kMostPanelColumns / taps);
    fitting = std::max<int64_t>(1, std::min(fitting, all));
    return static_cast<int32_t>(DivUp(all, DivUp(all, fitting)) * taps);
}

}  // namespace edgesynth
