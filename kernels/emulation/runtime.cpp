#include "emulation/runtime.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>

namespace edgesynth {
namespace emulation {
namespace {

constexpr size_t kAlignment = 256;  // what cudaMalloc promises

struct Memory {
    std::mutex mutex;
    std::unordered_map<void*, size_t> sizes;
    int64_t total = 0;
};

Memory& Allocations() {
    static Memory* memory = new Memory;  // outlives every static object that frees memory
    return *memory;
}

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t Allocate(void** pointer, size_t bytes) {
    if (pointer == nullptr) return SetLastError(cudaErrorInvalidValue);
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    void* memory = nullptr;
    if (posix_memalign(&memory, kAlignment, bytes) != 0) {
        return SetLastError(cudaErrorMemoryAllocation);
    }
    std::memset(memory, 0xFF, bytes);
    Memory& allocations = Allocations();
    std::lock_guard<std::mutex> lock(allocations.mutex);
    allocations.sizes[memory] = bytes;
    allocations.total += static_cast<int64_t>(bytes);
    *pointer = memory;
    return cudaSuccess;
}

cudaError_t Release(void* pointer) {
    if (pointer == nullptr) return cudaSuccess;
    Memory& allocations = Allocations();
    std::lock_guard<std::mutex> lock(allocations.mutex);
    auto const found = allocations.sizes.find(pointer);
    if (found == allocations.sizes.end()) return SetLastError(cudaErrorInvalidValue);
    allocations.total -= static_cast<int64_t>(found->second);
    allocations.sizes.erase(found);
    std::free(pointer);
    return cudaSuccess;
}

}  // namespace

cudaError_t SetLastError(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

int64_t AllocatedBytes() {
    Memory& allocations = Allocations();
    std::lock_guard<std::mutex> lock(allocations.mutex);
    return allocations.total;
}

}  // namespace emulation
}  // namespace edgesynth

using edgesynth::emulation::SetLastError;

struct CUevent_st {
    std::chrono::steady_clock::time_point when;
};

extern "C" {

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
    return edgesynth::emulation::Allocate(pointer, bytes);
}

cudaError_t cudaFree(void* pointer) { return edgesynth::emulation::Release(pointer); }

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned int) {
    return edgesynth::emulation::Allocate(pointer, bytes);
}

cudaError_t cudaFreeHost(void* pointer) { return edgesynth::emulation::Release(pointer); }

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned int) {
    if (device == nullptr || host == nullptr) return SetLastError(cudaErrorInvalidValue);
    *device = host;
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, void const* from, size_t bytes, enum cudaMemcpyKind) {
    if (bytes == 0) return cudaSuccess;
    if (to == nullptr || from == nullptr) return SetLastError(cudaErrorInvalidValue);
    std::memmove(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, void const* from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t) {
    return cudaMemcpy(to, from, bytes, kind);
}

cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
    if (bytes == 0) return cudaSuccess;
    if (pointer == nullptr) return SetLastError(cudaErrorInvalidValue);
    std::memset(pointer, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t) {
    return cudaMemset(pointer, value, bytes);
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    if (stream == nullptr) return SetLastError(cudaErrorInvalidValue);
    *stream = nullptr;  // the default stream
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

cudaError_t cudaEventCreate(cudaEvent_t* event) {
    if (event == nullptr) return SetLastError(cudaErrorInvalidValue);
    *event = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
    if (event == nullptr) return SetLastError(cudaErrorInvalidValue);
    event->when = std::chrono::steady_clock::now();
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    if (milliseconds == nullptr || start == nullptr || end == nullptr) {
        return SetLastError(cudaErrorInvalidValue);
    }
    *milliseconds = std::chrono::duration<float, std::milli>(end->when - start->when).count();
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
    if (device == nullptr) return SetLastError(cudaErrorInvalidValue);
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
    if (count == nullptr) return SetLastError(cudaErrorInvalidValue);
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    return device == 0 ? cudaSuccess : SetLastError(cudaErrorInvalidValue);
}

cudaError_t cudaGetLastError() {
    cudaError_t const error = edgesynth::emulation::last_error;
    edgesynth::emulation::last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError() { return edgesynth::emulation::last_error; }

char const* cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess:
            return "cudaSuccess";
        case cudaErrorInvalidValue:
            return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation:
            return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidConfiguration:
            return "cudaErrorInvalidConfiguration";
        case cudaErrorNotReady:
            return "cudaErrorNotReady";
        case cudaErrorLaunchFailure:
            return "cudaErrorLaunchFailure";
    }
    return "an error that the emulation does not know";
}

char const* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

}  // extern "C"
