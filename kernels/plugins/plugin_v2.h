// The shell for TensorRT's IPluginV2DynamicExt, which every version from 8.2 to 11 has.
#pragma once

#include <NvInfer.h>

#include <memory>
#include <string>
#include <vector>

#include "plugins/node.h"

namespace edgesynth {
namespace plugins {

class PluginV2 final : public nvinfer1::IPluginV2DynamicExt {
  public:
    PluginV2(std::shared_ptr<Node const> node, ChosenType chosen, std::string plugin_namespace)
        : node_(std::move(node)), chosen_(chosen), namespace_(std::move(plugin_namespace)) {}

    nvinfer1::IPluginV2DynamicExt* clone() const noexcept override;
    void destroy() noexcept override { delete this; }

    char const* getPluginType() const noexcept override { return Name(); }
    char const* getPluginVersion() const noexcept override { return kPluginVersion; }
    void setPluginNamespace(char const* plugin_namespace) noexcept override;
    char const* getPluginNamespace() const noexcept override { return namespace_.c_str(); }

    int32_t getNbOutputs() const noexcept override { return node_->OutputCount(); }
    nvinfer1::DataType getOutputDataType(int32_t index, nvinfer1::DataType const* inputs,
                                         int32_t count) const noexcept override;
    nvinfer1::DimsExprs getOutputDimensions(int32_t index, nvinfer1::DimsExprs const* inputs,
                                            int32_t count,
                                            nvinfer1::IExprBuilder& builder) noexcept override;
    bool supportsFormatCombination(int32_t position, nvinfer1::PluginTensorDesc const* tensors,
                                   int32_t inputs, int32_t outputs) noexcept override;
    void configurePlugin(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t input_count,
                         nvinfer1::DynamicPluginTensorDesc const* outputs,
                         int32_t output_count) noexcept override;

    int32_t initialize() noexcept override;
    void terminate() noexcept override {}  // the weights go with the last clone
    size_t getWorkspaceSize(nvinfer1::PluginTensorDesc const* inputs, int32_t input_count,
                            nvinfer1::PluginTensorDesc const* outputs,
                            int32_t output_count) const noexcept override;
    int32_t enqueue(nvinfer1::PluginTensorDesc const* input_descs,
                    nvinfer1::PluginTensorDesc const* output_descs, void const* const* inputs,
                    void* const* outputs, void* workspace, cudaStream_t stream) noexcept override;

    size_t getSerializationSize() const noexcept override;
    void serialize(void* buffer) const noexcept override;

  private:
    PluginV2(PluginV2 const&) = default;
    char const* Name() const { return node_->Name(); }

    std::shared_ptr<Node const> node_;
    ChosenType chosen_;
    std::string namespace_;
};

class CreatorV2 final : public nvinfer1::IPluginCreator {
  public:
    explicit CreatorV2(OperatorKind const& kind);

    char const* getPluginName() const noexcept override { return kind_.spec.type; }
    char const* getPluginVersion() const noexcept override { return kPluginVersion; }
    nvinfer1::PluginFieldCollection const* getFieldNames() noexcept override { return &names_; }
    nvinfer1::IPluginV2* createPlugin(
        char const* name, nvinfer1::PluginFieldCollection const* fields) noexcept override;
    nvinfer1::IPluginV2* deserializePlugin(char const* name, void const* data,
                                           size_t bytes) noexcept override;
    void setPluginNamespace(char const* plugin_namespace) noexcept override;
    char const* getPluginNamespace() const noexcept override { return namespace_.c_str(); }

  private:
    OperatorKind const& kind_;
    std::vector<nvinfer1::PluginField> const fields_;
    nvinfer1::PluginFieldCollection names_;
    std::string namespace_;
};

}  // namespace plugins
}  // namespace edgesynth
