// Benchmarks: checked before they are timed, cold cache, medians, bytes against the card's limit.
//
//   int main(int count, char** words) {
//       Benchmark benchmark("exit_gate", count, words);
//       benchmark.Measure({...what it is...}, {...what it moves and computes...},
//                         [&](cudaStream_t stream) { return LaunchExitGate(..., stream); },
//                         [&] { return ...the result is right...; });
//       return benchmark.Finish();
//   }
//
// Options: --json FILE (one object per line is appended), --runs N (default 100), --smoke (one run
// of each case, which is what the emulation does: its times mean nothing, so it prints none).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/launcher.h"

namespace edgesynth {
namespace testing {

// What a run must at least do: the sizes of everything that is read or written once.
struct Work {
    int64_t bytes;
    int64_t operations;        // floating point; a multiply-accumulate counts 2
    int64_t dense_operations;  // of the dense layer with the same result; 0 where there is none
};

// One case. `fields` are further members of the JSON object, such as {"sparsity", "0.9"}.
struct Case {
    std::string name;
    DataType type;
    std::vector<std::pair<std::string, double>> fields;
};

class Benchmark {
  public:
    Benchmark(char const* name, int count, char** words);
    ~Benchmark();
    Benchmark(Benchmark const&) = delete;
    Benchmark& operator=(Benchmark const&) = delete;

    // `launch` returns the launcher's status; `is_right` looks at what the first run wrote. A case
    // that fails either is reported and not timed.
    void Measure(Case const& what, Work const& work,
                 std::function<cudaError_t(cudaStream_t)> const& launch,
                 std::function<bool()> const& is_right);

    // The exit status: 0 if every case was right.
    int Finish() const { return wrong_ == 0 ? 0 : 1; }

    bool smoke() const { return smoke_; }

  private:
    // Microseconds of single runs, each with the cache full of something else, sorted.
    std::vector<double> Times(std::function<cudaError_t(cudaStream_t)> const& launch);
    void FlushCache();
    double MeasureLimit();
    void Write(Case const& what, Work const& work, std::vector<double> const& times) const;

    std::string name_, json_, device_;
    int runs_ = 100;
    bool smoke_ = false;
    int wrong_ = 0;
    double limit_gb_s_ = 0.0;  // of copying on this card: what reading and writing can reach
    void* flush_ = nullptr;
    int64_t flush_bytes_ = 0;
};

}  // namespace testing
}  // namespace edgesynth
