// Where the weights of a convolution meet its input: device code that gathers x as the columns of a
// matrix. Where in x a column lies is worked out once and shared; a pixel adds its corner.
#pragma once

#include "common/convolution.h"
#include "common/half.h"

namespace edgesynth {

// A coordinate outside of every image, also when another one is added to it.
constexpr int32_t kOutside = 1 << 30;
static_assert(kOutside - kConvExtentLimit > kConvExtentLimit,
              "a coordinate outside stays outside when a pad is subtracted from it");

// Of `column` of a filter's `columns` weights: y and z how far down and right in the window, x how
// far from the window's corner in memory. Distances in memory are right modulo 2^32, which is
// enough for those inside of a sample. A column beyond the last one lies outside.
__device__ __forceinline__ int4 TapOf(ConvShape const& shape, int32_t columns, uint32_t column) {
    if (column >= static_cast<uint32_t>(columns)) return make_int4(0, kOutside, kOutside, 0);
    uint32_t const kernel_width = static_cast<uint32_t>(shape.kernel[1]);
    uint32_t const window = static_cast<uint32_t>(shape.kernel[0]) * kernel_width;
    uint32_t const width = static_cast<uint32_t>(shape.width);
    uint32_t const plane = static_cast<uint32_t>(shape.height) * width;
    uint32_t const place = column % window;
    uint32_t const down = place / kernel_width * static_cast<uint32_t>(shape.dilations[0]);
    uint32_t const right = place % kernel_width * static_cast<uint32_t>(shape.dilations[1]);
    return make_int4(static_cast<int32_t>(column / window * plane + down * width + right),
                     static_cast<int32_t>(down), static_cast<int32_t>(right), 0);
}

// Where the window of one pixel begins.
template <typename T>
struct Corner {
    T const* channels;  // the first of the group, in the pixel's sample
    int32_t top, left;
    uint32_t distance;  // from `channels`, modulo 2^32
};

// Of a pixel that is none: all of its taps are padding.
template <typename T>
__device__ __forceinline__ Corner<T> CornerOutside(T const* x) {
    return Corner<T>{x, kOutside, kOutside, 0};
}

template <typename T>
__device__ __forceinline__ Corner<T> CornerAt(ConvShape const& shape, T const* x, int32_t group,
                                              int64_t sample, int32_t row, int32_t column) {
    int64_t const channel =
        sample * shape.channels + static_cast<int64_t>(group) * (shape.channels / shape.group);
    int32_t const top = row * shape.strides[0] - shape.pads[0];
    int32_t const left = column * shape.strides[1] - shape.pads[1];
    return Corner<T>{x + channel * (shape.height * shape.width), top, left,
                     static_cast<uint32_t>(top) * static_cast<uint32_t>(shape.width) +
                         static_cast<uint32_t>(left)};
}

template <typename T>
__device__ __forceinline__ uint32_t LoadTap(ConvShape const& shape, Corner<T> const& corner,
                                            int4 tap) {
    uint32_t const row = static_cast<uint32_t>(corner.top) + static_cast<uint32_t>(tap.y);
    uint32_t const column = static_cast<uint32_t>(corner.left) + static_cast<uint32_t>(tap.z);
    bool const inside =
        row < static_cast<uint32_t>(shape.height) && column < static_cast<uint32_t>(shape.width);
    if (!inside) return 0;  // padding
    return LoadBits(corner.channels + (corner.distance + static_cast<uint32_t>(tap.x)));
}

}  // namespace edgesynth
