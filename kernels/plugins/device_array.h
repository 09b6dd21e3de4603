// Weights on the device: uploaded when first needed, once per device, shared by all clones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

namespace edgesynth {
namespace plugins {

// An array that never changes. Thread-safe; neither copied nor moved, since clones share it through
// the operator that owns it.
class DeviceArray {
  public:
    using Bytes = std::vector<uint8_t>;

    // `make` gives the bytes in the layout of the kernel, and is called once for every device: the
    // host keeps no second copy, as host and device are the same memory on a Tegra.
    explicit DeviceArray(std::function<Bytes()> make) : make_(std::move(make)) {}

    DeviceArray(DeviceArray const&) = delete;
    DeviceArray& operator=(DeviceArray const&) = delete;
    ~DeviceArray();

    // The address on the current device; null for no bytes. The first call on a device allocates
    // and copies, so the shells call it where that is allowed (see Operator::Prepare); later calls
    // are a look-up. Throws PluginError when CUDA refuses.
    template <typename T>
    T const* Get() const {
        return static_cast<T const*>(Address());
    }

  private:
    void const* Address() const;

    std::function<Bytes()> const make_;
    mutable std::mutex mutex_;
    mutable std::map<int, void*> addresses_;
};

// The bytes of `values` as they are.
template <typename T>
DeviceArray::Bytes BytesOf(std::vector<T> const& values) {
    uint8_t const* const data = reinterpret_cast<uint8_t const*>(values.data());
    return DeviceArray::Bytes(data, data + values.size() * sizeof(T));
}

}  // namespace plugins
}  // namespace edgesynth
