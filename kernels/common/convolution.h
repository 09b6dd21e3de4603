// The geometry of a convolution, with ONNX's meaning of every number. For host and device.
#pragma once

#include "common/launcher.h"
#include "common/sizes.h"

namespace edgesynth {

// x (N, C, H, W) and weights (M, C / group, kernel) give y (N, M, P, Q).
struct ConvShape {
    int32_t samples;        // N >= 0
    int32_t channels;       // C
    int32_t height, width;  // H, W
    int32_t filters;        // M
    int32_t group;          // divides C and M
    int32_t kernel[2];      // down, right; as are the next
    int32_t strides[2];
    int32_t pads[4];  // top, left, bottom, right
    int32_t dilations[2];
};

// Where the channels of a sample lie: each on its own, or every two of them pixel by pixel, which
// takes an even number of them. TensorRT calls the latter kCHW2.
enum class ChannelOrder : int32_t { kApart = 0, kPaired = 1 };

// Where `channel` has the element `at` of its plane, from the start of the sample.
ES_HOST_DEVICE inline int64_t PlaceOf(ChannelOrder order, int64_t channel, int64_t at,
                                      int64_t plane) {
    int const paired = static_cast<int>(order);
    return (((channel >> paired) * plane + at) << paired) + (channel & paired);
}

// A linear layer of N samples, K inputs and M outputs is this convolution of one pixel.
inline ConvShape LinearAsConv(int32_t samples, int32_t inputs, int32_t outputs) {
    return ConvShape{samples, inputs, 1, 1, outputs, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}};
}

// No extent, padding or dilated window reaches this, so that the sum of any two and a coordinate
// fits into 32 bits.
constexpr int64_t kConvExtentLimit = int64_t{1} << 28;

// P (axis 0) or Q (axis 1); below 1 where the window does not fit.
inline int64_t OutputSide(ConvShape const& shape, int axis) {
    int64_t const extent = axis == 0 ? shape.height : shape.width;
    int64_t const window = int64_t{shape.dilations[axis]} * (shape.kernel[axis] - 1) + 1;
    int64_t const room = extent + shape.pads[axis] + shape.pads[axis + 2] - window;
    return room < 0 ? 0 : room / shape.strides[axis] + 1;
}

// Weights of one filter, C / group times the window.
inline int64_t FilterWeights(ConvShape const& shape) {
    return CheckedProduct(shape.channels / shape.group, shape.kernel[0], shape.kernel[1]);
}

// Does the shape make sense, do C * H * W, M * P * Q and the weights of one filter stay below 2^31
// and all of x and y below 2^63 elements?
inline bool IsValid(ConvShape const& shape) {
    if (shape.samples < 0 || shape.channels < 1 || shape.filters < 1 || shape.group < 1) {
        return false;
    }
    if (shape.channels % shape.group != 0 || shape.filters % shape.group != 0) return false;
    for (int axis = 0; axis < 2; ++axis) {
        int64_t const extent = axis == 0 ? shape.height : shape.width;
        if (extent < 1 || shape.kernel[axis] < 1 || shape.strides[axis] < 1 ||
            shape.dilations[axis] < 1 || shape.pads[axis] < 0 || shape.pads[axis + 2] < 0) {
            return false;
        }
        int64_t const window = int64_t{shape.dilations[axis]} * (shape.kernel[axis] - 1) + 1;
        if (extent >= kConvExtentLimit || window >= kConvExtentLimit ||
            shape.pads[axis] >= kConvExtentLimit || shape.pads[axis + 2] >= kConvExtentLimit ||
            OutputSide(shape, axis) < 1) {
            return false;
        }
    }
    auto const fits = [](int64_t product) { return product >= 0 && product <= INT32_MAX; };
    int64_t const rows = OutputSide(shape, 0), columns = OutputSide(shape, 1);
    return fits(CheckedProduct(shape.channels, shape.height, shape.width)) &&
           fits(CheckedProduct(shape.filters, rows, columns)) && fits(FilterWeights(shape));
}

}  // namespace edgesynth
