#include "plugins/tests/world.h"

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
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

OperatorKind const* Find(std::string const& type) {
    for (OperatorKind const* const kind : Operators()) {
        if (type == kind->spec.type) return kind;
    }
    return nullptr;
}

namespace {

using Inputs = std::vector<std::vector<int64_t>>;

Sample ExitGateSample() {
    return {Find("EsExitGate"),
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
              {{{"classes", {4097}}}, {{"gate_weights", std::vector<float>(4097, 0.0f)}}}}}};
}

// (2, 6) to (2, 4)
Sample LinearSample(std::string const& type, NodeFields const& weights) {
    Sample sample{Find(type), weights, {{2, 6}}, {{2, 4}}, true, {}, {}};
    sample.fields.ints["weight_shape"] = {4, 6};
    sample.fields.ints["activation"] = {1};
    sample.fields.floats["bias"] = {0.5f, -0.25f, 0.0f, 1.0f};
    sample.wrong_inputs = {{"another number of features", {{2, 7}}},
                           {"an image", {{2, 6, 1, 1}}},
                           {"no samples", {{0, 6}}},
                           {"more outputs than 31 bits count", {{int64_t{1} << 29, 6}}}};
    return sample;
}

// (2, 4, 5, 7) to (2, 6, 3, 5): two groups, stride 2 and 1, uneven padding
Sample ConvSample(std::string const& type, NodeFields const& weights) {
    Sample sample{Find(type), weights, {{2, 4, 5, 7}}, {{2, 6, 3, 5}}, true, {}, {}};
    sample.fields.ints["weight_shape"] = {6, 2, 3, 3};
    sample.fields.ints["strides"] = {2, 1};
    sample.fields.ints["pads"] = {1, 0, 1, 2};
    sample.fields.ints["dilations"] = {1, 2};
    sample.fields.ints["group"] = {2};
    sample.fields.ints["activation"] = {1};
    sample.fields.floats["bias"] = {0.5f, -0.25f, 0.0f, 1.0f, -1.0f, 2.0f};
    sample.wrong_inputs = {
        {"another number of channels", {{2, 6, 5, 7}}},
        {"a matrix", {{2, 4}}},
        {"less than a window", {{2, 4, 5, 2}}},
        {"no rows", {{2, 4, 0, 7}}},
        {"more elements than 31 bits count", {{1, 4, 1 << 15, 1 << 15}}},
        {"extents that overflow 63 bits", {{INT32_MAX, 4, INT32_MAX, INT32_MAX}}}};
    sample.wrong_fields = {
        {"groups that do not divide the filters", {{{"group", {4}}}, {}}},
        {"a padding beyond reason", {{{"pads", {1 << 30, 0, 0, 0}}}, {}}},
        {"channels that overflow", {{{"weight_shape", {6, INT32_MAX, 3, 3}}}, {}}},
        {"weights that overflow", {{{"weight_shape", {6, 2, INT32_MAX, INT32_MAX}}}, {}}}};
    return sample;
}

NodeFields SparseWeightsOf(std::vector<int32_t> const& positions) {
    NodeFields fields;
    fields.ints["positions"] = positions;
    for (size_t i = 0; i < positions.size(); ++i) {
        fields.floats["values"].push_back(0.25f * static_cast<float>(i % 7) - 0.75f);
    }
    return fields;
}

// Words of `rows` rows: the test of packed layers says what they mean.
NodeFields PackedWeightsOf(int32_t bits, size_t words, size_t rows) {
    NodeFields fields;
    fields.ints["bits"] = {bits};
    uint32_t word = 0x12345678;
    for (size_t i = 0; i < words; ++i) {
        word = word * 1664525 + 1013904223;
        fields.ints["words"].push_back(static_cast<int32_t>(word));
    }
    for (size_t i = 0; i < rows; ++i) {
        fields.floats["scales"].push_back(0.125f + 0.25f * static_cast<float>(i));
    }
    return fields;
}

std::vector<std::pair<char const*, NodeFields>> const kWrongSparse = {
    {"positions that descend", {{{"positions", {3, 2}}}, {{"values", {1.0f, 2.0f}}}}},
    {"a position twice", {{{"positions", {3, 3}}}, {{"values", {1.0f, 2.0f}}}}},
    {"a position behind the last weight", {{{"positions", {1 << 20}}}, {{"values", {1.0f}}}}},
    {"another number of values than positions", {{}, {{"values", {1.0f, 2.0f}}}}},
    {"a bias of another length", {{}, {{"bias", {1.0f}}}}},
};
std::vector<std::pair<char const*, NodeFields>> const kWrongPacked = {
    {"fewer words than the weights take", {{{"words", {1}}}, {}}},
    {"a width without a layout", {{{"bits", {5}}}, {}}},
    {"another width than the words have", {{{"bits", {8}}}, {}}},
    {"fewer scales than rows", {{}, {{"scales", {1.0f}}}}},
    {"a bias of another length", {{}, {{"bias", {1.0f}}}}},
};

// As ConvSample, with every shortcut on.
Sample EffortSample() {
    Sample sample = ConvSample("EsEffortConv", {});
    for (int i = 0; i < 6 * 2 * 9; ++i) {
        sample.fields.floats["weights"].push_back(0.25f * static_cast<float>(i % 7) - 0.75f);
    }
    sample.fields.ints["channel_order"] = {1, 0};
    sample.fields.ints["level_channels"] = {2, 1};
    sample.fields.ints["saturation"] = {2};
    sample.fields.ints["prefix_channels"] = {1};
    sample.fields.floats["prefix_thresholds"] = {-0.5f, -1.0f, -0.25f, 0.0f, -2.0f, -0.75f};
    sample.fields.floats["similarity"] = {0.5f};
    sample.fields.ints["sample_period"] = {2};
    sample.fields.floats["sample_below"] = {2.0f};
    sample.fields.floats["sample_within"] = {1.0f};
    sample.fields.floats["input_threshold"] = {0.5f};
    for (auto& entry : sample.wrong_inputs) entry.second.push_back({1});
    sample.inputs.push_back({1});
    sample.wrong_inputs.emplace_back("two levels", Inputs{{2, 4, 5, 7}, {2}});
    sample.wrong_inputs.emplace_back("a level without an axis", Inputs{{2, 4, 5, 7}, {}});
    std::vector<std::pair<char const*, NodeFields>> const wrong = {
        {"fewer weights than weight_shape has", {{}, {{"weights", {1.0f}}}}},
        {"a bias of another length", {{}, {{"bias", {1.0f}}}}},
        {"a channel twice", {{{"channel_order", {1, 1}}}, {}}},
        {"a channel that is none", {{{"channel_order", {1, 2}}}, {}}},
        {"an order of other channels", {{{"channel_order", {2, 1, 0}}}, {}}},
        {"levels that ascend", {{{"level_channels", {1, 2}}}, {}}},
        {"levels that begin below all", {{{"level_channels", {1}}}, {}}},
        {"two thresholds for six filters", {{}, {{"prefix_thresholds", {0.0f, 0.0f}}}}},
        {"a prefix of all channels", {{{"prefix_channels", {2}}}, {}}},
        {"no prefix", {{{"prefix_channels", {0}}}, {}}},
        {"saturation without ReLU", {{{"activation", {0}}}, {}}},
    };
    sample.wrong_fields.insert(sample.wrong_fields.end(), wrong.begin(), wrong.end());
    return sample;
}

void Add(std::vector<Sample>* samples, Sample sample,
         std::vector<std::pair<char const*, NodeFields>> const& wrong) {
    sample.wrong_fields.insert(sample.wrong_fields.end(), wrong.begin(), wrong.end());
    samples->push_back(sample);
    // the form with a residual has everything that the other has
    sample.kind = Find(std::string(sample.kind->spec.type) + "Add");
    for (auto& entry : sample.wrong_inputs) entry.second.push_back(sample.outputs[0]);
    sample.inputs.push_back(sample.outputs[0]);
    Inputs wide = sample.inputs;
    wide[1][1] += 1;
    sample.wrong_inputs.emplace_back("a residual of another shape", wide);
    samples->push_back(sample);
}

}  // namespace

std::vector<Sample> const& Samples() {
    static std::vector<Sample> const samples = [] {
        std::vector<Sample> made = {ExitGateSample(), EffortSample()};
        // the second row is empty
        NodeFields const linear = SparseWeightsOf({0, 5, 12, 14, 15, 17, 18, 23});
        Add(&made, LinearSample("EsSparseLinear", linear), kWrongSparse);
        Sample zero = LinearSample("EsSparseLinear", SparseWeightsOf({0}));
        zero.fields.floats["values"] = {0.0f};  // how an all-zero layer is written
        Add(&made, zero, kWrongSparse);
        NodeFields const conv = SparseWeightsOf({0, 4, 8, 20, 37, 50, 51, 70, 95, 107});
        Add(&made, ConvSample("EsSparseConv", conv), kWrongSparse);
        Add(&made, LinearSample("EsPackedLinear", PackedWeightsOf(4, 4, 4)), kWrongPacked);
        Add(&made, ConvSample("EsPackedConv", PackedWeightsOf(3, 12, 6)), kWrongPacked);
        return made;
    }();
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
