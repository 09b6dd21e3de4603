// Which thread of a block goes on next.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "emulation/grid.h"

namespace edgesynth {
namespace emulation {

// splitmix64 (Steele, Lea, Flood 2014): good enough to shuffle, and the same everywhere.
class Shuffler {
  public:
    explicit Shuffler(uint64_t seed) : state_(seed) {}
    uint64_t Below(uint64_t bound) {
        uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return (z ^ (z >> 31)) % bound;
    }

  private:
    uint64_t state_;
};

// First come, first served; or whoever the dice say. An item is in it at most once.
template <typename Item>
class ReadyQueue {
  public:
    void Reset(size_t capacity) {
        slots_.resize(capacity);
        first_ = count_ = 0;
    }
    bool empty() const { return count_ == 0; }
    void Push(Item* item) { At(count_++) = item; }
    Item* Pop(Order order, Shuffler* shuffler) {
        if (order == Order::kRandom) std::swap(At(0), At(shuffler->Below(count_)));
        Item* const item = At(0);
        first_ = first_ + 1 == slots_.size() ? 0 : first_ + 1;
        --count_;
        return item;
    }

  private:
    Item*& At(size_t i) {
        size_t const at = first_ + i;
        return slots_[at < slots_.size() ? at : at - slots_.size()];
    }

    std::vector<Item*> slots_;
    size_t first_ = 0;
    size_t count_ = 0;
};

}  // namespace emulation
}  // namespace edgesynth
