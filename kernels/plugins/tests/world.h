// What surrounds a plugin: TensorRT's logger, its memory, and nodes of every operator.
#pragma once

#include <NvInfer.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "plugins/operators.h"

namespace edgesynth {
namespace plugins {

// The errors that plugins logged since the last call, one per line; "" for none.
std::string TakeErrors();

// Let the `nth` allocation on the device from now on fail; 0 lets all succeed.
void FailAllocation(int nth);

// Allocations that succeeded so far, and those of them that are still there.
int64_t Allocations();
int64_t LiveAllocations();

// The attributes of a node, as a parser has them: numbers by name.
struct NodeFields {
    std::map<std::string, std::vector<int32_t>> ints;
    std::map<std::string, std::vector<float>> floats;
};

// The same for TensorRT. What it points to lives as long as the object, and in arrays of exactly
// the right size, so that AddressSanitizer sees a read of one element too many.
class FieldCollection {
  public:
    explicit FieldCollection(NodeFields const& fields);
    ~FieldCollection();
    FieldCollection(FieldCollection const&) = delete;
    FieldCollection& operator=(FieldCollection const&) = delete;

    std::vector<nvinfer1::PluginField>& Fields() { return fields_; }
    nvinfer1::PluginFieldCollection const* Get();

  private:
    template <typename T>
    void Add(std::string const& name, std::vector<T> const& values, nvinfer1::PluginFieldType type);

    std::vector<nvinfer1::PluginField> fields_;
    std::vector<char*> kept_;
    nvinfer1::PluginFieldCollection collection_{};
};

// One node that every operator's tests start from.
struct Sample {
    OperatorKind const* kind;
    NodeFields fields;
    std::vector<std::vector<int64_t>> inputs;  // shapes
    std::vector<std::vector<int64_t>> outputs;
    bool weights_on_device;  // whether Prepare uploads something

    // Other shapes of the inputs, each with a word of what is wrong with them.
    std::vector<std::pair<char const*, std::vector<std::vector<int64_t>>>> wrong_inputs;
    // Changes of fields that the spec of each alone cannot tell to be wrong.
    std::vector<std::pair<char const*, NodeFields>> wrong_fields;
};

// The operator of this type.
OperatorKind const* Find(std::string const& type);

// One or more for every operator of the library.
std::vector<Sample> const& Samples();

}  // namespace plugins
}  // namespace edgesynth
