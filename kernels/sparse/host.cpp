#include "common/entries.h"
#include "common/staged.h"
#include "sparse/packing.h"

namespace edgesynth {
namespace {

// Host pointers of a call, and how many elements the activations have.
struct Call {
    void const* x;
    void const* residual;
    float const* bias;
    void* y;
    int64_t inputs, outputs;
};

template <typename Launch>
cudaError_t Run(SparsePacked const& packed, Call const& call, int32_t activation,
                Launch const& launch) {
    int64_t const size = SizeOf(packed.layout.type);
    FirstError error;
    Staged const weights(packed.bytes.data(), packed.layout.Bytes(), &error);
    Staged const bias(call.bias, int64_t{packed.layout.rows} * 4, &error);
    Staged const x(call.x, call.inputs * size, &error);
    Staged const residual(call.residual, call.outputs * size, &error);
    Staged y(call.outputs * size, &error);
    if (!error.Ok()) return error.Get();
    error.Note(launch(SparseOperands{packed.layout, weights.As<void>(), bias.As<float>(),
                                     x.As<void>(), residual.As<void>(), y.As<void>(),
                                     static_cast<Activation>(activation)}));
    error.Note(cudaDeviceSynchronize());
    y.CopyTo(call.y);
    return error.Get();
}

}  // namespace
}  // namespace edgesynth

ES_ENTRY int32_t es_sparse_linear_host(int32_t type, int64_t const* shape, void const* x,
                                       void const* residual, int32_t const* weight_shape,
                                       int32_t const* positions, int64_t positions_count,
                                       float const* values, int64_t values_count, float const* bias,
                                       int64_t bias_count, int32_t activation, void* y) {
    using namespace edgesynth;
    int32_t const filters = weight_shape[0], features = weight_shape[1];
    auto const data = static_cast<DataType>(type);
    if (!IsValid(data) || shape[0] > INT32_MAX || shape[1] != features ||
        positions_count != values_count || bias_count != filters) {
        return cudaErrorInvalidValue;
    }
    SparsePacked packed;
    if (!PackSparseLinear({positions, values, positions_count}, features, filters, data, &packed)
             .empty()) {
        return cudaErrorInvalidValue;
    }
    Call const call{x, residual, bias, y, shape[0] * features, shape[0] * filters};
    return Run(packed, call, activation, [&](SparseOperands const& operands) {
        return LaunchSparseLinear(operands, static_cast<int32_t>(shape[0]), nullptr);
    });
}

ES_ENTRY int32_t es_sparse_conv_host(int32_t type, int64_t const* shape, void const* x,
                                     void const* residual, int32_t const* weight_shape,
                                     int32_t const* positions, int64_t positions_count,
                                     float const* values, int64_t values_count, float const* bias,
                                     int64_t bias_count, int32_t const* strides,
                                     int32_t const* pads, int32_t const* dilations, int32_t group,
                                     int32_t activation, void* y) {
    using namespace edgesynth;
    auto const data = static_cast<DataType>(type);
    for (int axis = 0; axis < 4; ++axis) {
        if (shape[axis] > INT32_MAX) return cudaErrorInvalidValue;
    }
    int64_t const channels = int64_t{weight_shape[1]} * group;
    if (!IsValid(data) || shape[1] != channels || positions_count != values_count ||
        bias_count != weight_shape[0]) {
        return cudaErrorInvalidValue;
    }
    ConvShape const conv{static_cast<int32_t>(shape[0]),
                         static_cast<int32_t>(shape[1]),
                         static_cast<int32_t>(shape[2]),
                         static_cast<int32_t>(shape[3]),
                         weight_shape[0],
                         group,
                         {weight_shape[2], weight_shape[3]},
                         {strides[0], strides[1]},
                         {pads[0], pads[1], pads[2], pads[3]},
                         {dilations[0], dilations[1]}};
    SparsePacked packed;
    if (!IsValid(conv) ||
        !PackSparseConv({positions, values, positions_count}, conv, data, &packed).empty()) {
        return cudaErrorInvalidValue;
    }
    Call const call{x,
                    residual,
                    bias,
                    y,
                    shape[0] * channels * shape[2] * shape[3],
                    shape[0] * conv.filters * OutputSide(conv, 0) * OutputSide(conv, 1)};
    return Run(packed, call, activation, [&](SparseOperands const& operands) {
        return LaunchSparseConv(operands, conv, nullptr);
    });
}
