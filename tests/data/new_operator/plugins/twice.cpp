// EsTwice: x (N, K) -> y (N, K).
#include "twice/twice.h"

#include "plugins/error.h"
#include "plugins/operators.h"

namespace edgesynth {
namespace plugins {
namespace {

class TwiceOperator final : public Operator {
  public:
    explicit TwiceOperator(Attributes const& attributes) : factor_(attributes.Float("factor")) {}

    void CheckInputs(Shapes const& inputs) const override { CheckRank(inputs[0], 2, "x"); }

    nvinfer1::DimsExprs OutputShape(int /*index*/, nvinfer1::DimsExprs const* inputs,
                                    nvinfer1::IExprBuilder& /*builder*/) const override {
        return inputs[0];
    }

    void Enqueue(Call const& call) const override {
        auto const& extents = call.shapes[0].extents;
        Twice const twice{extents[0] * extents[1], call.Type(), factor_};
        CheckCuda(LaunchTwice(twice, call.inputs[0], call.outputs[0], call.stream),
                  "launching the kernel");
    }

  private:
    float const factor_;
};

}  // namespace

OperatorKind const& TwiceKind() {
    static OperatorKind const kind = {
        SpecOf("EsTwice"), {Role::kActivation}, {Role::kActivation}, false, Make<TwiceOperator>};
    return kind;
}

}  // namespace plugins
}  // namespace edgesynth
