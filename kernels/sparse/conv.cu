#include "sparse/conv.cuh"
#include "sparse/views.h"

namespace edgesynth {
namespace {

SparseConvWork WorkOf(ConvShape const& shape, ConvShape const& seen) {
    SparseConvWork work{};
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
                     static_cast<size_t>(bytes), stream, WorkOf(shape, Flattened(shape)), tile,
                     ViewOf<T>(operands), static_cast<T const*>(operands.x),
                     EpilogueOf<T>(operands), static_cast<T*>(operands.y));
}

template <typename T>
cudaError_t LaunchDirect(SparseOperands const& operands, ConvShape const& shape,
                         cudaStream_t stream) {
    SparseConvWork const work = WorkOf(shape, shape);
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
cudaError_t Launch(SparseOperands const& operands, ConvShape const& shape, cudaStream_t stream) {
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

}  // namespace

cudaError_t LaunchSparseConv(SparseOperands const& operands, ConvShape const& shape,
                             cudaStream_t stream) {
    if (!IsValid(shape) || !IsValid(operands.layout) || !Fits(operands.layout, shape)) {
        return cudaErrorInvalidValue;
    }
    if (shape.samples == 0) return cudaSuccess;
    if (!IsValid(operands)) return cudaErrorInvalidValue;
    return operands.layout.type == DataType::kFloat ? Launch<float>(operands, shape, stream)
                                                    : Launch<half>(operands, shape, stream);
}

}  // namespace edgesynth
