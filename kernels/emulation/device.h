// CUDA C++'s keywords and built-in functions for device code that is compiled for the host.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "emulation/grid.h"
#include "emulation/runtime.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
// No __shared__: it is ES_SHARED and ES_DYNAMIC_SHARED of common/portable.h.

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

#define ES_SITE (::edgesynth::emulation::Site{__FILE__, __LINE__})
#define __syncthreads() ::edgesynth::emulation::SyncThreads(ES_SITE)
#define __syncthreads_count(predicate) \
    ::edgesynth::emulation::SyncThreadsCount(ES_SITE, (predicate) != 0)
#define __syncthreads_or(predicate) (__syncthreads_count(predicate) > 0)
#define __syncthreads_and(predicate) (__syncthreads_count((predicate) == 0) == 0)
#define __syncwarp() \
    (void)::edgesynth::emulation::ExchangeInWarp(0xFFFFFFFFu, 0, "__syncwarp", ES_SITE)
#define __shfl_sync(...) ::edgesynth::emulation::Shuffle(ES_SITE, __VA_ARGS__)
#define __shfl_up_sync(...) ::edgesynth::emulation::ShuffleUp(ES_SITE, __VA_ARGS__)
#define __shfl_down_sync(...) ::edgesynth::emulation::ShuffleDown(ES_SITE, __VA_ARGS__)
#define __shfl_xor_sync(...) ::edgesynth::emulation::ShuffleXor(ES_SITE, __VA_ARGS__)
#define __ballot_sync(mask, predicate) \
    ::edgesynth::emulation::Ballot(ES_SITE, mask, (predicate) != 0)
#define __any_sync(mask, predicate) (__ballot_sync(mask, predicate) != 0)
#define __all_sync(mask, predicate) (__ballot_sync(mask, predicate) == 0xFFFFFFFFu)

namespace edgesynth {
namespace emulation {

template <typename T>
uint64_t ToSlot(T value) {
    static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable<T>::value,
                  "warp shuffles move values of at most 8 bytes");
    uint64_t slot = 0;
    std::memcpy(&slot, &value, sizeof(T));
    return slot;
}

template <typename T>
T FromSlot(uint64_t slot) {
    T value;
    std::memcpy(&value, &slot, sizeof(T));
    return value;
}

// `source` is a lane of the warp; lanes whose source lies outside their segment keep their value.
template <typename T>
T ShuffleFrom(Site site, unsigned int mask, T value, int source, char const* what) {
    return FromSlot<T>(ExchangeInWarp(mask, ToSlot(value), what, site)[source]);
}

template <typename T>
T Shuffle(Site site, unsigned int mask, T value, int lane, int width = 32) {
    int const self = LaneOfCurrentThread();
    int const source = (self & ~(width - 1)) | (lane & (width - 1));
    return ShuffleFrom(site, mask, value, source, "__shfl_sync");
}

template <typename T>
T ShuffleUp(Site site, unsigned int mask, T value, unsigned int delta, int width = 32) {
    int const self = LaneOfCurrentThread();
    int const source = self - static_cast<int>(delta);
    bool const inside = source >= (self & ~(width - 1));
    return ShuffleFrom(site, mask, value, inside ? source : self, "__shfl_up_sync");
}

template <typename T>
T ShuffleDown(Site site, unsigned int mask, T value, unsigned int delta, int width = 32) {
    int const self = LaneOfCurrentThread();
    int const source = self + static_cast<int>(delta);
    bool const inside = source < (self & ~(width - 1)) + width;
    return ShuffleFrom(site, mask, value, inside ? source : self, "__shfl_down_sync");
}

template <typename T>
T ShuffleXor(Site site, unsigned int mask, T value, int lane_mask, int width = 32) {
    int const self = LaneOfCurrentThread();
    int const source = self ^ lane_mask;
    bool const inside = source < (self & ~(width - 1)) + width;
    return ShuffleFrom(site, mask, value, inside ? source : self, "__shfl_xor_sync");
}

inline unsigned int Ballot(Site site, unsigned int mask, bool predicate) {
    uint64_t const* const slots = ExchangeInWarp(mask, predicate ? 1 : 0, "a vote", site);
    unsigned int votes = 0;
    for (int lane = 0; lane < 32; ++lane) votes |= static_cast<unsigned int>(slots[lane]) << lane;
    return votes;
}

template <typename Tuple, size_t... Index, typename... Parameters>
void Apply(void (*kernel)(Parameters...), Tuple& values, std::index_sequence<Index...>) {
    kernel(std::get<Index>(values)...);
}

template <typename... Parameters, typename... Arguments>
cudaError_t Launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t, Arguments... arguments) {
    struct Closure {
        void (*kernel)(Parameters...);
        std::tuple<Parameters...> values;
    } closure{kernel, std::tuple<Parameters...>(static_cast<Parameters>(arguments)...)};
    return RunGrid(
        grid, block, shared_bytes,
        [](void* pointer) {
            Closure& self = *static_cast<Closure*>(pointer);
            Apply(self.kernel, self.values, std::index_sequence_for<Parameters...>());
        },
        &closure);
}

}  // namespace emulation
}  // namespace edgesynth

// ---- atomics: only one fibre runs at a time, so reading and writing apart is atomic ----

template <typename T>
T atomicExch(T* address, T value) {
    edgesynth::emulation::MayYield();
    T const old = *address;
    *address = value;
    return old;
}

template <typename T>
T atomicCAS(T* address, T compare, T value) {
    edgesynth::emulation::MayYield();
    T const old = *address;
    if (old == compare) *address = value;
    return old;
}

#define ES_ATOMIC(NAME, EXPRESSION)            \
    template <typename T>                      \
    T NAME(T* address, T value) {              \
        edgesynth::emulation::MayYield();      \
        T const old = *address;                \
        *address = static_cast<T>(EXPRESSION); \
        return old;                            \
    }
ES_ATOMIC(atomicAdd, old + value)
ES_ATOMIC(atomicSub, old - value)
ES_ATOMIC(atomicMin, value < old ? value : old)
ES_ATOMIC(atomicMax, value > old ? value : old)
ES_ATOMIC(atomicAnd, old& value)
ES_ATOMIC(atomicOr, old | value)
#undef ES_ATOMIC

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// ---- loads, bits, arithmetic ----

template <typename T>
T __ldg(T const* address) {
    return *address;
}

inline int __popc(unsigned int x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned int>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }

inline unsigned int __funnelshift_r(unsigned int low, unsigned int high, unsigned int shift) {
    uint64_t const both = (static_cast<uint64_t>(high) << 32) | low;
    return static_cast<unsigned int>(both >> (shift & 31));
}

template <typename To, typename From>
To EsBitCast(From from) {
    static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
}
inline int __float_as_int(float x) { return EsBitCast<int>(x); }
inline unsigned int __float_as_uint(float x) { return EsBitCast<unsigned int>(x); }
inline float __int_as_float(int x) { return EsBitCast<float>(x); }
inline float __uint_as_float(unsigned int x) { return EsBitCast<float>(x); }

inline float __fmaf_rn(float a, float b, float c) { return std::fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

using std::max;
using std::min;
