// One face for both generations of plugins, driven in the order in which TensorRT drives them.
#pragma once

#include <NvInfer.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "plugins/operator.h"

namespace edgesynth {
namespace plugins {

using Descs = std::vector<nvinfer1::PluginTensorDesc>;

// A plugin that is owned; everything that fails has logged why.
class Shell {
  public:
    virtual ~Shell() = default;
    virtual std::unique_ptr<Shell> Clone() = 0;    // null when it fails
    virtual std::vector<uint8_t> Serialize() = 0;  // none when it fails
    virtual int Outputs() = 0;
    virtual std::vector<nvinfer1::DataType> OutputTypes(
        std::vector<nvinfer1::DataType> const& inputs) = 0;
    // Of every output; a number of dimensions of -1 where it fails.
    virtual std::vector<nvinfer1::DimsExprs> OutputDims(
        std::vector<nvinfer1::DimsExprs> const& inputs, nvinfer1::IExprBuilder& builder) = 0;
    virtual bool Accepts(int position, Descs const& tensors, int inputs) = 0;
    virtual void Configure(Descs const& inputs, Descs const& outputs) = 0;
    virtual size_t WorkspaceBytes(Descs const& inputs, Descs const& outputs) = 0;
    // It is configured and an engine is made of it: false when it fails.
    virtual bool Prepare(Descs const& inputs, Descs const& outputs) = 0;
    // A plugin that was restored becomes part of a context, before any shape is known.
    virtual bool PrepareRestored() = 0;
    virtual bool Enqueue(Descs const& inputs, Descs const& outputs, void const* const* input_data,
                         void* const* output_data, void* workspace) = 0;
    // Every method with null pointers and impossible counts.
    virtual void Abuse() = 0;
};

// One generation: null when the creator fails.
struct ShellKind {
    char const* name;
    std::unique_ptr<Shell> (*create)(OperatorKind const& kind,
                                     nvinfer1::PluginFieldCollection const* fields);
    std::unique_ptr<Shell> (*restore)(OperatorKind const& kind, void const* blob, size_t bytes);
};

// Those that the TensorRT headers have.
std::vector<ShellKind> const& ShellKinds();

// A tensor; the type and format of activations.
nvinfer1::PluginTensorDesc Desc(std::vector<int64_t> const& extents,
                                nvinfer1::DataType type = nvinfer1::DataType::kFLOAT,
                                nvinfer1::TensorFormat format = nvinfer1::TensorFormat::kLINEAR);

}  // namespace plugins
}  // namespace edgesynth
