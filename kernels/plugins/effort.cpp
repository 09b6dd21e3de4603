// EsEffortConv: a convolution with shortcuts; its second input is the level of effort.
#include "effort/effort.h"

#include "effort/packing.h"
#include "plugins/error.h"
#include "plugins/layer.h"
#include "plugins/operators.h"

namespace edgesynth {
namespace plugins {
namespace {

class EffortLayer final : public Layer<ConvGeometry> {
  public:
    explicit EffortLayer(Attributes const& attributes)
        : Layer<ConvGeometry>(attributes),
          knobs_{static_cast<Saturation>(attributes.Int("saturation")),
                 attributes.Int("prefix_channels"),
                 attributes.Float("similarity"),
                 attributes.Int("sample_period"),
                 attributes.Float("sample_below"),
                 attributes.Float("sample_within"),
                 attributes.Float("input_threshold")},
          float_([this] { return Pack(DataType::kFloat).bytes; }),
          half_([this] { return Pack(DataType::kHalf).bytes; }) {
        ConvGeometry const& geometry = this->geometry_;
        int64_t const channels = geometry.channels / geometry.group;
        attributes.Floats("weights",
                          Product(geometry.filters, geometry.Columns(), "the number of weights"));
        attributes.Ints("channel_order", channels);
        std::string const wrong = WrongKnob(knobs_, channels, this->activation_);
        if (!wrong.empty()) throw PluginError(wrong);
        Pack(DataType::kFloat);  // holds the other attributes against each other
    }

    void CheckInputs(Shapes const& inputs) const override {
        this->geometry_.Check(inputs, inputs.Count());  // none of them is a residual
        CheckRank(inputs[1], 1, "effort");
        CheckExtent(inputs[1], 0, 1, "effort");
    }

    void Prepare(ChosenType chosen) const override {
        Layer<ConvGeometry>::Prepare(chosen);
        if (chosen.known) For(chosen.type).Get<void>();
    }

    void Enqueue(Call const& call) const override {
        ConvShape const shape = this->geometry_.For(call.shapes[0]);
        auto const levels = static_cast<int64_t>(this->attributes_.Ints("level_channels").size());
        EffortConv const layer{shape,
                               call.Type(),
                               this->activation_,
                               knobs_,
                               LayoutOfEffort(shape, call.Type(), knobs_, levels),
                               For(call.Type()).Get<void>(),
                               this->bias_.Get<float>()};
        CheckCuda(
            LaunchEffortConv(layer, call.inputs[0], static_cast<int32_t const*>(call.inputs[1]),
                             call.outputs[0], nullptr, call.stream),
            "launching the kernel");
    }

  private:
    DeviceArray const& For(DataType type) const { return type == DataType::kHalf ? half_ : float_; }

    EffortPacked Pack(DataType type) const {
        auto const& levels = this->attributes_.Ints("level_channels");
        auto const& thresholds = this->attributes_.Floats("prefix_thresholds");
        EffortAttributes const attributes{this->attributes_.Floats("weights").data(),
                                          this->attributes_.Ints("channel_order").data(),
                                          levels.data(),
                                          static_cast<int64_t>(levels.size()),
                                          thresholds.data(),
                                          static_cast<int64_t>(thresholds.size())};
        EffortPacked packed;
        std::string const wrong =
            PackEffort(attributes, this->geometry_.For(Shape{}), type, knobs_, &packed);
        if (!wrong.empty()) throw PluginError(wrong);
        return packed;
    }

    EffortKnobs const knobs_;
    DeviceArray const float_, half_;
};

}  // namespace

std::vector<OperatorKind> const& EffortKinds() {
    static std::vector<OperatorKind> const kinds = {{
        SpecOf("EsEffortConv"),
        {Role::kActivation, Role::kInt32},
        {Role::kActivation},
        false,
        Make<EffortLayer>,
    }};
    return kinds;
}

}  // namespace plugins
}  // namespace edgesynth
