#include <vector>

#include "common/entries.h"
#include "common/staged.h"
#include "packed/packed.h"

namespace edgesynth {
namespace {

// The weights of one call on the device.
class StagedWeights {
  public:
    StagedWeights(ConvShape const& shape, int32_t bits, int32_t const* words, float const* scales,
                  float const* bias, FirstError* error)
        : interleaved_(Interleaved(shape, bits, words, error)),
          words_(interleaved_.data(), Bytes(interleaved_.size()), error),
          scales_(scales, Bytes(static_cast<size_t>(shape.filters)), error),
          bias_(bias, Bytes(static_cast<size_t>(shape.filters)), error),
          bits_(bits) {}

    PackedWeights Get() const {
        return PackedWeights{words_.As<int32_t>(), scales_.As<float>(), bias_.As<float>(), bits_};
    }

  private:
    static int64_t Bytes(size_t words) { return static_cast<int64_t>(words) * 4; }

    static std::vector<int32_t> Interleaved(ConvShape const& shape, int32_t bits,
                                            int32_t const* words, FirstError* error) {
        int64_t const columns = FilterWeights(shape);
        int64_t const count = InterleavedWordCount(shape.filters, shape.group, columns, bits);
        std::vector<int32_t> interleaved(static_cast<size_t>(count > 0 ? count : 0));
        if (!InterleaveWords(shape.filters, shape.group, columns, bits, words,
                             interleaved.data())) {
            error->Note(cudaErrorInvalidValue);
        }
        return interleaved;
    }

    std::vector<int32_t> interleaved_;
    Staged words_, scales_, bias_;
    int32_t bits_;
};

// Runs launch(x, residual, y on the device) for a layer of this shape.
template <typename Launch>
cudaError_t Run(ConvShape const& shape, DataType type, void const* x, void const* residual, void* y,
                FirstError* error, Launch const& launch) {
    int64_t const inputs = CheckedProduct(shape.samples, shape.channels, shape.height, shape.width);
    int64_t const outputs =
        CheckedProduct(shape.samples, shape.filters, OutputSide(shape, 0), OutputSide(shape, 1));
    Staged const from(x, inputs * SizeOf(type), error);
    Staged const added(residual, outputs * SizeOf(type), error);
    Staged to(outputs * SizeOf(type), error);
    if (!error->Ok()) return error->Get();
    error->Note(launch(from.As<void>(), added.As<void>(), to.As<void>()));
    error->Note(cudaDeviceSynchronize());
    to.CopyTo(y);
    return error->Get();
}

}  // namespace
}  // namespace edgesynth

using edgesynth::Activation;
using edgesynth::ConvShape;
using edgesynth::DataType;

ES_ENTRY int32_t es_packed_linear_host(int32_t type, int64_t const* shape, void const* x,
                                       void const* residual, int32_t const* weight_shape,
                                       int32_t const* words, int64_t /*words_count*/,
                                       float const* scales, int64_t /*scales_count*/, int32_t bits,
                                       float const* bias, int64_t /*bias_count*/,
                                       int32_t activation, void* y) {
    ConvShape const conv =
        edgesynth::LinearAsConv(static_cast<int32_t>(shape[0]), weight_shape[1], weight_shape[0]);
    if (shape[0] > INT32_MAX || !edgesynth::IsValid(conv)) return cudaErrorInvalidValue;
    edgesynth::FirstError error;
    edgesynth::StagedWeights const weights(conv, bits, words, scales, bias, &error);
    edgesynth::PackedLinear const layer{conv.samples,
                                        conv.channels,
                                        conv.filters,
                                        static_cast<DataType>(type),
                                        static_cast<Activation>(activation),
                                        weights.Get()};
    return edgesynth::Run(conv, layer.type, x, residual, y, &error,
                          [&](void* from, void* added, void* to) {
                              return edgesynth::LaunchPackedLinear(layer, from, added, to, nullptr);
                          });
}

ES_ENTRY int32_t es_packed_conv_host(int32_t type, int64_t const* shape, void const* x,
                                     void const* residual, int32_t const* weight_shape,
                                     int32_t const* words, int64_t /*words_count*/,
                                     float const* scales, int64_t /*scales_count*/, int32_t bits,
                                     float const* bias, int64_t /*bias_count*/,
                                     int32_t const* strides, int32_t const* pads,
                                     int32_t const* dilations, int32_t group, int32_t activation,
                                     void* y) {
    for (int axis = 0; axis < 4; ++axis) {
        if (shape[axis] > INT32_MAX) return cudaErrorInvalidValue;
    }
    ConvShape const conv{static_cast<int32_t>(shape[0]),
                         static_cast<int32_t>(shape[1]),
                         static_cast<int32_t>(shape[2]),
                         static_cast<int32_t>(shape[3]),
                         weight_shape[0],
                         group,
                         {weight_shape[2], weight_shape[3]},
                         {strides[0], strides[1]},
                         {pads[0], pads[1], pads[2], pads[3]},
                         {dilations[0], dilations[1]}};
    if (!edgesynth::IsValid(conv)) return cudaErrorInvalidValue;
    edgesynth::FirstError error;
    edgesynth::StagedWeights const weights(conv, bits, words, scales, bias, &error);
    edgesynth::PackedConv const layer{conv, static_cast<DataType>(type),
                                      static_cast<Activation>(activation), weights.Get()};
    return edgesynth::Run(conv, layer.type, x, residual, y, &error,
                          [&](void* from, void* added, void* to) {
                              return edgesynth::LaunchPackedConv(layer, from, added, to, nullptr);
                          });
}
