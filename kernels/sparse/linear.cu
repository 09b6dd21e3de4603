#include "sparse/linear.cuh"
#include "sparse/views.h"

namespace edgesynth {
namespace {

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
cudaError_t Launch(SparseOperands const& operands, int32_t batch, cudaStream_t stream) {
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
        return Launch<T, kBatch, 32>(operands, batch, stream);
    }
    return Launch<T, kBatch, 8>(operands, batch, stream);
}

}  // namespace

cudaError_t LaunchSparseLinear(SparseOperands const& operands, int32_t batch, cudaStream_t stream) {
    SparseLayout const& layout = operands.layout;
    bool const is_float = layout.type == DataType::kFloat;
    if (batch == 0 && IsValid(layout)) return cudaSuccess;
    if (batch < 0 || !IsValid(operands) || layout.groups != 1 ||
        layout.panel_columns > kLinearPanel || layout.vector != (is_float ? 4 : 8)) {
        return cudaErrorInvalidValue;
    }
    if (is_float) {
        return batch == 1 ? LaunchForRows<float, 1>(operands, batch, stream)
                          : LaunchForRows<float, 2>(operands, batch, stream);
    }
    return batch == 1 ? LaunchForRows<half, 1>(operands, batch, stream)
                      : LaunchForRows<half, 4>(operands, batch, stream);
}

}  // namespace edgesynth
