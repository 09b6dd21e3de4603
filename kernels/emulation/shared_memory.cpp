#include "emulation/shared_memory.h"

#include <cstdint>
#include <cstring>
#include <utility>

namespace edgesynth {
namespace emulation {

void SharedMemory::Start(size_t dynamic_bytes) {
    arrays_.clear();
    bytes_ = dynamic_bytes;
    dynamic_.reset(dynamic_bytes > 0 ? new char[dynamic_bytes] : nullptr);
    if (dynamic_bytes > 0) std::memset(dynamic_.get(), 0xFF, dynamic_bytes);
}

void* SharedMemory::Static(void const* key, size_t bytes, size_t alignment) {
    for (Array const& array : arrays_) {
        if (array.key == key) return array.aligned;
    }
    if (bytes_ + bytes > kSharedLimit) return nullptr;
    // The slack for alignment lies in front: AddressSanitizer sees the first byte past the end.
    std::unique_ptr<char[]> memory(new char[alignment + bytes]);
    char* const last = memory.get() + alignment;
    char* const aligned = last - reinterpret_cast<uintptr_t>(last) % alignment;
    std::memset(aligned, 0xFF, bytes);
    arrays_.push_back(Array{key, std::move(memory), aligned});
    bytes_ += bytes;
    return aligned;
}

}  // namespace emulation
}  // namespace edgesynth
