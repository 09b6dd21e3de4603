// Host arrays on the device for the time of one call: what the entry points of entries.h need.
#pragma once

#include <cstdint>

#include "common/launcher.h"

namespace edgesynth {

// The first error of a series of CUDA calls.
class FirstError {
  public:
    bool Ok() const { return error_ == cudaSuccess; }
    cudaError_t Get() const { return error_; }
    cudaError_t Note(cudaError_t error) {
        if (error_ == cudaSuccess) error_ = error;
        return error;
    }

  private:
    cudaError_t error_ = cudaSuccess;
};

// Device memory of `bytes`, filled from `source`; none for a null source, and
// nothing at all after an earlier error.
class Staged {
  public:
    Staged(int64_t bytes, FirstError* error) : bytes_(bytes), error_(error) { Allocate(); }
    Staged(void const* source, int64_t bytes, FirstError* error) : bytes_(bytes), error_(error) {
        if (source == nullptr) return;
        Allocate();
        Copy(pointer_, source, cudaMemcpyHostToDevice);
    }
    ~Staged() {
        if (pointer_ != nullptr) cudaFree(pointer_);
    }
    Staged(Staged const&) = delete;
    Staged& operator=(Staged const&) = delete;

    void CopyTo(void* target) { Copy(target, pointer_, cudaMemcpyDeviceToHost); }

    template <typename T>
    T* As() const {
        return static_cast<T*>(pointer_);
    }

  private:
    void Allocate() {
        if (!error_->Ok()) return;
        error_->Note(cudaMalloc(&pointer_, static_cast<size_t>(bytes_ > 0 ? bytes_ : 1)));
    }
    void Copy(void* to, void const* from, cudaMemcpyKind kind) {
        if (!error_->Ok() || bytes_ == 0) return;
        error_->Note(cudaMemcpy(to, from, static_cast<size_t>(bytes_), kind));
    }

    int64_t bytes_;
    FirstError* error_;
    void* pointer_ = nullptr;
};

}  // namespace edgesynth
