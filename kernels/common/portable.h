// What a kernel or launcher includes first: CUDA under nvcc and NVRTC, its emulation elsewhere.
//
//   ES_LAUNCH((Kernel<T, 4>), grid, block, shared_bytes, stream, arguments...)
//       launches, and is a cudaError_t: what the launch itself reports. Nothing is synchronized.
//   ES_SHARED(float, tile, [16][17]);
//       a shared array of fixed size, aligned to 16 bytes.
//   ES_DYNAMIC_SHARED(float, scratch);
//       a pointer to the shared memory that the launch asked for, aligned to 16 bytes.
//
// Device code uses built-in functions only: whatever is not in emulation/device.h or
// emulation/half.h does not compile there, and is added there first.
#pragma once

#if defined(__CUDACC_RTC__)  // NVRTC: no host, no standard library

using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long;
using uint64_t = unsigned long;
#define INT32_MAX 0x7FFFFFFF
#define INT64_MAX 0x7FFFFFFFFFFFFFFF
#include <cuda_fp16.h>

#elif defined(__CUDACC__)  // nvcc, both of its passes

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#else

#include "emulation/device.h"
#include "emulation/half.h"

#endif

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

#define ES_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    (kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__), cudaPeekAtLastError())
#define ES_SHARED(type, name, extents) __shared__ __align__(16) type name extents
#define ES_DYNAMIC_SHARED(type, name)                                  \
    extern __shared__ __align__(16) unsigned char es_dynamic_shared[]; \
    type* const name = reinterpret_cast<type*>(es_dynamic_shared)

#else

#define ES_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    ::edgesynth::emulation::Launch(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)
#define ES_SHARED(type, name, extents)              \
    typedef type name##Array extents;               \
    static char const name##_key = 0;               \
    name##Array& name = *static_cast<name##Array*>( \
        ::edgesynth::emulation::StaticShared(&name##_key, sizeof(name##Array), 16, ES_SITE))
#define ES_DYNAMIC_SHARED(type, name) \
    type* const name = static_cast<type*>(::edgesynth::emulation::DynamicShared(ES_SITE))

#endif

namespace edgesynth {

constexpr unsigned int kFullMask = 0xFFFFFFFFu;
constexpr int kWarpSize = 32;

}  // namespace edgesynth
