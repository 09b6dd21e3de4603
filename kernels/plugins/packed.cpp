// EsPackedLinear and EsPackedConv, each also with a residual: weights as codes of 2, 3, 4 or 8
// bits.
#include "packed/packed.h"

#include "packed/layout.h"
#include "plugins/error.h"
#include "plugins/layer.h"
#include "plugins/operators.h"

namespace edgesynth {
namespace plugins {
namespace {

int32_t GroupOf(LinearGeometry const&) { return 1; }
int32_t GroupOf(ConvGeometry const& geometry) { return static_cast<int32_t>(geometry.group); }

template <typename Geometry>
class PackedLayer : public Layer<Geometry> {
  public:
    explicit PackedLayer(Attributes const& attributes)
        : Layer<Geometry>(attributes),
          bits_(attributes.Int("bits")),
          words_([this] { return Words(); }),
          scales_([&attributes] { return BytesOf(attributes.Floats("scales")); }) {
        char const* const what = "the number of words";
        Geometry const& geometry = this->geometry_;
        int64_t const per_row = PackedWordsPerRow(geometry.Columns(), bits_);
        attributes.Ints("words", Product(geometry.filters, per_row, what));
        attributes.Floats("scales", geometry.filters);
        if (Interleaved() < 0) throw Error("%s overflows", what);
    }

    void Prepare(ChosenType chosen) const override {
        Layer<Geometry>::Prepare(chosen);
        words_.Get<int32_t>();
        scales_.Get<float>();
    }

    void Enqueue(Call const& call) const override {
        PackedWeights const weights{words_.Get<int32_t>(), scales_.Get<float>(),
                                    this->bias_.template Get<float>(), bits_};
        CheckCuda(Launch(this->geometry_, weights, call), "launching the kernel");
    }

  private:
    int32_t Filters() const { return static_cast<int32_t>(this->geometry_.filters); }

    int64_t Interleaved() const {
        return InterleavedWordCount(Filters(), GroupOf(this->geometry_), this->geometry_.Columns(),
                                    bits_);
    }

    DeviceArray::Bytes Words() const {
        std::vector<int32_t> words(static_cast<size_t>(Interleaved()));
        InterleaveWords(Filters(), GroupOf(this->geometry_), this->geometry_.Columns(), bits_,
                        this->attributes_.Ints("words").data(), words.data());
        return BytesOf(words);
    }

    cudaError_t Launch(LinearGeometry const& geometry, PackedWeights const& weights,
                       Call const& call) const {
        PackedLinear const layer{static_cast<int32_t>(call.shapes[0].extents[0]),
                                 static_cast<int32_t>(geometry.features),
                                 Filters(),
                                 call.Type(),
                                 this->activation_,
                                 weights};
        return LaunchPackedLinear(layer, call.inputs[0], this->Residual(call), call.outputs[0],
                                  call.stream);
    }
    cudaError_t Launch(ConvGeometry const& geometry, PackedWeights const& weights,
                       Call const& call) const {
        PackedConv const layer{geometry.For(call.shapes[0]), call.Type(), this->activation_,
                               weights, call.Order()};
        return LaunchPackedConv(layer, call.inputs[0], this->Residual(call), call.outputs[0],
                                call.stream);
    }

    int32_t const bits_;
    DeviceArray const words_, scales_;
};

}  // namespace

std::vector<OperatorKind> const& PackedKinds() {
    static std::vector<OperatorKind> const kinds = {
        LayerKind("EsPackedLinear", Make<PackedLayer<LinearGeometry>>),
        LayerKind("EsPackedLinearAdd", Make<PackedLayer<LinearGeometry>>),
        LayerKind("EsPackedConv", Make<PackedLayer<ConvGeometry>>, true),
        LayerKind("EsPackedConvAdd", Make<PackedLayer<ConvGeometry>>, true),
    };
    return kinds;
}

}  // namespace plugins
}  // namespace edgesynth
