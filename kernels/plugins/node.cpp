#include "plugins/node.h"

#include <utility>

#include "plugins/error.h"

namespace edgesynth {
namespace plugins {

using nvinfer1::TensorFormat;

Node::Node(OperatorKind const& kind, Attributes attributes)
    : kind_(kind), attributes_(std::move(attributes)), operator_(kind.make(attributes_)) {}

std::shared_ptr<Node const> Node::FromCollection(
    OperatorKind const& kind, nvinfer1::PluginFieldCollection const* collection) {
    return std::shared_ptr<Node const>(new Node(kind, Attributes(kind.spec, collection)));
}

std::shared_ptr<Node const> Node::FromBlob(OperatorKind const& kind, void const* blob, size_t bytes,
                                           ChosenType* chosen) {
    return std::shared_ptr<Node const>(new Node(kind, Attributes(kind.spec, blob, bytes, chosen)));
}

nvinfer1::DataType Node::OutputType(int index, nvinfer1::DataType const* inputs, int count) const {
    CheckInputCount(count);
    if (index < 0 || index >= OutputCount()) throw Error("there is no output %d", index);
    switch (kind_.outputs[static_cast<size_t>(index)]) {
        case Role::kFloat32:
            return nvinfer1::DataType::kFLOAT;
        case Role::kInt32:
            return nvinfer1::DataType::kINT32;
        case Role::kActivation:
            break;
    }
    return inputs[0];
}

nvinfer1::DimsExprs Node::OutputShape(int index, nvinfer1::DimsExprs const* inputs, int count,
                                      nvinfer1::IExprBuilder& builder) const {
    if (index < 0 || index >= OutputCount()) throw Error("there is no output %d", index);
    CheckInputs(Shapes(inputs, count));
    return operator_->OutputShape(index, inputs, builder);
}

bool Node::Accepts(int position, nvinfer1::PluginTensorDesc const& first,
                   nvinfer1::PluginTensorDesc const& tensor, int inputs, int outputs) const {
    CheckInputCount(inputs);
    if (outputs != OutputCount()) throw Error("the node has %d outputs", outputs);
    Role const role = position < inputs ? kind_.inputs[static_cast<size_t>(position)]
                                        : kind_.outputs[static_cast<size_t>(position - inputs)];
    bool const linear = tensor.format == TensorFormat::kLINEAR;
    if (role == Role::kFloat32) return linear && tensor.type == nvinfer1::DataType::kFLOAT;
    if (role == Role::kInt32) return linear && tensor.type == nvinfer1::DataType::kINT32;
    // an odd channel would leave elements behind it that nobody writes
    bool const even = tensor.dims.nbDims > 1 && tensor.dims.d[1] > 0 && tensor.dims.d[1] % 2 == 0;
    bool const paired = kind_.takes_chw2 && tensor.format == TensorFormat::kCHW2 && even;
    if (!linear && !paired) return false;
    // the first input of every operator is an activation, and the others are like it
    if (position > 0) return tensor.type == first.type && tensor.format == first.format;
    return tensor.type == nvinfer1::DataType::kHALF ||
           (tensor.type == nvinfer1::DataType::kFLOAT && linear);
}

void Node::CheckInputs(Shapes const& inputs) const {
    CheckInputCount(inputs.Count());
    for (int i = 0; i < inputs.Count(); ++i) CheckVolume(inputs[i], "an input");
    operator_->CheckInputs(inputs);
}

size_t Node::WorkspaceBytes(Shapes const& inputs) const {
    CheckInputs(inputs);
    return operator_->WorkspaceBytes(inputs);
}

void Node::Enqueue(nvinfer1::PluginTensorDesc const* descs, void const* const* inputs,
                   void* const* outputs, void* workspace, cudaStream_t stream) const {
    CheckGiven(inputs, "inputs");
    CheckGiven(outputs, "outputs");
    Shapes const shapes(descs, static_cast<int32_t>(kind_.inputs.size()));
    CheckInputs(shapes);
    operator_->Enqueue(Call{shapes, descs, inputs, outputs, workspace, stream});
}

void Node::CheckInputCount(int count) const {
    int const wanted = static_cast<int>(kind_.inputs.size());
    if (count != wanted) throw Error("the node has %d inputs, it takes %d", count, wanted);
}

ChosenType ChosenTypeOf(nvinfer1::PluginTensorDesc const& first_input) {
    bool const half = first_input.type == nvinfer1::DataType::kHALF;
    return ChosenType{true, half ? DataType::kHalf : DataType::kFloat};
}

std::vector<nvinfer1::PluginField> FieldNames(OperatorKind const& kind) {
    std::vector<nvinfer1::PluginField> names;
    for (int32_t i = 0; i < kind.spec.fieldCount; ++i) {
        FieldSpec const& field = kind.spec.fields[i];
        names.emplace_back(field.name, nullptr, TensorRtType(field), 0);
    }
    return names;
}

}  // namespace plugins
}  // namespace edgesynth
