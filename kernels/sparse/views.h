// What both launchers check and prepare.
#pragma once

#include "sparse/entries.cuh"

namespace edgesynth {

inline bool IsValid(SparseLayout const& layout) {
    return IsValid(layout.type) && layout.rows >= 1 && layout.columns >= 1 && layout.groups >= 1 &&
           layout.rows % layout.groups == 0 && layout.panel_columns >= 1 &&
           layout.panels == DivUp(layout.columns, layout.panel_columns) && layout.entries >= 0 &&
           layout.entries <= INT32_MAX;
}

inline bool IsValid(SparseOperands const& operands) {
    return IsValid(operands.layout) && IsValid(operands.activation) &&
           operands.weights != nullptr && operands.x != nullptr && operands.y != nullptr &&
           reinterpret_cast<uintptr_t>(operands.weights) % 16 == 0;
}

template <typename T>
SparseView<T> ViewOf(SparseOperands const& operands) {
    SparseLayout const& layout = operands.layout;
    auto const* const bytes = static_cast<uint8_t const*>(operands.weights);
    return SparseView<T>{reinterpret_cast<T const*>(bytes),
                         reinterpret_cast<uint16_t const*>(bytes + layout.ColumnsAt()),
                         reinterpret_cast<int32_t const*>(bytes + layout.StartsAt()),
                         reinterpret_cast<int32_t const*>(bytes + layout.RowsAt()),
                         layout.rows,
                         layout.panels,
                         layout.panel_columns,
                         layout.columns};
}

template <typename T>
Epilogue<T> EpilogueOf(SparseOperands const& operands) {
    return Epilogue<T>{operands.bias, static_cast<T const*>(operands.residual),
                       operands.activation};
}

}  // namespace edgesynth
