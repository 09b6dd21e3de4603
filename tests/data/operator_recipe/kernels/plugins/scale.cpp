// EsScale: x (N, C) -> y (N, C).
#include "scale/scale.h"

#include "plugins/error.h"
#include "plugins/operators.h"

namespace edgesynth {
namespace plugins {
namespace {

class ScaleOperator final : public Operator {
  public:
    explicit ScaleOperator(Attributes const& attributes) : factor_(attributes.Float("factor")) {}

    void CheckInputs(Shapes const& inputs) const override { CheckRank(inputs[0], 2, "x"); }

    nvinfer1::DimsExprs OutputShape(int, nvinfer1::DimsExprs const* inputs,
                                    nvinfer1::IExprBuilder&) const override {
        return inputs[0];
    }

    void Enqueue(Call const& call) const override {
        Shape const& x = call.shapes[0];
        Scale const scale{x.extents[0] * x.extents[1], call.Type(), factor_};
        CheckCuda(LaunchScale(scale, call.inputs[0], call.outputs[0], call.stream),
                  "launching the kernel");
    }

  private:
    float const factor_;
};

}  // namespace

std::vector<OperatorKind> const& ScaleKinds() {
    static std::vector<OperatorKind> const kinds = {{
        SpecOf("EsScale"),
        {Role::kActivation},
        {Role::kActivation},
        false,
        Make<ScaleOperator>,
    }};
    return kinds;
}

}  // namespace plugins
}  // namespace edgesynth
