// EsScale: y = factor * x. The recipe of CONTRIBUTING.md, tried.
#pragma once

#include "common/launcher.h"

namespace edgesynth {

struct Scale {
    int64_t count;  // of elements, >= 0
    DataType type;  // of x and y
    float factor;
};

// x, y: device, `count` of `scale.type`; they may be the same.
// cudaErrorInvalidValue: a size, type or pointer that the comments above exclude.
cudaError_t LaunchScale(Scale const& scale, void const* x, void* y, cudaStream_t stream);

}  // namespace edgesynth
