// One node of a network: its attributes and the operator made of them, with what both shells share.
#pragma once

#include <NvInfer.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "plugins/operator.h"

namespace edgesynth {
namespace plugins {

constexpr char const* kPluginVersion = "1";

// Immutable, hence shared by all clones. Methods throw PluginError.
class Node {
  public:
    static std::shared_ptr<Node const> FromCollection(
        OperatorKind const& kind, nvinfer1::PluginFieldCollection const* collection);
    static std::shared_ptr<Node const> FromBlob(OperatorKind const& kind, void const* blob,
                                                size_t bytes, ChosenType* chosen);

    Node(Node const&) = delete;
    Node& operator=(Node const&) = delete;

    char const* Name() const { return kind_.spec.type; }
    std::vector<uint8_t> ToBlob(ChosenType chosen) const { return attributes_.ToBlob(chosen); }
    int OutputCount() const { return static_cast<int>(kind_.outputs.size()); }

    // The type of output `index`; activations have that of the first input.
    nvinfer1::DataType OutputType(int index, nvinfer1::DataType const* inputs, int count) const;

    nvinfer1::DimsExprs OutputShape(int index, nvinfer1::DimsExprs const* inputs, int count,
                                    nvinfer1::IExprBuilder& builder) const;

    // May tensor `position` (inputs come first, then outputs) be `tensor`, where the first input is
    // `first`?
    bool Accepts(int position, nvinfer1::PluginTensorDesc const& first,
                 nvinfer1::PluginTensorDesc const& tensor, int inputs, int outputs) const;

    // Throws unless the inputs fit the node's attributes; extents that are not known yet do.
    void CheckInputs(Shapes const& inputs) const;

    size_t WorkspaceBytes(Shapes const& inputs) const;
    void Prepare(ChosenType chosen) const { operator_->Prepare(chosen); }

    // Throws before anything is launched, or when the launch is refused.
    void Enqueue(nvinfer1::PluginTensorDesc const* descs, void const* const* inputs,
                 void* const* outputs, void* workspace, cudaStream_t stream) const;

  private:
    Node(OperatorKind const& kind, Attributes attributes);
    void CheckInputCount(int count) const;

    OperatorKind const& kind_;
    Attributes const attributes_;
    std::unique_ptr<Operator const> const operator_;
};

// The type that the activations of a node with these inputs have.
ChosenType ChosenTypeOf(nvinfer1::PluginTensorDesc const& first_input);

// The names and types of the fields of `kind`, as TensorRT's parser asks for them.
std::vector<nvinfer1::PluginField> FieldNames(OperatorKind const& kind);

}  // namespace plugins
}  // namespace edgesynth
