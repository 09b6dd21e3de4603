#include "sparse/packing.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "common/half_bits.h"
#include "sparse/tile.h"

namespace edgesynth {
namespace {

struct Panels {
    int32_t columns, groups, panel_columns, vector;
};

// The padding's column: behind the panel, where the kernel has a zero.
uint16_t PaddingColumn(Panels const& panels) { return static_cast<uint16_t>(panels.panel_columns); }

std::string Check(SparseWeights const& weights, int64_t rows, int64_t columns) {
    int64_t const size = CheckedProduct(rows, columns);
    if (rows < 1 || columns < 1) return "weights need at least one row and one column";
    if (size < 0 || size > INT32_MAX) {
        return "the dense weights would have 2^31 elements or more, beyond 32-bit positions";
    }
    int64_t last = -1;
    for (int64_t i = 0; i < weights.count; ++i) {
        if (weights.positions[i] <= last || weights.positions[i] >= size) {
            return "position " + std::to_string(weights.positions[i]) + " after " +
                   std::to_string(last) + ": they must ascend strictly and stay below " +
                   std::to_string(size);
        }
        last = weights.positions[i];
    }
    return "";
}

// What is stored of a weight; none of these bits, but the sign's, are set where it counts as zero.
uint32_t Bits(float value, DataType type) {
    if (type == DataType::kHalf) return FloatToHalfBits(value);
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits;
}

bool IsZero(float value, DataType type) {
    return (Bits(value, type) & (type == DataType::kHalf ? 0x7FFFu : 0x7FFFFFFFu)) == 0;
}

// Rows with most nonzero weights first, group after group.
std::vector<int32_t> SortRows(std::vector<int64_t> const& counts, int32_t groups) {
    std::vector<int32_t> rows(counts.size());
    std::iota(rows.begin(), rows.end(), 0);
    auto const size = static_cast<std::ptrdiff_t>(counts.size()) / groups;
    for (auto begin = rows.begin(); begin != rows.end(); begin += size) {
        std::stable_sort(begin, begin + size, [&](int32_t a, int32_t b) {
            return counts[static_cast<size_t>(a)] > counts[static_cast<size_t>(b)];
        });
    }
    return rows;
}

// Writes the sections one after the other; the arrays are filled in the order of the entries.
class Packer {
  public:
    Packer(SparseWeights const& weights, int32_t rows, Panels const& panels, DataType type)
        : weights_(weights), panels_(panels) {
        layout_.type = type;
        layout_.rows = rows;
        layout_.columns = panels.columns;
        layout_.groups = panels.groups;
        layout_.panel_columns = panels.panel_columns;
        layout_.panels = DivUp(panels.columns, panels.panel_columns);
        layout_.vector = panels.vector;
        layout_.entries = 0;
        layout_.nonzero = 0;
    }

    std::string Pack(SparsePacked* packed) {
        CountCells();
        if (layout_.entries > INT32_MAX) return "the padded weights have 2^31 entries or more";
        packed->layout = layout_;
        packed->bytes.assign(static_cast<size_t>(layout_.Bytes()), 0);
        Fill(packed->bytes.data());
        return "";
    }

  private:
    size_t Cell(int64_t panel, int64_t slot) const {
        return static_cast<size_t>(panel * layout_.rows + slot);
    }

    // Calls visit(row, panel, column in it, value) for every weight that is not zero.
    template <typename Visit>
    void ForEach(Visit visit) const {
        for (int64_t i = 0; i < weights_.count; ++i) {
            if (IsZero(weights_.values[i], layout_.type)) continue;
            int32_t const column = weights_.positions[i] % panels_.columns;
            visit(weights_.positions[i] / panels_.columns, column / panels_.panel_columns,
                  column % panels_.panel_columns, weights_.values[i]);
        }
    }

    void CountCells() {
        std::vector<int64_t> counts(static_cast<size_t>(layout_.rows));
        ForEach([&](int32_t row, int32_t, int32_t, float) {
            ++counts[static_cast<size_t>(row)];
            ++layout_.nonzero;
        });
        rows_ = SortRows(counts, layout_.groups);
        slots_.resize(rows_.size());
        for (size_t slot = 0; slot < rows_.size(); ++slot) {
            slots_[static_cast<size_t>(rows_[slot])] = static_cast<int32_t>(slot);
        }
        starts_.assign(Cell(layout_.panels, 0) + 1, 0);
        ForEach([&](int32_t row, int32_t panel, int32_t, float) {
            ++starts_[Cell(panel, slots_[static_cast<size_t>(row)])];
        });
        for (int64_t& start : starts_) {
            int64_t const count = RoundUp<int64_t>(start, layout_.vector);
            start = layout_.entries;
            layout_.entries += count;
        }
    }

    void Fill(uint8_t* bytes) {
        size_t const size = static_cast<size_t>(SizeOf(layout_.type));
        uint8_t* const columns = bytes + layout_.ColumnsAt();
        for (int64_t i = 0; layout_.vector > 1 && i < layout_.entries; ++i) {
            uint16_t const padding = PaddingColumn(panels_);
            std::memcpy(columns + 2 * i, &padding, 2);
        }
        std::vector<int32_t> const starts(starts_.begin(), starts_.end());
        std::memcpy(bytes + layout_.StartsAt(), starts.data(), starts.size() * 4);
        std::memcpy(bytes + layout_.RowsAt(), rows_.data(), rows_.size() * 4);
        ForEach([&](int32_t row, int32_t panel, int32_t column, float value) {
            int64_t const at = starts_[Cell(panel, slots_[static_cast<size_t>(row)])]++;
            uint32_t const bits = Bits(value, layout_.type);
            uint16_t const short_column = static_cast<uint16_t>(column);
            std::memcpy(bytes + size * static_cast<size_t>(at), &bits, size);  // little-endian
            std::memcpy(columns + 2 * at, &short_column, 2);
        });
    }

    SparseWeights const& weights_;
    Panels const panels_;
    SparseLayout layout_;
    std::vector<int32_t> rows_, slots_;
    std::vector<int64_t> starts_;
};

}  // namespace

std::string PackSparseLinear(SparseWeights const& weights, int32_t in_features,
                             int32_t out_features, DataType type, SparsePacked* packed) {
    std::string const wrong = Check(weights, out_features, in_features);
    if (!wrong.empty()) return wrong;
    int32_t const panel = DivUp(in_features, DivUp(in_features, kLinearPanel));
    // 16 bytes of values are one vector of a lane.
    int32_t const vector = type == DataType::kFloat ? 4 : 8;
    Panels const panels{in_features, 1, panel, vector};
    return Packer(weights, out_features, panels, type).Pack(packed);
}

std::string PackSparseConv(SparseWeights const& weights, ConvShape const& shape, DataType type,
                           SparsePacked* packed) {
    if (shape.group < 1 || shape.channels < 1 || shape.channels % shape.group != 0 ||
        shape.filters % shape.group != 0) {
        return "group must divide channels and filters";
    }
    for (int axis = 0; axis < 2; ++axis) {
        if (shape.kernel[axis] < 1 || shape.strides[axis] < 1 || shape.dilations[axis] < 1) {
            return "kernel, strides and dilations must be at least 1";
        }
    }
    int64_t const columns = FilterWeights(shape);
    std::string const wrong = Check(weights, shape.filters, columns);
    if (!wrong.empty()) return wrong;
    Panels const panels{static_cast<int32_t>(columns), shape.group, ConvPanelColumns(shape), 1};
    return Packer(weights, shape.filters, panels, type).Pack(packed);
}

}  // namespace edgesynth
