// EsExitGate: logits (N, C), threshold (1) -> exit, label, confidence, survivors (N), count (1).
#include "exit_gate/exit_gate.h"

#include "plugins/device_array.h"
#include "plugins/error.h"
#include "plugins/operators.h"

namespace edgesynth {
namespace plugins {
namespace {

class ExitGateOperator final : public Operator {
  public:
    explicit ExitGateOperator(Attributes const& attributes)
        : attributes_(attributes),
          classes_(attributes.Int("classes")),
          policy_(static_cast<ExitPolicy>(attributes.Int("policy"))),
          weights_([this] { return BytesOf(attributes_.Floats("gate_weights")); }) {
        attributes.Floats("gate_weights", classes_);
        if (policy_ == ExitPolicy::kLinearGate && classes_ > kMaxGateClasses) {
            throw Error("a linear gate takes at most %d classes, not %d", kMaxGateClasses,
                        classes_);
        }
    }

    void CheckInputs(Shapes const& inputs) const override {
        CheckRank(inputs[0], 2, "logits");
        CheckExtent(inputs[0], 1, classes_, "logits");
        CheckRank(inputs[1], 1, "threshold");
        CheckExtent(inputs[1], 0, 1, "threshold");
    }

    nvinfer1::DimsExprs OutputShape(int index, nvinfer1::DimsExprs const* inputs,
                                    nvinfer1::IExprBuilder& builder) const override {
        bool const is_count = index == 4;
        nvinfer1::DimsExprs shape{};
        shape.nbDims = 1;
        shape.d[0] = is_count ? Constant(1, builder) : inputs[0].d[0];
        return shape;
    }

    void Prepare(ChosenType /*chosen*/) const override {
        if (policy_ == ExitPolicy::kLinearGate) weights_.Get<float>();
    }

    void Enqueue(Call const& call) const override {
        ExitGate gate{};
        gate.samples = static_cast<int32_t>(call.shapes[0].extents[0]);
        gate.classes = classes_;
        gate.type = call.Type();
        gate.policy = policy_;
        if (policy_ == ExitPolicy::kLinearGate) gate.gate_weights = weights_.Get<float>();
        gate.gate_bias = attributes_.Float("gate_bias");
        ExitGateOutputs outputs{};
        outputs.exit = static_cast<int32_t*>(call.outputs[0]);
        outputs.label = static_cast<int32_t*>(call.outputs[1]);
        outputs.confidence = static_cast<float*>(call.outputs[2]);
        outputs.survivors = static_cast<int32_t*>(call.outputs[3]);
        outputs.count = static_cast<int32_t*>(call.outputs[4]);
        CheckCuda(LaunchExitGate(gate, call.inputs[0], static_cast<float const*>(call.inputs[1]),
                                 outputs, call.stream),
                  "launching the kernel");
    }

  private:
    Attributes const& attributes_;
    int32_t const classes_;
    ExitPolicy const policy_;
    DeviceArray const weights_;
};

}  // namespace

std::vector<OperatorKind> const& ExitGateKinds() {
    static std::vector<OperatorKind> const kinds = {{
        SpecOf("EsExitGate"),
        {Role::kActivation, Role::kFloat32},
        {Role::kInt32, Role::kInt32, Role::kFloat32, Role::kInt32, Role::kInt32},
        false,
        Make<ExitGateOperator>,
    }};
    return kinds;
}

}  // namespace plugins
}  // namespace edgesynth
