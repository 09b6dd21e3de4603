#include "common/sizes.h"
#include "effort/effort.cuh"
#include "effort/packing.h"

namespace edgesynth {
namespace {

bool IsSame(EffortLayout const& a, EffortLayout const& b) {
    return a.type == b.type && a.rows == b.rows && a.levels == b.levels &&
           a.thresholds == b.thresholds && a.settled == b.settled && a.order == b.order &&
           a.level_table == b.level_table && a.bytes == b.bytes;
}

bool IsValid(EffortConv const& layer) {
    if (!IsValid(layer.shape) || !IsValid(layer.type) || !IsValid(layer.activation)) return false;
    int64_t const channels = layer.shape.channels / layer.shape.group;
    if (!WrongKnob(layer.knobs, channels, layer.activation).empty()) return false;
    EffortLayout const layout =
        LayoutOfEffort(layer.shape, layer.type, layer.knobs, layer.layout.levels);
    return layer.layout.levels >= 1 && layout.bytes >= 0 && IsSame(layout, layer.layout) &&
           layer.weights != nullptr && reinterpret_cast<uintptr_t>(layer.weights) % 16 == 0;
}

// The phases first <= phase < first + count of every sample; nothing for none.
template <typename T>
cudaError_t LaunchPhases(EffortTask task, int32_t first, int32_t count, T const* x,
                         int32_t const* effort, T* y, cudaStream_t stream) {
    if (count == 0) return cudaSuccess;
    ConvShape const& shape = task.layer.shape;
    task.first_phase = first;
    task.phases = count;
    int64_t const blocks =
        CheckedProduct(DivUp(shape.filters / shape.group, kBlockFilters), shape.group,
                       task.tiles[0], task.tiles[1], count, shape.samples);
    if (!FitsGridX(blocks)) return cudaErrorInvalidValue;
    unsigned int const grid = static_cast<unsigned int>(blocks);
    if (TakesMeans(shape, task.layer.knobs)) {
        return ES_LAUNCH((EffortConvKernel<T, true>), grid, kEffortThreads, 0, stream, task, x,
                         effort, y);
    }
    return ES_LAUNCH((EffortConvKernel<T, false>), grid, kEffortThreads, 0, stream, task, x, effort,
                     y);
}

template <typename T>
cudaError_t Launch(EffortTask const& task, void const* x, int32_t const* effort, void* y,
                   cudaStream_t stream) {
    int32_t const period = task.layer.knobs.sample_period;
    T const* const from = static_cast<T const*>(x);
    cudaError_t const samples = LaunchPhases(task, 0, 1, from, effort, static_cast<T*>(y), stream);
    if (samples != cudaSuccess) return samples;
    return LaunchPhases(task, 1, period * period - 1, from, effort, static_cast<T*>(y), stream);
}

}  // namespace

cudaError_t LaunchEffortConv(EffortConv const& layer, void const* x, int32_t const* effort, void* y,
                             EffortCounts* counts, cudaStream_t stream) {
    if (!IsValid(layer)) return cudaErrorInvalidValue;
    if (layer.shape.samples == 0) return cudaSuccess;
    if (x == nullptr || effort == nullptr || y == nullptr) return cudaErrorInvalidValue;
    int64_t const rows = OutputSide(layer.shape, 0), columns = OutputSide(layer.shape, 1);
    int64_t const side = int64_t{kTileSide} * layer.knobs.sample_period;
    EffortTask const task{
        layer,
        static_cast<int32_t>(rows),
        static_cast<int32_t>(columns),
        layer.shape.kernel[0] * layer.shape.kernel[1],
        0,
        1,
        {static_cast<int32_t>(DivUp(rows, side)), static_cast<int32_t>(DivUp(columns, side))},
        counts};
    return layer.type == DataType::kHalf ? Launch<half>(task, x, effort, y, stream)
                                         : Launch<float>(task, x, effort, y, stream);
}

}  // namespace edgesynth
