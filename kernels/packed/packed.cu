#include "common/sizes.h"
#include "packed/packed.cuh"

namespace edgesynth {
namespace {

// From here on the convolution's kernel, which decodes a weight once for 16 samples, reads less.
constexpr int32_t kManySamples = 9;

// Up to here narrow tiles leave fewer threads idle.
constexpr int64_t kFewPixels = 48;

bool IsValid(PackedWeights const& weights) {
    return IsPackedWidth(weights.bits) && weights.words != nullptr && weights.scales != nullptr &&
           reinterpret_cast<uintptr_t>(weights.words) % 16 == 0;
}

bool Fits(ChannelOrder order, DataType type, ConvShape const& shape) {
    if (order == ChannelOrder::kApart) return true;
    return order == ChannelOrder::kPaired && type == DataType::kHalf && shape.channels % 2 == 0 &&
           shape.filters % 2 == 0;
}

template <typename T, int kBits>
cudaError_t LaunchLinear(PackedLinear const& layer, T const* x, T const* residual, T* y,
                         cudaStream_t stream) {
    bool const single = layer.samples == 1;
    int32_t const samples = single ? 1 : kLinearSamples<T>;
    dim3 const grid(static_cast<unsigned int>(DivUp(layer.filters, kLinearWarps * kRowsTogether)),
                    static_cast<unsigned int>(DivUp(layer.samples, samples)));
    constexpr int kThreads = kLinearWarps * kWarpSize;
    if (single) {
        return ES_LAUNCH((PackedLinearKernel<T, kBits, 1>), grid, kThreads, 0, stream, layer, x,
                         residual, y);
    }
    return ES_LAUNCH((PackedLinearKernel<T, kBits, kLinearSamples<T>>), grid, kThreads, 0, stream,
                     layer, x, residual, y);
}

template <typename T, int kBits>
cudaError_t LaunchConv(PackedConv const& layer, T const* x, T const* residual, T* y,
                       cudaStream_t stream) {
    ConvShape const& shape = layer.shape;
    int64_t const columns = FilterWeights(shape);
    ConvTask const task{layer, static_cast<int32_t>(OutputSide(shape, 0)),
                        static_cast<int32_t>(OutputSide(shape, 1)), static_cast<int32_t>(columns),
                        static_cast<int32_t>(PackedWordsPerRow(columns, kBits))};
    int64_t const pixels = CheckedProduct(shape.samples, task.out_height, task.out_width);
    int64_t const tiles = DivUp(shape.filters / shape.group, kConvFilters);
    bool const narrow = pixels <= kFewPixels;
    int64_t const blocks = CheckedProduct(
        tiles, shape.group, DivUp<int64_t>(pixels, narrow ? kNarrowPixels : kWidePixels));
    if (!FitsGridX(blocks)) return cudaErrorInvalidValue;
    unsigned int const grid = static_cast<unsigned int>(blocks);
    if (narrow) {
        return ES_LAUNCH((PackedConvKernel<T, kBits, kNarrowPixels>), grid, kConvThreads, 0, stream,
                         task, x, residual, y);
    }
    return ES_LAUNCH((PackedConvKernel<T, kBits, kWidePixels>), grid, kConvThreads, 0, stream, task,
                     x, residual, y);
}

template <int kWidth>
struct Width {
    static constexpr int kBits = kWidth;
};

// Calls `launch` with a number of the layer's type and a Width of its codes.
template <typename T, typename Launch>
cudaError_t ForWidth(int32_t bits, Launch const& launch) {
    switch (bits) {
        case 2:
            return launch(T(), Width<2>());
        case 3:
            return launch(T(), Width<3>());
        case 4:
            return launch(T(), Width<4>());
        default:
            return launch(T(), Width<8>());
    }
}

template <typename Launch>
cudaError_t ForTypeAndWidth(DataType type, int32_t bits, Launch const& launch) {
    return type == DataType::kHalf ? ForWidth<half>(bits, launch) : ForWidth<float>(bits, launch);
}

}  // namespace

cudaError_t LaunchPackedConv(PackedConv const& layer, void const* x, void const* residual, void* y,
                             cudaStream_t stream) {
    if (!IsValid(layer.shape) || !IsValid(layer.type) || !IsValid(layer.activation) ||
        !IsValid(layer.weights) || !Fits(layer.order, layer.type, layer.shape)) {
        return cudaErrorInvalidValue;
    }
    if (layer.shape.samples == 0) return cudaSuccess;
    if (x == nullptr || y == nullptr) return cudaErrorInvalidValue;
    return ForTypeAndWidth(layer.type, layer.weights.bits, [&](auto number, auto width) {
        using T = decltype(number);
        return LaunchConv<T, decltype(width)::kBits>(layer, static_cast<T const*>(x),
                                                     static_cast<T const*>(residual),
                                                     static_cast<T*>(y), stream);
    });
}

cudaError_t LaunchPackedLinear(PackedLinear const& layer, void const* x, void const* residual,
                               void* y, cudaStream_t stream) {
    PackedConv const conv{LinearAsConv(layer.samples, layer.features, layer.filters), layer.type,
                          layer.activation, layer.weights};
    if (layer.samples == 0 || layer.samples >= kManySamples || !IsValid(conv.shape)) {
        return LaunchPackedConv(conv, x, residual, y, stream);
    }
    if (!IsValid(layer.type) || !IsValid(layer.activation) || !IsValid(layer.weights) ||
        x == nullptr || y == nullptr) {
        return cudaErrorInvalidValue;
    }
    return ForTypeAndWidth(layer.type, layer.weights.bits, [&](auto number, auto width) {
        using T = decltype(number);
        return LaunchLinear<T, decltype(width)::kBits>(layer, static_cast<T const*>(x),
                                                       static_cast<T const*>(residual),
                                                       static_cast<T*>(y), stream);
    });
}

}  // namespace edgesynth
