// What plugins of layers with weights share: geometry, bias, activation, residual.
#pragma once

#include "plugins/device_array.h"
#include "plugins/operator.h"

namespace edgesynth {
namespace plugins {

// Geometry: LinearGeometry or ConvGeometry. Inputs are x and, in the form with it, the residual.
template <typename Geometry>
class Layer : public Operator {
  public:
    explicit Layer(Attributes const& attributes)
        : attributes_(attributes),
          geometry_(attributes),
          activation_(static_cast<Activation>(attributes.Int("activation"))),
          bias_([&attributes] { return BytesOf(attributes.Floats("bias")); }) {
        attributes.Floats("bias", geometry_.filters);
    }

    void CheckInputs(Shapes const& inputs) const override { geometry_.Check(inputs); }

    nvinfer1::DimsExprs OutputShape(int /*index*/, nvinfer1::DimsExprs const* inputs,
                                    nvinfer1::IExprBuilder& builder) const override {
        return geometry_.OutputShape(inputs[0], builder);
    }

    void Prepare(ChosenType /*chosen*/) const override { bias_.Get<float>(); }

  protected:
    static void const* Residual(Call const& call) {
        return call.shapes.Has(1) ? call.inputs[1] : nullptr;
    }

    Attributes const& attributes_;
    Geometry const geometry_;
    Activation const activation_;
    DeviceArray const bias_;
};

// The kind of a layer; that its type takes a residual is seen from the number of its inputs.
inline OperatorKind LayerKind(char const* type,
                              std::unique_ptr<Operator const> (*make)(Attributes const&),
                              bool takes_chw2 = false) {
    OperatorSpec const& spec = SpecOf(type);
    std::vector<Role> const inputs(static_cast<size_t>(spec.inputs), Role::kActivation);
    return OperatorKind{spec, inputs, {Role::kActivation}, takes_chw2, make};
}

}  // namespace plugins
}  // namespace edgesynth
