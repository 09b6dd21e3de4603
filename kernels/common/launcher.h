// What the header of every operator includes: types that callers and launchers share. No device
// code, no half type: activations are void pointers with a DataType beside them.
#pragma once

#if defined(__CUDACC_RTC__)
#include "common/portable.h"
#elif defined(__CUDACC__)
#include <cuda_runtime.h>

#include <cstdint>
#elif defined(ES_EMULATION)
#include <cstdint>

#include "emulation/runtime.h"
#else
#include <cuda_runtime_api.h>

#include <cstdint>
#endif

namespace edgesynth {

// Of activations. Weights, bias and scales have the type that the operator's header names.
enum class DataType : int32_t { kFloat = 0, kHalf = 1 };

// What follows convolution, bias and residual.
enum class Activation : int32_t { kNone = 0, kRelu = 1 };

inline int64_t SizeOf(DataType type) { return type == DataType::kFloat ? 4 : 2; }

inline bool IsValid(DataType type) { return type == DataType::kFloat || type == DataType::kHalf; }

inline bool IsValid(Activation activation) {
    return activation == Activation::kNone || activation == Activation::kRelu;
}

}  // namespace edgesynth
