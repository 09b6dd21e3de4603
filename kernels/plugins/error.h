// What goes wrong inside a plugin: thrown by the core, caught by the shells at TensorRT's border.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace edgesynth {
namespace plugins {

// One line that says what was wrong, with which value. The shells add the operator's name.
class PluginError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// A PluginError with the text that printf would write, up to 500 characters of it.
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
PluginError
Error(char const* format, ...);

// Throws if `pointer`, which TensorRT should have given, is null; `what` says what it points to.
inline void CheckGiven(void const* pointer, char const* what) {
    if (pointer == nullptr) throw Error("TensorRT gave no %s", what);
}

// Throws unless `status` is cudaSuccess; `what` says which call it was.
void CheckCuda(cudaError_t status, char const* what);

}  // namespace plugins
}  // namespace edgesynth
