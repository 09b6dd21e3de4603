#include "testing/benchmark.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace edgesynth {
namespace testing {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int kWarmUpRuns = 5;
constexpr int kLimitRuns = 20;

void Demand(cudaError_t status, char const* what) {
    if (status == cudaSuccess) return;
    std::fprintf(stderr, "%s failed: %s\n", what, cudaGetErrorString(status));
    std::exit(3);
}

double Median(std::vector<double> const& sorted) { return sorted[sorted.size() / 2]; }

// Microseconds between two events around `run`.
double Time(std::function<void()> const& run) {
    cudaEvent_t start, end;
    Demand(cudaEventCreate(&start), "cudaEventCreate");
    Demand(cudaEventCreate(&end), "cudaEventCreate");
    Demand(cudaEventRecord(start, nullptr), "cudaEventRecord");
    run();
    Demand(cudaEventRecord(end, nullptr), "cudaEventRecord");
    Demand(cudaEventSynchronize(end), "cudaEventSynchronize");
    float milliseconds = 0.0f;
    Demand(cudaEventElapsedTime(&milliseconds, start, end), "cudaEventElapsedTime");
    cudaEventDestroy(start);
    cudaEventDestroy(end);
    return 1000.0 * static_cast<double>(milliseconds);
}

#if defined(ES_EMULATION)

std::string DescribeDevice(int64_t* cache_bytes) {
    *cache_bytes = 0;
    return "emulation";
}

#else

std::string DescribeDevice(int64_t* cache_bytes) {
    int device = 0, driver = 0, runtime = 0;
    cudaDeviceProp properties;
    Demand(cudaGetDevice(&device), "cudaGetDevice");
    Demand(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    Demand(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    Demand(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    *cache_bytes = properties.l2CacheSize;
    return std::string(properties.name) + ", " + std::to_string(properties.multiProcessorCount) +
           " SMs of compute capability " + std::to_string(properties.major) + "." +
           std::to_string(properties.minor) + ", driver API " + std::to_string(driver) +
           ", runtime " + std::to_string(runtime);
}

#endif

}  // namespace

Benchmark::Benchmark(char const* name, int count, char** words) : name_(name) {
    for (int i = 1; i < count; ++i) {
        bool const has_value = i + 1 < count;
        if (std::strcmp(words[i], "--smoke") == 0) {
            smoke_ = true;
        } else if (std::strcmp(words[i], "--json") == 0 && has_value) {
            json_ = words[++i];
        } else if (std::strcmp(words[i], "--runs") == 0 && has_value) {
            runs_ = std::max(1, std::atoi(words[++i]));
        } else {
            std::fprintf(stderr, "usage: %s_benchmark [--json FILE] [--runs N] [--smoke]\n", name);
            std::exit(2);
        }
    }
    int64_t cache_bytes = 0;
    device_ = DescribeDevice(&cache_bytes);
#if defined(ES_EMULATION)
    smoke_ = true;
#endif
    if (smoke_) return;
    flush_bytes_ = std::max(32 * kMiB, 4 * cache_bytes);
    Demand(cudaMalloc(&flush_, static_cast<size_t>(flush_bytes_)), "cudaMalloc");
    limit_gb_s_ = MeasureLimit();
    std::printf("%s\nlimit of copying: %.1f GB/s\n", device_.c_str(), limit_gb_s_);
    std::printf("%-44s %-6s %10s %10s %10s %9s %8s %10s\n", "case", "type", "median us", "p10 us",
                "p90 us", "GB/s", "% limit", "GFLOP/s");
}

Benchmark::~Benchmark() { cudaFree(flush_); }

// Copying half of the buffer to the other half reads and writes all of it once.
double Benchmark::MeasureLimit() {
    size_t const half = static_cast<size_t>(flush_bytes_ / 2);
    char* const to = static_cast<char*>(flush_);
    std::vector<double> times;
    for (int i = 0; i < kLimitRuns; ++i) {
        times.push_back(Time([&] {
            Demand(cudaMemcpyAsync(to, to + half, half, cudaMemcpyDeviceToDevice, nullptr), "copy");
        }));
    }
    std::sort(times.begin(), times.end());
    return 2.0 * static_cast<double>(half) / Median(times) / 1000.0;
}

void Benchmark::FlushCache() {
    Demand(cudaMemsetAsync(flush_, 0, static_cast<size_t>(flush_bytes_), nullptr), "cudaMemset");
}

std::vector<double> Benchmark::Times(std::function<cudaError_t(cudaStream_t)> const& launch) {
    std::vector<double> times;
    for (int i = -kWarmUpRuns; i < runs_; ++i) {
        FlushCache();
        double const time = Time([&] { Demand(launch(nullptr), name_.c_str()); });
        if (i >= 0) times.push_back(time);
    }
    std::sort(times.begin(), times.end());
    return times;
}

void Benchmark::Measure(Case const& what, Work const& work,
                        std::function<cudaError_t(cudaStream_t)> const& launch,
                        std::function<bool()> const& is_right) {
    cudaError_t status = launch(nullptr);
    if (status == cudaSuccess) status = cudaDeviceSynchronize();
    if (status != cudaSuccess || !is_right()) {
        ++wrong_;
        std::printf("%-44s %s\n", what.name.c_str(),
                    status == cudaSuccess ? "WRONG RESULT" : cudaGetErrorString(status));
        return;
    }
    if (smoke_) {
        std::printf("%-44s right\n", what.name.c_str());
        return;
    }
    std::vector<double> const times = Times(launch);
    double const median = Median(times);
    double const gb_s = static_cast<double>(work.bytes) / median / 1000.0;
    std::printf("%-44s %-6s %10.2f %10.2f %10.2f %9.1f %8.1f %10.1f\n", what.name.c_str(),
                what.type == DataType::kFloat ? "float" : "half", median, times[times.size() / 10],
                times[times.size() * 9 / 10], gb_s, 100.0 * gb_s / limit_gb_s_,
                static_cast<double>(work.operations) / median / 1000.0);
    if (!json_.empty()) Write(what, work, times);
}

void Benchmark::Write(Case const& what, Work const& work, std::vector<double> const& times) const {
    std::FILE* const file = std::fopen(json_.c_str(), "a");
    if (file == nullptr) {
        std::perror(json_.c_str());
        std::exit(2);
    }
    double const median = Median(times);
    double const gb_s = static_cast<double>(work.bytes) / median / 1000.0;
    std::fprintf(file,
                 "{\"schema\": \"edgesynth.kernel_benchmark/1\", \"operator\": \"%s\", "
                 "\"case\": \"%s\", \"type\": \"%s\", \"median_us\": %.3f, \"p10_us\": %.3f, "
                 "\"p90_us\": %.3f, \"runs\": %zu, \"bytes\": %lld, \"operations\": %lld, "
                 "\"dense_operations\": %lld, \"gb_s\": %.3f, \"limit_gb_s\": %.3f, "
                 "\"percent_of_limit\": %.2f, \"device\": \"%s\"",
                 name_.c_str(), what.name.c_str(), what.type == DataType::kFloat ? "float" : "half",
                 median, times[times.size() / 10], times[times.size() * 9 / 10], times.size(),
                 static_cast<long long>(work.bytes), static_cast<long long>(work.operations),
                 static_cast<long long>(work.dense_operations), gb_s, limit_gb_s_,
                 100.0 * gb_s / limit_gb_s_, device_.c_str());
    for (auto const& field : what.fields) {
        std::fprintf(file, ", \"%s\": %.9g", field.first.c_str(), field.second);
    }
    std::fprintf(file, "}\n");
    std::fclose(file);
}

}  // namespace testing
}  // namespace edgesynth
