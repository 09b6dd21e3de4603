// What an operator adds to the plugins: its tensors and shapes, and the call of its kernel.
//
// One operator is one file, NAME.cpp, which defines its OperatorKinds; `operators.cpp` lists them.
// Its fields come from edgesynth/operators/specs.py by way of fields.h. All that TensorRT wants
// besides (clones, serialization, formats, messages, versions) is in the shells `plugin_v2.cpp` and
// `plugin_v3.cpp`, once.
#pragma once

#include <NvInfer.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include "common/convolution.h"
#include "common/launcher.h"
#include "plugins/attributes.h"
#include "plugins/geometry.h"

namespace edgesynth {
namespace plugins {

// What a tensor of a node is.
enum class Role {
    kActivation,  // fp32 or fp16, linear or in pairs of channels; all of a node are alike
    kFloat32,     // fp32, linear
    kInt32,       // int32, linear
};

// One call of a kernel: arrays with an element for each input or output of the node.
struct Call {
    Shapes const& shapes;
    nvinfer1::PluginTensorDesc const* descs;
    void const* const* inputs;
    void* const* outputs;
    void* workspace;
    cudaStream_t stream;

    // How the activations are.
    DataType Type() const {
        return descs[0].type == nvinfer1::DataType::kHALF ? DataType::kHalf : DataType::kFloat;
    }
    ChannelOrder Order() const {
        return descs[0].format == nvinfer1::TensorFormat::kCHW2 ? ChannelOrder::kPaired
                                                                : ChannelOrder::kApart;
    }
};

// What one node does. It never changes once it is made: all clones of the node's plugin share it,
// on all threads. Methods throw PluginError.
class Operator {
  public:
    virtual ~Operator() = default;

    // Do the inputs fit the attributes? Extents that are not known yet fit.
    virtual void CheckInputs(Shapes const& inputs) const = 0;

    // The shape of output `index`, of inputs that CheckInputs accepted.
    virtual nvinfer1::DimsExprs OutputShape(int index, nvinfer1::DimsExprs const* inputs,
                                            nvinfer1::IExprBuilder& builder) const = 0;

    // Scratch memory of a call with these inputs.
    virtual size_t WorkspaceBytes(Shapes const& /*inputs*/) const { return 0; }

    // Bring the weights to the current device: called when an engine or a context is made, as a
    // kernel's launch may neither allocate nor wait. Those whose layout depends on the type of the
    // activations wait until that is known.
    virtual void Prepare(ChosenType /*chosen*/) const {}

    // Launch on the stream of `call`, whose inputs CheckInputs accepted.
    virtual void Enqueue(Call const& call) const = 0;
};

// An operator under one of the types by which graphs name it.
struct OperatorKind {
    OperatorSpec const& spec;
    std::vector<Role> inputs;  // the first one is an activation
    std::vector<Role> outputs;
    bool takes_chw2;  // fp16 activations also in pairs of channels, where their number is even
    // `attributes` outlives the operator.
    std::unique_ptr<Operator const> (*make)(Attributes const& attributes);
};

// The generated spec of an operator's type; throws PluginError for one without a spec.
OperatorSpec const& SpecOf(char const* type);

// A `make` of an OperatorKind.
template <typename T>
std::unique_ptr<Operator const> Make(Attributes const& attributes) {
    return std::unique_ptr<Operator const>(new T(attributes));
}

}  // namespace plugins
}  // namespace edgesynth
