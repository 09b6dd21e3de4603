#include "twice/twice.cuh"

namespace edgesynth {
namespace {

constexpr int64_t kMostBlocks = 1024;

template <typename T>
cudaError_t Launch(Twice const& twice, void const* x, void* y, cudaStream_t stream) {
    int64_t const wanted = DivUp(twice.elements, int64_t{kTwiceThreads});
    auto const blocks = static_cast<unsigned int>(wanted < kMostBlocks ? wanted : kMostBlocks);
    return ES_LAUNCH(TwiceKernel<T>, blocks, kTwiceThreads, 0, stream, twice,
                     static_cast<T const*>(x), static_cast<T*>(y));
}

}  // namespace

cudaError_t LaunchTwice(Twice const& twice, void const* x, void* y, cudaStream_t stream) {
    if (twice.elements < 0 || !IsValid(twice.type)) return cudaErrorInvalidValue;
    if (twice.elements == 0) return cudaSuccess;
    if (x == nullptr || y == nullptr) return cudaErrorInvalidValue;
    return twice.type == DataType::kFloat ? Launch<float>(twice, x, y, stream)
                                          : Launch<half>(twice, x, y, stream);
}

}  // namespace edgesynth
