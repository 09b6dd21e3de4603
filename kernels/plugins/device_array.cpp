#include "plugins/device_array.h"

#include <cuda_runtime_api.h>

#include "plugins/error.h"

namespace edgesynth {
namespace plugins {

DeviceArray::~DeviceArray() {
    // At the end of the process CUDA may be gone already; then this fails, and may.
    for (auto const& entry : addresses_) cudaFree(entry.second);
}

void const* DeviceArray::Address() const {
    int device = 0;
    CheckCuda(cudaGetDevice(&device), "cudaGetDevice");
    std::lock_guard<std::mutex> const lock(mutex_);
    auto const found = addresses_.find(device);
    if (found != addresses_.end()) return found->second;
    Bytes const bytes = make_();
    void*& address = addresses_[device];  // first, so that nothing below can lose the memory
    if (bytes.empty()) return nullptr;
    cudaError_t status = cudaMalloc(&address, bytes.size());
    if (status == cudaSuccess) {
        status = cudaMemcpy(address, bytes.data(), bytes.size(), cudaMemcpyHostToDevice);
        if (status != cudaSuccess) cudaFree(address);
    }
    if (status != cudaSuccess) addresses_.erase(device);
    CheckCuda(status, "bringing a layer's weights to the GPU");
    return address;
}

}  // namespace plugins
}  // namespace edgesynth
