#include "plugins/plugin_v2.h"

#include <cstring>

#include "plugins/error.h"
#include "plugins/log.h"

namespace edgesynth {
namespace plugins {

using nvinfer1::DimsExprs;
using nvinfer1::PluginTensorDesc;

namespace {

constexpr int32_t kFailed = 1;  // what TensorRT takes for an error
constexpr ChosenType kNotChosen{false, DataType::kFloat};

}  // namespace

nvinfer1::IPluginV2DynamicExt* PluginV2::clone() const noexcept {
    return Guarded<PluginV2*>(Name(), nullptr, [&] { return new PluginV2(*this); });
}

void PluginV2::setPluginNamespace(char const* plugin_namespace) noexcept {
    Guarded(Name(), 0, [&] {
        namespace_ = plugin_namespace == nullptr ? "" : plugin_namespace;
        return 0;
    });
}

nvinfer1::DataType PluginV2::getOutputDataType(int32_t index, nvinfer1::DataType const* inputs,
                                               int32_t count) const noexcept {
    return Guarded(Name(), nvinfer1::DataType::kFLOAT, [&] {
        CheckGiven(inputs, "input types");
        return node_->OutputType(index, inputs, count);
    });
}

DimsExprs PluginV2::getOutputDimensions(int32_t index, DimsExprs const* inputs, int32_t count,
                                        nvinfer1::IExprBuilder& builder) noexcept {
    DimsExprs invalid{};
    invalid.nbDims = -1;  // with which TensorRT refuses the layer
    return Guarded(Name(), invalid,
                   [&] { return node_->OutputShape(index, inputs, count, builder); });
}

bool PluginV2::supportsFormatCombination(int32_t position, PluginTensorDesc const* tensors,
                                         int32_t inputs, int32_t outputs) noexcept {
    return Guarded(Name(), false, [&] {
        CheckGiven(tensors, "tensors");
        if (position < 0 || position >= inputs + outputs) return false;
        return node_->Accepts(position, tensors[0], tensors[position], inputs, outputs);
    });
}

void PluginV2::configurePlugin(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t input_count,
                               nvinfer1::DynamicPluginTensorDesc const* /*outputs*/,
                               int32_t /*output_count*/) noexcept {
    // what is wrong here is told here, and enqueue refuses it
    Guarded(Name(), 0, [&] {
        node_->CheckInputs(Shapes(inputs, input_count));
        chosen_ = ChosenTypeOf(inputs[0].desc);
        return 0;
    });
}

int32_t PluginV2::initialize() noexcept {
    return Guarded(Name(), kFailed, [&] {
        node_->Prepare(chosen_);
        return 0;
    });
}

size_t PluginV2::getWorkspaceSize(PluginTensorDesc const* inputs, int32_t input_count,
                                  PluginTensorDesc const* /*outputs*/,
                                  int32_t /*output_count*/) const noexcept {
    return Guarded<size_t>(Name(), 0,
                           [&] { return node_->WorkspaceBytes(Shapes(inputs, input_count)); });
}

int32_t PluginV2::enqueue(PluginTensorDesc const* input_descs,
                          PluginTensorDesc const* /*output_descs*/, void const* const* inputs,
                          void* const* outputs, void* workspace, cudaStream_t stream) noexcept {
    return Guarded(Name(), kFailed, [&] {
        node_->Enqueue(input_descs, inputs, outputs, workspace, stream);
        return 0;
    });
}

size_t PluginV2::getSerializationSize() const noexcept {
    return Guarded<size_t>(Name(), 0, [&] { return node_->ToBlob(chosen_).size(); });
}

void PluginV2::serialize(void* buffer) const noexcept {
    Guarded(Name(), 0, [&] {
        CheckGiven(buffer, "buffer");
        std::vector<uint8_t> const blob = node_->ToBlob(chosen_);
        std::memcpy(buffer, blob.data(), blob.size());
        return 0;
    });
}

CreatorV2::CreatorV2(OperatorKind const& kind)
    : kind_(kind),
      fields_(FieldNames(kind)),
      names_{static_cast<int32_t>(fields_.size()), fields_.data()} {}

nvinfer1::IPluginV2* CreatorV2::createPlugin(
    char const* /*name*/, nvinfer1::PluginFieldCollection const* fields) noexcept {
    return Guarded<PluginV2*>(kind_.spec.type, nullptr, [&] {
        return new PluginV2(Node::FromCollection(kind_, fields), kNotChosen, namespace_);
    });
}

nvinfer1::IPluginV2* CreatorV2::deserializePlugin(char const* /*name*/, void const* data,
                                                  size_t bytes) noexcept {
    return Guarded<PluginV2*>(kind_.spec.type, nullptr, [&] {
        ChosenType chosen = kNotChosen;
        std::shared_ptr<Node const> node = Node::FromBlob(kind_, data, bytes, &chosen);
        return new PluginV2(std::move(node), chosen, namespace_);
    });
}

void CreatorV2::setPluginNamespace(char const* plugin_namespace) noexcept {
    Guarded(kind_.spec.type, 0, [&] {
        namespace_ = plugin_namespace == nullptr ? "" : plugin_namespace;
        return 0;
    });
}

}  // namespace plugins
}  // namespace edgesynth
