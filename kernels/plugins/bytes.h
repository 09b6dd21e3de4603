// Little-endian numbers in a string of bytes, on any processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "plugins/error.h"

namespace edgesynth {
namespace plugins {

class ByteWriter {
  public:
    void Put32(uint32_t value) { Put(value, 4); }
    void Put64(uint64_t value) { Put(value, 8); }

    void PutText(char const* text) {
        size_t const length = std::strlen(text);
        Put32(static_cast<uint32_t>(length));
        bytes_.insert(bytes_.end(), text, text + length);
    }

    // T has 32 bits.
    template <typename T>
    void PutArray(std::vector<T> const& values) {
        static_assert(sizeof(T) == 4, "an element of an array takes four bytes");
        bytes_.reserve(bytes_.size() + 4 * values.size());
        for (T const value : values) {
            uint32_t bits;
            std::memcpy(&bits, &value, 4);
            Put32(bits);
        }
    }

    std::vector<uint8_t>& Bytes() { return bytes_; }

  private:
    void Put(uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    }

    std::vector<uint8_t> bytes_;
};

// Reads what a ByteWriter wrote; throws PluginError where the bytes end too soon.
class ByteReader {
  public:
    ByteReader(void const* data, size_t bytes)
        : at_(static_cast<uint8_t const*>(data)), left_(data == nullptr ? 0 : bytes) {}

    size_t Left() const { return left_; }
    uint32_t Get32() { return static_cast<uint32_t>(Get(4)); }
    uint64_t Get64() { return Get(8); }

    std::string GetText() {
        uint32_t const length = Get32();
        Need(length, 1);
        std::string const text(reinterpret_cast<char const*>(at_), length);
        Skip(length);
        return text;
    }

    // T has 32 bits.
    template <typename T>
    std::vector<T> GetArray(uint64_t count) {
        static_assert(sizeof(T) == 4, "an element of an array takes four bytes");
        Need(count, 4);  // before memory is asked for
        std::vector<T> values(static_cast<size_t>(count));
        for (T& value : values) {
            uint32_t const bits = Get32();
            std::memcpy(&value, &bits, 4);
        }
        return values;
    }

  private:
    void Need(uint64_t count, uint64_t size) const {
        if (count > left_ / size) {
            throw Error(
                "the serialized plugin is cut off: %llu elements are stated, %zu bytes left",
                static_cast<unsigned long long>(count), left_);
        }
    }

    void Skip(size_t bytes) {
        at_ += bytes;
        left_ -= bytes;
    }

    uint64_t Get(int bytes) {
        Need(static_cast<uint64_t>(bytes), 1);
        uint64_t value = 0;
        for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(at_[i]) << (8 * i);
        Skip(static_cast<size_t>(bytes));
        return value;
    }

    uint8_t const* at_;
    size_t left_;
};

}  // namespace plugins
}  // namespace edgesynth
