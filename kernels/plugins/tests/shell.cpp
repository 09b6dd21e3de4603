#include "plugins/tests/shell.h"

#include "plugins/log.h"
#include "plugins/plugin_v2.h"
#include "plugins/tests/fake_builder.h"
#if ES_TENSORRT >= 1000
#include "plugins/plugin_v3.h"
#endif

namespace edgesynth {
namespace plugins {
namespace {

using nvinfer1::DimsExprs;

std::vector<nvinfer1::DynamicPluginTensorDesc> Dynamic(Descs const& descs) {
    std::vector<nvinfer1::DynamicPluginTensorDesc> made;
    for (auto const& desc : descs) {
        nvinfer1::DynamicPluginTensorDesc dynamic{};
        dynamic.desc = desc;
        dynamic.min = dynamic.max = desc.dims;
        made.push_back(dynamic);
    }
    return made;
}

int32_t Size(Descs const& descs) { return static_cast<int32_t>(descs.size()); }

class ShellV2 final : public Shell {
  public:
    explicit ShellV2(nvinfer1::IPluginV2DynamicExt* plugin) : plugin_(plugin) {}
    ~ShellV2() override { plugin_->destroy(); }

    static std::unique_ptr<Shell> Own(nvinfer1::IPluginV2* plugin) {
        auto* const dynamic = static_cast<nvinfer1::IPluginV2DynamicExt*>(plugin);
        return std::unique_ptr<Shell>(plugin == nullptr ? nullptr : new ShellV2(dynamic));
    }
    static std::unique_ptr<Shell> Create(OperatorKind const& kind,
                                         nvinfer1::PluginFieldCollection const* fields) {
        return Own(CreatorV2(kind).createPlugin("a node", fields));
    }
    static std::unique_ptr<Shell> Restore(OperatorKind const& kind, void const* blob,
                                          size_t bytes) {
        return Own(CreatorV2(kind).deserializePlugin("a node", blob, bytes));
    }

    std::unique_ptr<Shell> Clone() override { return Own(plugin_->clone()); }
    std::vector<uint8_t> Serialize() override {
        std::vector<uint8_t> blob(plugin_->getSerializationSize());
        if (!blob.empty()) plugin_->serialize(blob.data());
        return blob;
    }
    int Outputs() override { return plugin_->getNbOutputs(); }
    std::vector<nvinfer1::DataType> OutputTypes(
        std::vector<nvinfer1::DataType> const& inputs) override {
        std::vector<nvinfer1::DataType> types;
        for (int i = 0; i < Outputs(); ++i) {
            types.push_back(
                plugin_->getOutputDataType(i, inputs.data(), static_cast<int32_t>(inputs.size())));
        }
        return types;
    }
    std::vector<DimsExprs> OutputDims(std::vector<DimsExprs> const& inputs,
                                      nvinfer1::IExprBuilder& builder) override {
        std::vector<DimsExprs> dims;
        for (int i = 0; i < Outputs(); ++i) {
            dims.push_back(plugin_->getOutputDimensions(
                i, inputs.data(), static_cast<int32_t>(inputs.size()), builder));
        }
        return dims;
    }
    bool Accepts(int position, Descs const& tensors, int inputs) override {
        return plugin_->supportsFormatCombination(position, tensors.data(), inputs,
                                                  Size(tensors) - inputs);
    }
    void Configure(Descs const& inputs, Descs const& outputs) override {
        auto const in = Dynamic(inputs), out = Dynamic(outputs);
        plugin_->configurePlugin(in.data(), Size(inputs), out.data(), Size(outputs));
    }
    size_t WorkspaceBytes(Descs const& inputs, Descs const& outputs) override {
        return plugin_->getWorkspaceSize(inputs.data(), Size(inputs), outputs.data(),
                                         Size(outputs));
    }
    bool Prepare(Descs const& inputs, Descs const& outputs) override {
        Configure(inputs, outputs);
        return PrepareRestored();
    }
    bool PrepareRestored() override {
        plugin_->attachToContext(nullptr, nullptr, nullptr);
        return plugin_->initialize() == 0;
    }
    bool Enqueue(Descs const& inputs, Descs const& outputs, void const* const* input_data,
                 void* const* output_data, void* workspace) override {
        return plugin_->enqueue(inputs.data(), outputs.data(), input_data, output_data, workspace,
                                nullptr) == 0;
    }
    void Abuse() override {
        FakeBuilder builder;
        plugin_->getOutputDataType(0, nullptr, 1);
        plugin_->getOutputDataType(99, nullptr, -1);
        plugin_->getOutputDimensions(0, nullptr, 1, builder);
        plugin_->getOutputDimensions(99, nullptr, -7, builder);
        plugin_->supportsFormatCombination(0, nullptr, 1, 1);
        plugin_->configurePlugin(nullptr, 99, nullptr, 99);
        plugin_->getWorkspaceSize(nullptr, 99, nullptr, 99);
        plugin_->enqueue(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
        plugin_->serialize(nullptr);
        plugin_->setPluginNamespace(nullptr);
    }

  private:
    nvinfer1::IPluginV2DynamicExt* const plugin_;
};

#if ES_TENSORRT >= 1000
class ShellV3 final : public Shell {
  public:
    explicit ShellV3(nvinfer1::IPluginV3* plugin) : plugin_(plugin) {
        using nvinfer1::PluginCapabilityType;
        build_ = static_cast<nvinfer1::IPluginV3OneBuild*>(
            plugin->getCapabilityInterface(PluginCapabilityType::kBUILD));
        runtime_ = static_cast<nvinfer1::IPluginV3OneRuntime*>(
            plugin->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
    }

    static std::unique_ptr<Shell> Own(nvinfer1::IPluginV3* plugin) {
        return std::unique_ptr<Shell>(plugin == nullptr ? nullptr : new ShellV3(plugin));
    }
    static std::unique_ptr<Shell> Create(OperatorKind const& kind,
                                         nvinfer1::PluginFieldCollection const* fields) {
        auto const phase = nvinfer1::TensorRTPhase::kBUILD;
        return Own(CreatorV3(kind).createPlugin("a node", fields, phase));
    }
    static std::unique_ptr<Shell> Restore(OperatorKind const& kind, void const* blob,
                                          size_t bytes) {
        nvinfer1::PluginField const field("edgesynth", blob, nvinfer1::PluginFieldType::kUNKNOWN,
                                          static_cast<int32_t>(bytes));
        nvinfer1::PluginFieldCollection const fields{1, &field};
        auto const phase = nvinfer1::TensorRTPhase::kRUNTIME;
        return Own(CreatorV3(kind).createPlugin("a node", &fields, phase));
    }

    std::unique_ptr<Shell> Clone() override { return Own(plugin_->clone()); }
    std::vector<uint8_t> Serialize() override {
        nvinfer1::PluginFieldCollection const* const fields = runtime_->getFieldsToSerialize();
        if (fields == nullptr || fields->nbFields != 1) return {};
        auto const* const data = static_cast<uint8_t const*>(fields->fields[0].data);
        return std::vector<uint8_t>(data, data + fields->fields[0].length);
    }
    int Outputs() override { return build_->getNbOutputs(); }
    std::vector<nvinfer1::DataType> OutputTypes(
        std::vector<nvinfer1::DataType> const& inputs) override {
        std::vector<nvinfer1::DataType> types(static_cast<size_t>(Outputs()));
        build_->getOutputDataTypes(types.data(), Outputs(), inputs.data(),
                                   static_cast<int32_t>(inputs.size()));
        return types;
    }
    std::vector<DimsExprs> OutputDims(std::vector<DimsExprs> const& inputs,
                                      nvinfer1::IExprBuilder& builder) override {
        DimsExprs invalid{};
        invalid.nbDims = -1;
        std::vector<DimsExprs> dims(static_cast<size_t>(Outputs()), invalid);
        build_->getOutputShapes(inputs.data(), static_cast<int32_t>(inputs.size()), nullptr, 0,
                                dims.data(), Outputs(), builder);
        return dims;
    }
    bool Accepts(int position, Descs const& tensors, int inputs) override {
        auto const dynamic = Dynamic(tensors);
        return build_->supportsFormatCombination(position, dynamic.data(), inputs,
                                                 Size(tensors) - inputs);
    }
    void Configure(Descs const& inputs, Descs const& outputs) override {
        auto const in = Dynamic(inputs), out = Dynamic(outputs);
        build_->configurePlugin(in.data(), Size(inputs), out.data(), Size(outputs));
    }
    size_t WorkspaceBytes(Descs const& inputs, Descs const& outputs) override {
        auto const in = Dynamic(inputs), out = Dynamic(outputs);
        return build_->getWorkspaceSize(in.data(), Size(inputs), out.data(), Size(outputs));
    }
    bool Prepare(Descs const& inputs, Descs const& outputs) override {
        Configure(inputs, outputs);
        return runtime_->onShapeChange(inputs.data(), Size(inputs), outputs.data(),
                                       Size(outputs)) == 0 &&
               PrepareRestored();
    }
    bool PrepareRestored() override {
        return std::unique_ptr<nvinfer1::IPluginV3>(runtime_->attachToContext(nullptr)) != nullptr;
    }
    bool Enqueue(Descs const& inputs, Descs const& outputs, void const* const* input_data,
                 void* const* output_data, void* workspace) override {
        return runtime_->enqueue(inputs.data(), outputs.data(), input_data, output_data, workspace,
                                 nullptr) == 0;
    }
    void Abuse() override {
        FakeBuilder builder;
        nvinfer1::DataType type{};
        build_->getOutputDataTypes(nullptr, 1, nullptr, 1);
        build_->getOutputDataTypes(&type, 1, nullptr, -1);
        build_->getOutputShapes(nullptr, 1, nullptr, 0, nullptr, 1, builder);
        build_->supportsFormatCombination(0, nullptr, 1, 1);
        build_->configurePlugin(nullptr, 99, nullptr, 99);
        build_->getWorkspaceSize(nullptr, 99, nullptr, 99);
        runtime_->onShapeChange(nullptr, 99, nullptr, 99);
        runtime_->enqueue(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
        plugin_->getCapabilityInterface(static_cast<nvinfer1::PluginCapabilityType>(99));
    }

  private:
    std::unique_ptr<nvinfer1::IPluginV3> const plugin_;
    nvinfer1::IPluginV3OneBuild* build_;
    nvinfer1::IPluginV3OneRuntime* runtime_;
};
#endif

}  // namespace

std::vector<ShellKind> const& ShellKinds() {
    static std::vector<ShellKind> const kinds = {
        {"IPluginV2DynamicExt", ShellV2::Create, ShellV2::Restore},
#if ES_TENSORRT >= 1000
        {"IPluginV3", ShellV3::Create, ShellV3::Restore},
#endif
    };
    return kinds;
}

nvinfer1::PluginTensorDesc Desc(std::vector<int64_t> const& extents, nvinfer1::DataType type,
                                nvinfer1::TensorFormat format) {
    nvinfer1::PluginTensorDesc desc{};
    desc.dims.nbDims = static_cast<int32_t>(extents.size());
    for (size_t i = 0; i < extents.size(); ++i) desc.dims.d[i] = static_cast<Extent>(extents[i]);
    desc.type = type;
    desc.format = format;
    desc.scale = -1.0f;
    return desc;
}

}  // namespace plugins
}  // namespace edgesynth
