#include "emulation/host.h"

#include "emulation/grid.h"
#include "emulation/runtime.h"

char const* es_host_message() { return edgesynth::emulation::LastMessage(); }

char const* es_host_error_name(int32_t error) {
    return cudaGetErrorName(static_cast<cudaError_t>(error));
}

int32_t es_host_set_order(int32_t order, uint64_t seed) {
    if (order < 0 || order > 2) return cudaErrorInvalidValue;
    edgesynth::emulation::SetOrder(static_cast<edgesynth::emulation::Order>(order), seed);
    return cudaSuccess;
}
