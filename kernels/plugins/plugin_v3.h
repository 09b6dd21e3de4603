// The shell for TensorRT's IPluginV3, from version 10 on.
#pragma once

#include <NvInfer.h>

#include <memory>
#include <vector>

#include "plugins/node.h"

namespace edgesynth {
namespace plugins {

class PluginV3 final : public nvinfer1::IPluginV3,
                       public nvinfer1::IPluginV3OneCore,
                       public nvinfer1::IPluginV3OneBuild,
                       public nvinfer1::IPluginV3OneRuntime {
  public:
    PluginV3(std::shared_ptr<Node const> node, ChosenType chosen)
        : node_(std::move(node)), chosen_(chosen) {}

    nvinfer1::IPluginCapability* getCapabilityInterface(
        nvinfer1::PluginCapabilityType type) noexcept override;
    nvinfer1::IPluginV3* clone() noexcept override;

    char const* getPluginName() const noexcept override { return Name(); }
    char const* getPluginVersion() const noexcept override { return kPluginVersion; }
    char const* getPluginNamespace() const noexcept override { return ""; }

    int32_t getNbOutputs() const noexcept override { return node_->OutputCount(); }
    int32_t getOutputDataTypes(nvinfer1::DataType* outputs, int32_t output_count,
                               nvinfer1::DataType const* inputs,
                               int32_t input_count) const noexcept override;
    int32_t getOutputShapes(nvinfer1::DimsExprs const* inputs, int32_t input_count,
                            nvinfer1::DimsExprs const* shape_inputs, int32_t shape_input_count,
                            nvinfer1::DimsExprs* outputs, int32_t output_count,
                            nvinfer1::IExprBuilder& builder) noexcept override;
    bool supportsFormatCombination(int32_t position,
                                   nvinfer1::DynamicPluginTensorDesc const* tensors, int32_t inputs,
                                   int32_t outputs) noexcept override;
    int32_t configurePlugin(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t input_count,
                            nvinfer1::DynamicPluginTensorDesc const* outputs,
                            int32_t output_count) noexcept override;
    size_t getWorkspaceSize(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t input_count,
                            nvinfer1::DynamicPluginTensorDesc const* outputs,
                            int32_t output_count) const noexcept override;

    int32_t onShapeChange(nvinfer1::PluginTensorDesc const* inputs, int32_t input_count,
                          nvinfer1::PluginTensorDesc const* outputs,
                          int32_t output_count) noexcept override;
    int32_t enqueue(nvinfer1::PluginTensorDesc const* input_descs,
                    nvinfer1::PluginTensorDesc const* output_descs, void const* const* inputs,
                    void* const* outputs, void* workspace, cudaStream_t stream) noexcept override;
    nvinfer1::IPluginV3* attachToContext(
        nvinfer1::IPluginResourceContext* context) noexcept override;
    nvinfer1::PluginFieldCollection const* getFieldsToSerialize() noexcept override;

  private:
    char const* Name() const { return node_->Name(); }

    std::shared_ptr<Node const> node_;
    ChosenType chosen_;
    std::vector<uint8_t> blob_;
    nvinfer1::PluginField blob_field_;
    nvinfer1::PluginFieldCollection serialized_{};
};

class CreatorV3 final : public nvinfer1::IPluginCreatorV3One {
  public:
    explicit CreatorV3(OperatorKind const& kind);

    char const* getPluginName() const noexcept override { return kind_.spec.type; }
    char const* getPluginVersion() const noexcept override { return kPluginVersion; }
    char const* getPluginNamespace() const noexcept override { return ""; }
    nvinfer1::PluginFieldCollection const* getFieldNames() noexcept override { return &names_; }

    // kBUILD: from the node's attributes; kRUNTIME: from what getFieldsToSerialize gave.
    nvinfer1::IPluginV3* createPlugin(char const* name,
                                      nvinfer1::PluginFieldCollection const* fields,
                                      nvinfer1::TensorRTPhase phase) noexcept override;

  private:
    OperatorKind const& kind_;
    std::vector<nvinfer1::PluginField> const fields_;
    nvinfer1::PluginFieldCollection names_;
};

}  // namespace plugins
}  // namespace edgesynth
