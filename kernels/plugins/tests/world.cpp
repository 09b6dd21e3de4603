#include "plugins/tests/world.h"

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "plugins/log.h"

// The linker's --wrap=cudaMalloc and --wrap=cudaFree put these in front of the runtime's own.
extern "C" {
cudaError_t __real_cudaMalloc(void** pointer, size_t bytes);  // NOLINT
cudaError_t __real_cudaFree(void* pointer);                   // NOLINT
cudaError_t __wrap_cudaMalloc(void** pointer, size_t bytes);  // NOLINT
cudaError_t __wrap_cudaFree(void* pointer);                   // NOLINT
}

namespace edgesynth {
namespace plugins {
namespace {

std::atomic<int> failing{0};
std::atomic<int64_t> allocations{0}, freed{0};

class KeepingLogger final : public nvinfer1::ILogger {
  public:
    void log(Severity severity, char const* message) noexcept override {
        std::lock_guard<std::mutex> const lock(mutex);
        if (severity == Severity::kERROR) text += std::string(message) + "\n";
    }
    std::mutex mutex;
    std::string text;
};

KeepingLogger& Logger() {
    static KeepingLogger* logger = new KeepingLogger;  // outlives every plugin
    return *logger;
}

#if ES_TENSORRT >= 806
class Finder final : public nvinfer1::ILoggerFinder {
    nvinfer1::ILogger* findLogger() override { return &Logger(); }
};

bool const known = [] {
    static Finder finder;
    KeepLoggerFinder(&finder);
    return true;
}();
#endif

}  // namespace

std::string TakeErrors() {
    std::lock_guard<std::mutex> const lock(Logger().mutex);
    std::string text;
    text.swap(Logger().text);
    return text;
}

void FailAllocation(int nth) { failing = nth; }
int64_t Allocations() { return allocations; }
int64_t LiveAllocations() { return allocations - freed; }

FieldCollection::FieldCollection(NodeFields const& fields) {
    // two that parsers add: a text, and a name that no operator has
    fields_.emplace_back("plugin_version", "1", nvinfer1::PluginFieldType::kCHAR, 1);
    for (auto const& entry : fields.ints) {
        Add(entry.first, entry.second, nvinfer1::PluginFieldType::kINT32);
    }
    for (auto const& entry : fields.floats) {
        Add(entry.first, entry.second, nvinfer1::PluginFieldType::kFLOAT32);
    }
}

template <typename T>
void FieldCollection::Add(std::string const& name, std::vector<T> const& values,
                          nvinfer1::PluginFieldType type) {
    char* const text = new char[name.size() + 1];
    std::memcpy(text, name.c_str(), name.size() + 1);
    char* const data = new char[values.size() * sizeof(T)];
    if (!values.empty()) std::memcpy(data, values.data(), values.size() * sizeof(T));
    kept_.push_back(text);
    kept_.push_back(data);
    fields_.emplace_back(text, data, type, static_cast<int32_t>(values.size()));
}

FieldCollection::~FieldCollection() {
    for (char* const kept : kept_) delete[] kept;
}

nvinfer1::PluginFieldCollection const* FieldCollection::Get() {
    collection_.nbFields = static_cast<int32_t>(fields_.size());
    collection_.fields = fields_.data();
    return &collection_;
}

std::vector<Sample> const& Samples() {
    static std::vector<Sample> const samples = {
        {&ExitGateKind(),
         {{{"classes", {5}}, {"policy", {3}}},
          {{"gate_weights", {2.0f, -1.0f, 0.5f, 0.0f, 0.25f}}, {"gate_bias", {-0.5f}}}},
         {{3, 5}, {1}},
         {{3}, {3}, {3}, {3}, {1}},
         true,
         {{"another number of classes", {{3, 6}, {1}}},
          {"an image", {{3, 5, 1, 1}, {1}}},
          {"two thresholds", {{3, 5}, {2}}},
          {"no samples", {{0, 5}, {1}}},
          {"more elements than 31 bits count", {{int64_t{1} << 29, 5}, {1}}}},
         {{"fewer weights than classes", {{}, {{"gate_weights", {1.0f}}}}},
          {"more classes than a linear gate sorts",
           {{{"classes", {4097}}}, {{"gate_weights", std::vector<float>(4097, 0.0f)}}}}}},
    };
    return samples;
}

}  // namespace plugins
}  // namespace edgesynth

using namespace edgesynth::plugins;  // NOLINT: the functions below have C linkage

cudaError_t __wrap_cudaMalloc(void** pointer, size_t bytes) {
    if (failing > 0 && --failing == 0) return cudaErrorMemoryAllocation;
    cudaError_t const status = __real_cudaMalloc(pointer, bytes);
    if (status == cudaSuccess) ++allocations;
    return status;
}

cudaError_t __wrap_cudaFree(void* pointer) {
    if (pointer != nullptr) ++freed;
    return __real_cudaFree(pointer);
}

#if ES_TENSORRT < 806
// What libnvinfer has; plugins ask for it when no finder can be given to them.
extern "C" nvinfer1::ILogger* getLogger() noexcept { return &edgesynth::plugins::Logger(); }
#endif
