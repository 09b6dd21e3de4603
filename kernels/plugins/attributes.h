// The attributes of one ONNX node: looked up by name, checked, deep-copied, written and read again.
#pragma once

#include <NvInfer.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/launcher.h"
#include "plugins/fields.h"

namespace edgesynth {
namespace plugins {

// The type of a node's activations, once TensorRT has chosen it.
struct ChosenType {
    bool known;
    DataType type;
};

// What a node was given, every field of its operator with a checked value; absent ones have their
// default. Everything that is not as it must be throws PluginError naming the field.
//
// Serialized form: little-endian, numbers of 32 bits, sizes and counts of 64.
//     magic "ESPL"  version of the form  size of all of it  length and text of the operator's type
//     type of the activations (0: not chosen yet, 1: fp32, 2: fp16)  number of fields, and for
//     each:
//         length and text of its name  type (1: int32, 2: float32)  element count  elements
class Attributes {
  public:
    // From TensorRT, which keeps what `collection` points to only until this returns.
    Attributes(OperatorSpec const& spec, nvinfer1::PluginFieldCollection const* collection);

    // From what ToBlob wrote for the same operator. The bytes may be anything.
    Attributes(OperatorSpec const& spec, void const* blob, size_t bytes, ChosenType* chosen);

    std::vector<uint8_t> ToBlob(ChosenType chosen) const;

    // The value of a field of one number, and of a field of any number of them.
    int32_t Int(char const* name) const { return Ints(name)[0]; }
    float Float(char const* name) const { return Floats(name)[0]; }
    std::vector<int32_t> const& Ints(char const* name) const;
    std::vector<float> const& Floats(char const* name) const;

    // As above, for tensors whose length follows from other fields.
    std::vector<int32_t> const& Ints(char const* name, int64_t count) const;
    std::vector<float> const& Floats(char const* name, int64_t count) const;

  private:
    struct Field {
        FieldSpec const* spec;
        bool given;
        std::vector<int32_t> ints;  // one of the two has elements
        std::vector<float> floats;
    };

    explicit Attributes(OperatorSpec const& spec);
    void Read(nvinfer1::PluginField const& from);
    void Complete();
    Field* Find(std::string const& name);
    Field const& Get(char const* name, bool is_float) const;

    OperatorSpec const& spec_;
    std::vector<Field> fields_;
};

// As the parser is to hand the field over.
nvinfer1::PluginFieldType TensorRtType(FieldSpec const& spec);

}  // namespace plugins
}  // namespace edgesynth
