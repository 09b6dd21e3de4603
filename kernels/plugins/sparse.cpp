// EsSparseLinear and EsSparseConv, each also with a residual: weights as positions and values.
#include "sparse/sparse.h"

#include "plugins/error.h"
#include "plugins/layer.h"
#include "plugins/operators.h"
#include "sparse/packing.h"

namespace edgesynth {
namespace plugins {
namespace {

SparseWeights WeightsOf(Attributes const& attributes) {
    auto const& positions = attributes.Ints("positions");
    auto const count = static_cast<int64_t>(positions.size());
    return SparseWeights{positions.data(), attributes.Floats("values", count).data(), count};
}

// The weights as the kernels read them with activations of one type.
class Table {
  public:
    // pack(packed) makes them, always the same; it throws PluginError for wrong ones.
    explicit Table(std::function<void(SparsePacked*)> pack)
        : layout_(LayoutOf(pack)), bytes_([pack] {
              SparsePacked packed;
              pack(&packed);
              return std::move(packed.bytes);
          }) {}

    SparseLayout const& Layout() const { return layout_; }
    void const* Bytes() const { return bytes_.Get<void>(); }

  private:
    static SparseLayout LayoutOf(std::function<void(SparsePacked*)> const& pack) {
        SparsePacked packed;
        pack(&packed);
        return packed.layout;
    }

    SparseLayout const layout_;
    DeviceArray const bytes_;
};

template <typename Geometry>
class SparseLayer : public Layer<Geometry> {
  public:
    explicit SparseLayer(Attributes const& attributes)
        : Layer<Geometry>(attributes),
          float_([this](SparsePacked* packed) { Pack(DataType::kFloat, packed); }),
          half_([this](SparsePacked* packed) { Pack(DataType::kHalf, packed); }) {}

    void Prepare(ChosenType chosen) const override {
        Layer<Geometry>::Prepare(chosen);
        if (chosen.known) For(chosen.type).Bytes();
    }

    void Enqueue(Call const& call) const override {
        Table const& table = For(call.Type());
        SparseOperands const operands{
            table.Layout(),    table.Bytes(),        this->bias_.template Get<float>(),
            call.inputs[0],    this->Residual(call), call.outputs[0],
            this->activation_, call.Order()};
        CheckCuda(Launch(operands, call), "launching the kernel");
    }

  private:
    Table const& For(DataType type) const { return type == DataType::kHalf ? half_ : float_; }

    void Pack(DataType type, SparsePacked* packed) const {
        std::string const wrong = PackFor(this->geometry_, type, packed);
        if (!wrong.empty()) throw PluginError(wrong);
    }

    std::string PackFor(LinearGeometry const& geometry, DataType type, SparsePacked* packed) const {
        return PackSparseLinear(WeightsOf(this->attributes_),
                                static_cast<int32_t>(geometry.features),
                                static_cast<int32_t>(geometry.filters), type, packed);
    }
    std::string PackFor(ConvGeometry const& geometry, DataType type, SparsePacked* packed) const {
        return PackSparseConv(WeightsOf(this->attributes_), geometry.For(Shape{}), type, packed);
    }

    cudaError_t Launch(SparseOperands const& operands, Call const& call) const {
        return LaunchFor(this->geometry_, operands, call);
    }
    static cudaError_t LaunchFor(LinearGeometry const&, SparseOperands const& operands,
                                 Call const& call) {
        auto const samples = static_cast<int32_t>(call.shapes[0].extents[0]);
        return LaunchSparseLinear(operands, samples, call.stream);
    }
    static cudaError_t LaunchFor(ConvGeometry const& geometry, SparseOperands const& operands,
                                 Call const& call) {
        return LaunchSparseConv(operands, geometry.For(call.shapes[0]), call.stream);
    }

    Table const float_, half_;
};

}  // namespace

std::vector<OperatorKind> const& SparseKinds() {
    static std::vector<OperatorKind> const kinds = {
        LayerKind("EsSparseLinear", Make<SparseLayer<LinearGeometry>>),
        LayerKind("EsSparseLinearAdd", Make<SparseLayer<LinearGeometry>>),
        LayerKind("EsSparseConv", Make<SparseLayer<ConvGeometry>>, true),
        LayerKind("EsSparseConvAdd", Make<SparseLayer<ConvGeometry>>, true),
    };
    return kinds;
}

}  // namespace plugins
}  // namespace edgesynth
