// Entry points for Python (ctypes): one es_NAME_host per operator, in kernels/NAME/host.cpp.
//
// All of them take plain C types (int32_t, int64_t, float, pointers to host memory), run the same
// launcher as a GPU would, in emulation, and return a cudaError_t. Arrays of activations are void
// pointers beside a `type`: 0 float, 1 half (as 16-bit words).
#pragma once

#include <cstdint>

#define ES_HOST_ENTRY extern "C" __attribute__((visibility("default")))

// Why the last call failed where the emulation knows more than the code; else an empty string.
ES_HOST_ENTRY char const* es_host_message();

// The name of a cudaError_t.
ES_HOST_ENTRY char const* es_host_error_name(int32_t error);

// For all calls from here on: 0 forward, 1 reverse, 2 random with this seed.
ES_HOST_ENTRY int32_t es_host_set_order(int32_t order, uint64_t seed);
