#include "sparse/sparse.cuh"

namespace edgesynth {
namespace {

// ---- what both operators check and prepare ----

bool IsValid(SparseLayout const& layout) {
    return IsValid(layout.type) && layout.rows >= 1 && layout.columns >= 1 && layout.groups >= 1 &&
           layout.rows % layout.groups == 0 && layout.panel_columns >= 1 &&
           layout.panels == DivUp(layout.columns, layout.panel_columns) && layout.entries >= 0 &&
           layout.entries <= INT32_MAX;
}

bool IsValid(SparseOperands const& operands) {
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

// ---- EsSparseLinear ----

// Every block reads x once: no more blocks than make that a quarter of the reading of weights, but
// enough for eight warps on four schedulers of two multiprocessors.
constexpr int64_t kReadingOfX = 4;
constexpr int64_t kFewestBlocks = 8;

// Vectors of a slot in a panel from which the lanes of a whole warp find work in it.
constexpr int64_t kLongSlot = 32;

int64_t BlocksFor(SparseLayout const& layout, int32_t slots_at_once) {
    int64_t const by_reading = layout.entries / (kReadingOfX * layout.columns);
    int64_t blocks = by_reading > kFewestBlocks ? by_reading : kFewestBlocks;
    int64_t const most = DivUp(layout.rows, slots_at_once);
    int64_t const least = DivUp(layout.rows, kLinearSlots);
    if (blocks > most) blocks = most;
    return blocks < least ? least : blocks;
}

template <typename T, int kBatch, int kLanes>
cudaError_t LaunchLinear(SparseOperands const& operands, int32_t batch, cudaStream_t stream) {
    SparseLayout const& layout = operands.layout;
    int64_t const groups = DivUp(batch, kBatch);
    dim3 const grid(static_cast<unsigned int>(BlocksFor(layout, kLinearThreads / kLanes)),
                    static_cast<unsigned int>(groups < 65535 ? groups : 65535));
    size_t const shared =
        static_cast<size_t>(layout.panel_columns + 1) * sizeof(BatchColumn<T, kBatch>);
    return ES_LAUNCH((SparseLinearKernel<T, kBatch, kLanes>), grid, kLinearThreads, shared, stream,
                     ViewOf<T>(operands), static_cast<T const*>(operands.x), batch,
                     EpilogueOf<T>(operands), static_cast<T*>(operands.y));
}

template <typename T, int kBatch>
cudaError_t LaunchForRows(SparseOperands const& operands, int32_t batch, cudaStream_t stream) {
    SparseLayout const& layout = operands.layout;
    int64_t const slots = int64_t{layout.panels} * layout.rows;
    if (layout.entries / layout.vector >= kLongSlot * slots) {
        return LaunchLinear<T, kBatch, 32>(operands, batch, stream);
    }
    return LaunchLinear<T, kBatch, 8>(operands, batch, stream);
}

// ---- EsSparseConv ----

SparseConvWork WorkOf(ConvShape const& shape, ConvShape const& seen, ChannelOrder order) {
    SparseConvWork work{};
    work.order = order;
    work.samples = shape.samples;
    work.channels = shape.channels;
    work.group = shape.group;
    work.height = seen.height;
    work.width = seen.width;
    work.input_plane = shape.height * shape.width;
    work.rows = static_cast<int32_t>(OutputSide(seen, 0));
    work.columns = static_cast<int32_t>(OutputSide(seen, 1));
    work.output_plane = static_cast<int32_t>(OutputSide(shape, 0) * OutputSide(shape, 1));
    work.kernel_height = shape.kernel[0];
    work.kernel_width = shape.kernel[1];
    work.stride_down = shape.strides[0];
    work.stride_right = shape.strides[1];
    work.pad_top = shape.pads[0];
    work.pad_left = shape.pads[1];
    work.dilation_down = shape.dilations[0];
    work.dilation_right = shape.dilations[1];
    return work;
}

template <typename T, int kPositions>
cudaError_t LaunchStaged(SparseOperands const& operands, ConvShape const& shape,
                         SparseConvTile const& tile, dim3 grid, cudaStream_t stream) {
    int64_t const channels = operands.layout.panel_columns / (shape.kernel[0] * shape.kernel[1]);
    int64_t const bytes = channels * tile.plane * 4 + operands.layout.panel_columns * int64_t{2};
    return ES_LAUNCH((SparseConvKernel<T, kPositions, SlotsOfWarp(kPositions)>), grid, kConvThreads,
                     static_cast<size_t>(bytes), stream,
                     WorkOf(shape, Flattened(shape), operands.order), tile, ViewOf<T>(operands),
                     static_cast<T const*>(operands.x), EpilogueOf<T>(operands),
                     static_cast<T*>(operands.y));
}

template <typename T>
cudaError_t LaunchDirect(SparseOperands const& operands, ConvShape const& shape,
                         cudaStream_t stream) {
    SparseConvWork const work = WorkOf(shape, shape, operands.order);
    int64_t const blocks = CheckedProduct(DivUp<int64_t>(work.output_plane, kConvThreads),
                                          shape.samples, operands.layout.rows);
    if (blocks < 0) return cudaErrorInvalidValue;
    return ES_LAUNCH(SparseConvDirectKernel<T>,
                     static_cast<unsigned int>(blocks < INT32_MAX ? blocks : INT32_MAX),
                     kConvThreads, 0, stream, work, ViewOf<T>(operands),
                     static_cast<T const*>(operands.x), EpilogueOf<T>(operands),
                     static_cast<T*>(operands.y));
}

template <typename T>
cudaError_t LaunchConv(SparseOperands const& operands, ConvShape const& shape,
                       cudaStream_t stream) {
    SparseConvTile const tile = ChooseTile(shape, operands.layout);
    if (tile.width == 0) return LaunchDirect<T>(operands, shape, stream);
    int64_t const tiles = CheckedProduct(shape.samples, tile.down, tile.across);
    int64_t const blocks = int64_t{shape.group} * DivUp(shape.filters / shape.group,
                                                        kConvWarps * SlotsOfWarp(tile.positions));
    if (!FitsGridX(tiles) || !FitsGridYZ(blocks)) return LaunchDirect<T>(operands, shape, stream);
    dim3 const grid(static_cast<unsigned int>(tiles), static_cast<unsigned int>(blocks));
    return tile.positions == 1 ? LaunchStaged<T, 1>(operands, shape, tile, grid, stream)
                               : LaunchStaged<T, 4>(operands, shape, tile, grid, stream);
}

// Is the layout that of a convolution with these channels, filters and windows?
bool Fits(SparseLayout const& layout, ConvShape const& shape) {
    return layout.groups == shape.group && layout.rows == shape.filters && layout.vector == 1 &&
           layout.columns == FilterWeights(shape) &&
           layout.panel_columns == ConvPanelColumns(shape);
}

bool Fits(ChannelOrder order, DataType type, ConvShape const& shape) {
    if (order == ChannelOrder::kApart) return true;
    return order == ChannelOrder::kPaired && type == DataType::kHalf && shape.channels % 2 == 0 &&
           shape.filters % 2 == 0;
}

}  // namespace

cudaError_t LaunchSparseLinear(SparseOperands const& operands, int32_t batch, cudaStream_t stream) {
    SparseLayout const& layout = operands.layout;
    bool const is_float = layout.type == DataType::kFloat;
    if (batch == 0 && IsValid(layout)) return cudaSuccess;
    if (batch < 0 || !IsValid(operands) || layout.groups != 1 ||
        operands.order != ChannelOrder::kApart || layout.panel_columns > kLinearPanel ||
        layout.vector != (is_float ? 4 : 8)) {
        return cudaErrorInvalidValue;
    }
    if (is_float) {
        return batch == 1 ? LaunchForRows<float, 1>(operands, batch, stream)
                          : LaunchForRows<float, 2>(operands, batch, stream);
    }
    return batch == 1 ? LaunchForRows<half, 1>(operands, batch, stream)
                      : LaunchForRows<half, 4>(operands, batch, stream);
}

cudaError_t LaunchSparseConv(SparseOperands const& operands, ConvShape const& shape,
                             cudaStream_t stream) {
    if (!IsValid(shape) || !IsValid(operands.layout) || !Fits(operands.layout, shape)) {
        return cudaErrorInvalidValue;
    }
    if (shape.samples == 0) return cudaSuccess;
    if (!IsValid(operands) || !Fits(operands.order, operands.layout.type, shape)) {
        return cudaErrorInvalidValue;
    }
    return operands.layout.type == DataType::kFloat ? LaunchConv<float>(operands, shape, stream)
                                                    : LaunchConv<half>(operands, shape, stream);
}

}  // namespace edgesynth
