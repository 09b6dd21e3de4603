// EsTwice: y = factor * x, element by element.
#pragma once

#include "common/launcher.h"

namespace edgesynth {

struct Twice {
    int64_t elements;  // of x and of y
    DataType type;
    float factor;
};

// x, y: device, `elements` of `type`. cudaErrorInvalidValue: a size, type or pointer is none.
cudaError_t LaunchTwice(Twice const& twice, void const* x, void* y, cudaStream_t stream);

}  // namespace edgesynth
