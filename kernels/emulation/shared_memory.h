// The shared memory of the block that runs: fresh and NaN for every block, never more than a GPU
// has.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace edgesynth {
namespace emulation {

constexpr size_t kSharedLimit = 48 << 10;  // of one block, on every GPU without opting in

class SharedMemory {
  public:
    // For a new block, with so many bytes from its launch.
    void Start(size_t dynamic_bytes);

    // Null when the launch asked for none.
    void* Dynamic() const { return dynamic_.get(); }

    // The array that belongs to `key`, made when it is first asked for; null when the block would
    // exceed the limit.
    void* Static(void const* key, size_t bytes, size_t alignment);

    // Of all arrays so far.
    size_t bytes() const { return bytes_; }

  private:
    struct Array {
        void const* key;
        std::unique_ptr<char[]> memory;
        void* aligned;
    };

    std::unique_ptr<char[]> dynamic_;
    std::vector<Array> arrays_;
    size_t bytes_ = 0;
};

}  // namespace emulation
}  // namespace edgesynth
