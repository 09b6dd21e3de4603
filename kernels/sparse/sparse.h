// EsSparseLinear and EsSparseConv: layers that read their nonzero weights only.
//
//     y = act(x . weights + bias [+ residual])
//
// Products are summed in float; with fp16 activations at most 32 of them in fp16 first, then those
// in float. The weights come from sparse/packing.h.
#pragma once

#include "common/convolution.h"
#include "common/launcher.h"

namespace edgesynth {

// Columns of the input that a linear layer keeps in shared memory at a time, at most 8 bytes each
// (several batch rows).
constexpr int32_t kLinearPanel = 3072;

// How the bytes are to be read. Plain numbers: to be copied and passed to kernels by value.
struct SparseLayout {
    DataType type;
    int32_t rows;           // M
    int32_t columns;        // K
    int32_t groups;         // rows are sorted within each of them
    int32_t panel_columns;  // of every panel but the last
    int32_t panels;
    int32_t vector;   // entries of a slot in a panel are padded to a multiple of this many
    int64_t entries;  // with padding; below 2^31
    int64_t nonzero;  // without

    ES_HOST_DEVICE int64_t ColumnsAt() const {
        return RoundUp<int64_t>(entries * (type == DataType::kFloat ? 4 : 2), 16);
    }
    ES_HOST_DEVICE int64_t StartsAt() const {
        return ColumnsAt() + RoundUp<int64_t>(entries * 2, 16);
    }
    ES_HOST_DEVICE int64_t RowsAt() const {
        return StartsAt() + RoundUp<int64_t>((int64_t{panels} * rows + 1) * 4, 16);
    }
    int64_t Bytes() const { return RowsAt() + int64_t{rows} * 4; }
};

// What both operators take. Pointers are to the device.
struct SparseOperands {
    SparseLayout layout;   // its type is that of x, residual and y
    void const* weights;   // layout.Bytes() bytes, at a multiple of 16 (sparse/packing.h)
    float const* bias;     // M; null: none
    void const* x;         // (N, K), or (N, C, H, W)
    void const* residual;  // of the shape of y; null: none
    void* y;               // (N, M), or (N, M, P, Q)
    Activation activation;
    ChannelOrder order = ChannelOrder::kApart;  // of x, residual and y; pairs of a convolution only
};

// layout: of PackSparseLinear. batch: N >= 0.
//
// cudaErrorInvalidValue: a size, type or pointer that the comments exclude, or a layout that is not
// of this operator.
cudaError_t LaunchSparseLinear(SparseOperands const& operands, int32_t batch, cudaStream_t stream);

// layout: of PackSparseConv for this convolution, or one with another batch and other extents.
//
// cudaErrorInvalidValue: as above, or sizes that IsValid(shape) refuses, or pairs of channels that
// are not fp16 or of which there is an odd number.
cudaError_t LaunchSparseConv(SparseOperands const& operands, ConvShape const& shape,
                             cudaStream_t stream);

}  // namespace edgesynth
