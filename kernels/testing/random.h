// Random numbers that are the same on every machine: the standard library's distributions are not.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace edgesynth {
namespace testing {

// splitmix64 (Steele, Lea, Flood 2014).
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t Next() {
        uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    double Uniform() { return std::ldexp(static_cast<double>(Next() >> 11), -53); }  // in [0, 1)
    double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
    int64_t Integer(int64_t low, int64_t high) {  // both included
        return low + static_cast<int64_t>(Next() % static_cast<uint64_t>(high - low + 1));
    }
    bool Chance(double probability) { return Uniform() < probability; }
    double Normal() {  // Box and Muller
        double const radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
        return radius * std::cos(6.283185307179586 * Uniform());
    }
    std::vector<double> Normals(int64_t count, double deviation = 1.0) {
        std::vector<double> values(static_cast<size_t>(count));
        for (double& value : values) value = deviation * Normal();
        return values;
    }

  private:
    uint64_t state_;
};

}  // namespace testing
}  // namespace edgesynth
