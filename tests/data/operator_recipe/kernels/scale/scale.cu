#include "common/sizes.h"
#include "scale/scale.cuh"

namespace edgesynth {
namespace {

template <typename T>
cudaError_t Launch(Scale const& scale, void const* x, void* y, unsigned int blocks,
                   cudaStream_t stream) {
    return ES_LAUNCH(ScaleKernel<T>, blocks, kScaleThreads, 0, stream, scale,
                     static_cast<T const*>(x), static_cast<T*>(y));
}

}  // namespace

cudaError_t LaunchScale(Scale const& scale, void const* x, void* y, cudaStream_t stream) {
    if (!IsValid(scale.type) || scale.count < 0) return cudaErrorInvalidValue;
    if (scale.count == 0) return cudaSuccess;
    int64_t const blocks = DivUp<int64_t>(scale.count, kScaleThreads);
    if (!FitsGridX(blocks) || x == nullptr || y == nullptr) return cudaErrorInvalidValue;
    auto const launch = scale.type == DataType::kFloat ? Launch<float> : Launch<half>;
    return launch(scale, x, y, static_cast<unsigned int>(blocks), stream);
}

}  // namespace edgesynth
