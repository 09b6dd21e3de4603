#include "plugins/plugin_v3.h"

#include <cstring>
#include <limits>

#include "plugins/error.h"
#include "plugins/log.h"

namespace edgesynth {
namespace plugins {

using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginCapabilityType;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldCollection;
using nvinfer1::PluginFieldType;
using nvinfer1::PluginTensorDesc;

namespace {

constexpr int32_t kFailed = 1;
constexpr ChosenType kNotChosen{false, DataType::kFloat};
constexpr char const* kBlobField = "edgesynth";

PluginField const& FindBlob(PluginFieldCollection const* fields) {
    CheckGiven(fields, "fields");
    for (int32_t i = 0; i < fields->nbFields; ++i) {
        PluginField const& field = fields->fields[i];
        if (field.name != nullptr && std::strcmp(field.name, kBlobField) == 0 &&
            field.type == PluginFieldType::kUNKNOWN && field.length >= 0) {
            return field;
        }
    }
    throw Error("the engine holds no serialized plugin of edgesynth");
}

}  // namespace

nvinfer1::IPluginCapability* PluginV3::getCapabilityInterface(PluginCapabilityType type) noexcept {
    switch (type) {
        case PluginCapabilityType::kCORE:
            return static_cast<nvinfer1::IPluginV3OneCore*>(this);
        case PluginCapabilityType::kBUILD:
            return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
        case PluginCapabilityType::kRUNTIME:
            return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    return nullptr;
}

nvinfer1::IPluginV3* PluginV3::clone() noexcept {
    return Guarded<PluginV3*>(Name(), nullptr, [&] { return new PluginV3(node_, chosen_); });
}

int32_t PluginV3::getOutputDataTypes(nvinfer1::DataType* outputs, int32_t output_count,
                                     nvinfer1::DataType const* inputs,
                                     int32_t input_count) const noexcept {
    return Guarded(Name(), kFailed, [&] {
        CheckGiven(outputs, "output types");
        CheckGiven(inputs, "input types");
        for (int32_t i = 0; i < output_count; ++i) {
            outputs[i] = node_->OutputType(i, inputs, input_count);
        }
        return 0;
    });
}

int32_t PluginV3::getOutputShapes(DimsExprs const* inputs, int32_t input_count,
                                  DimsExprs const* /*shape_inputs*/, int32_t /*shape_input_count*/,
                                  DimsExprs* outputs, int32_t output_count,
                                  nvinfer1::IExprBuilder& builder) noexcept {
    return Guarded(Name(), kFailed, [&] {
        CheckGiven(outputs, "output dimensions");
        for (int32_t i = 0; i < output_count; ++i) {
            outputs[i] = node_->OutputShape(i, inputs, input_count, builder);
        }
        return 0;
    });
}

bool PluginV3::supportsFormatCombination(int32_t position, DynamicPluginTensorDesc const* tensors,
                                         int32_t inputs, int32_t outputs) noexcept {
    return Guarded(Name(), false, [&] {
        CheckGiven(tensors, "tensors");
        if (position < 0 || position >= inputs + outputs) return false;
        return node_->Accepts(position, tensors[0].desc, tensors[position].desc, inputs, outputs);
    });
}

int32_t PluginV3::configurePlugin(DynamicPluginTensorDesc const* inputs, int32_t input_count,
                                  DynamicPluginTensorDesc const* /*outputs*/,
                                  int32_t /*output_count*/) noexcept {
    return Guarded(Name(), kFailed, [&] {
        node_->CheckInputs(Shapes(inputs, input_count));
        chosen_ = ChosenTypeOf(inputs[0].desc);
        return 0;
    });
}

size_t PluginV3::getWorkspaceSize(DynamicPluginTensorDesc const* inputs, int32_t input_count,
                                  DynamicPluginTensorDesc const* /*outputs*/,
                                  int32_t /*output_count*/) const noexcept {
    return Guarded<size_t>(
        Name(), 0, [&] { return node_->WorkspaceBytes(Shapes::Largest(inputs, input_count)); });
}

int32_t PluginV3::onShapeChange(PluginTensorDesc const* inputs, int32_t input_count,
                                PluginTensorDesc const* /*outputs*/,
                                int32_t /*output_count*/) noexcept {
    return Guarded(Name(), kFailed, [&] {
        node_->CheckInputs(Shapes(inputs, input_count));
        chosen_ = ChosenTypeOf(inputs[0]);
        node_->Prepare(chosen_);  // outside of the builder's timing, and before any launch
        return 0;
    });
}

int32_t PluginV3::enqueue(PluginTensorDesc const* input_descs,
                          PluginTensorDesc const* /*output_descs*/, void const* const* inputs,
                          void* const* outputs, void* workspace, cudaStream_t stream) noexcept {
    return Guarded(Name(), kFailed, [&] {
        node_->Enqueue(input_descs, inputs, outputs, workspace, stream);
        return 0;
    });
}

nvinfer1::IPluginV3* PluginV3::attachToContext(
    nvinfer1::IPluginResourceContext* /*context*/) noexcept {
    return Guarded<PluginV3*>(Name(), nullptr, [&] {
        node_->Prepare(chosen_);
        return new PluginV3(node_, chosen_);
    });
}

PluginFieldCollection const* PluginV3::getFieldsToSerialize() noexcept {
    return Guarded<PluginFieldCollection const*>(Name(), nullptr, [&] {
        blob_ = node_->ToBlob(chosen_);
        if (blob_.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
            throw Error("its weights take %zu bytes, TensorRT's fields hold 2^31 - 1",
                        blob_.size());
        }
        blob_field_ = PluginField(kBlobField, blob_.data(), PluginFieldType::kUNKNOWN,
                                  static_cast<int32_t>(blob_.size()));
        serialized_ = PluginFieldCollection{1, &blob_field_};
        return &serialized_;
    });
}

CreatorV3::CreatorV3(OperatorKind const& kind)
    : kind_(kind),
      fields_(FieldNames(kind)),
      names_{static_cast<int32_t>(fields_.size()), fields_.data()} {}

nvinfer1::IPluginV3* CreatorV3::createPlugin(char const* /*name*/,
                                             PluginFieldCollection const* fields,
                                             nvinfer1::TensorRTPhase phase) noexcept {
    return Guarded<PluginV3*>(kind_.spec.type, nullptr, [&] {
        if (phase == nvinfer1::TensorRTPhase::kBUILD) {
            return new PluginV3(Node::FromCollection(kind_, fields), kNotChosen);
        }
        PluginField const& blob = FindBlob(fields);
        size_t const bytes = static_cast<size_t>(blob.length);
        ChosenType chosen = kNotChosen;
        std::shared_ptr<Node const> node = Node::FromBlob(kind_, blob.data, bytes, &chosen);
        return new PluginV3(std::move(node), chosen);
    });
}

}  // namespace plugins
}  // namespace edgesynth
