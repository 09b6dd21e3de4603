#include "plugins/error.h"

#include <cstdarg>
#include <cstdio>

namespace edgesynth {
namespace plugins {

PluginError Error(char const* format, ...) {
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return PluginError(text);
}

void CheckCuda(cudaError_t status, char const* what) {
    if (status != cudaSuccess) {
        throw Error("%s failed: %s, CUDA error %d", what, cudaGetErrorString(status),
                    static_cast<int>(status));
    }
}

}  // namespace plugins
}  // namespace edgesynth
