// CUDA's vector types, error codes and handles, for code that runs on the host instead of a GPU.
//
// The names and the sizes are CUDA's, so that a launcher compiled here links with a caller that was
// compiled against NVIDIA's own headers.
#pragma once

#include <cstddef>
#include <cstdint>

enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorNotReady = 600,
    cudaErrorLaunchFailure = 719,
};
typedef enum cudaError cudaError_t;

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;

struct uint3 {
    unsigned int x, y, z;
};

struct dim3 {
    unsigned int x, y, z;
    constexpr dim3(unsigned int x_ = 1, unsigned int y_ = 1, unsigned int z_ = 1)
        : x(x_), y(y_), z(z_) {}
};

#define ES_VECTOR_TYPES(NAME, TYPE)                                          \
    struct alignas(2 * sizeof(TYPE)) NAME##2 {                               \
        TYPE x, y;                                                           \
    };                                                                       \
    struct alignas(4 * sizeof(TYPE)) NAME##4 {                               \
        TYPE x, y, z, w;                                                     \
    };                                                                       \
    inline NAME##2 make_##NAME##2(TYPE x, TYPE y) { return NAME##2 {x, y}; } \
    inline NAME##4 make_##NAME##4(TYPE x, TYPE y, TYPE z, TYPE w) { return NAME##4 {x, y, z, w}; }

ES_VECTOR_TYPES(float, float)
ES_VECTOR_TYPES(int, int)
ES_VECTOR_TYPES(uint, unsigned int)
#undef ES_VECTOR_TYPES
