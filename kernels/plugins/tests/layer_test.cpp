// Layers with weights through their plugins, against the definition of a convolution: attributes,
// residual and activation of a node reach the kernels as they are meant.
#include <cmath>

#include "plugins/tests/shell.h"
#include "plugins/tests/world.h"
#include "testing/testing.h"

namespace edgesynth {
namespace plugins {
namespace {

using testing::Activations;

int32_t At(NodeFields const& fields, char const* name, size_t place, int32_t fallback) {
    auto const found = fields.ints.find(name);
    return found == fields.ints.end() ? fallback : found->second[place];
}

int64_t Volume(std::vector<int64_t> const& extents) {
    int64_t volume = 1;
    for (int64_t const extent : extents) volume *= extent;
    return volume;
}

// The dense weights, row after row, as edgesynth/operators/packing.py defines packed ones.
std::vector<double> Dense(NodeFields const& fields) {
    auto const& shape = fields.ints.at("weight_shape");
    int64_t const rows = shape[0];
    int64_t const columns = Volume(std::vector<int64_t>(shape.begin(), shape.end())) / shape[0];
    std::vector<double> dense(static_cast<size_t>(rows * columns), 0.0);
    if (fields.ints.count("positions") != 0) {
        auto const& positions = fields.ints.at("positions");
        for (size_t i = 0; i < positions.size(); ++i) {
            dense[static_cast<size_t>(positions[i])] = fields.floats.at("values")[i];
        }
        return dense;
    }
    int32_t const bits = fields.ints.at("bits")[0];
    int64_t const per_half = 16 / bits, per_word = 2 * per_half;
    int64_t const words = (columns + per_word - 1) / per_word;
    for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < columns; ++column) {
            int64_t const field = column % per_word;
            auto const word = static_cast<uint32_t>(
                fields.ints.at("words")[static_cast<size_t>(row * words + column / per_word)]);
            int64_t const shift = bits * (field / 2) + 16 * (field % 2);
            int64_t const code = static_cast<int64_t>(word >> shift & ((1u << bits) - 1));
            dense[static_cast<size_t>(row * columns + column)] =
                static_cast<double>(code - (1 << (bits - 1))) *
                static_cast<double>(fields.floats.at("scales")[static_cast<size_t>(row)]);
        }
    }
    return dense;
}

struct Expected {
    std::vector<double> values, magnitudes;
};

// act(conv(x, weights) + bias + residual), term by term; a matrix is an image of one pixel.
Expected Reference(Sample const& sample, std::vector<double> const& x,
                   std::vector<double> const& residual) {
    NodeFields const& f = sample.fields;
    auto in = sample.inputs[0], out = sample.outputs[0];
    in.resize(4, 1);
    out.resize(4, 1);
    std::vector<double> const dense = Dense(f);
    int64_t const kh = sample.inputs[0].size() == 4 ? At(f, "weight_shape", 2, 1) : 1;
    int64_t const kw = sample.inputs[0].size() == 4 ? At(f, "weight_shape", 3, 1) : 1;
    int64_t const group = At(f, "group", 0, 1), per_group = in[1] / group;
    Expected expected;
    for (int64_t i = 0; i < Volume(out); ++i) {
        int64_t const q = i % out[3], p = i / out[3] % out[2];
        int64_t const m = i / (out[3] * out[2]) % out[1], n = i / (out[3] * out[2] * out[1]);
        double sum = f.floats.at("bias")[static_cast<size_t>(m)];
        double magnitude = std::fabs(sum);
        for (int64_t k = 0; k < per_group * kh * kw; ++k) {
            int64_t const column = k % kw, row = k / kw % kh, channel = k / (kw * kh);
            int64_t const h =
                p * At(f, "strides", 0, 1) - At(f, "pads", 0, 0) + row * At(f, "dilations", 0, 1);
            int64_t const w = q * At(f, "strides", 1, 1) - At(f, "pads", 1, 0) +
                              column * At(f, "dilations", 1, 1);
            if (h < 0 || h >= in[2] || w < 0 || w >= in[3]) continue;
            int64_t const c = m / (out[1] / group) * per_group + channel;
            double const product =
                x[static_cast<size_t>(((n * in[1] + c) * in[2] + h) * in[3] + w)] *
                dense[static_cast<size_t>(m * per_group * kh * kw + k)];
            sum += product;
            magnitude += std::fabs(product);
        }
        if (!residual.empty()) sum += residual[static_cast<size_t>(i)];
        bool const rectified = At(f, "activation", 0, 0) == 1 && sum < 0;
        expected.values.push_back(rectified ? 0.0 : sum);
        expected.magnitudes.push_back(magnitude);
    }
    return expected;
}

// The values of a tensor of `extents` in the order of `format`.
std::vector<double> Ordered(nvinfer1::TensorFormat format, std::vector<double> const& values,
                            std::vector<int64_t> const& extents) {
    if (format == nvinfer1::TensorFormat::kLINEAR) return values;
    return testing::Paired(values, extents[1], extents[2] * extents[3]);
}

void Check(ShellKind const& shell, Sample const& sample, edgesynth::DataType type,
           nvinfer1::TensorFormat format = nvinfer1::TensorFormat::kLINEAR) {
    auto const named =
        type == DataType::kHalf ? nvinfer1::DataType::kHALF : nvinfer1::DataType::kFLOAT;
    testing::Random random(7);
    std::vector<double> const x = testing::RoundTo(type, random.Normals(Volume(sample.inputs[0])));
    bool const adds = sample.inputs.size() > 1;
    std::vector<double> const residual =
        testing::RoundTo(type, random.Normals(adds ? Volume(sample.outputs[0]) : 0));
    Activations const input(type, Ordered(format, x, sample.inputs[0]));
    Activations const added(type, Ordered(format, residual, sample.outputs[0]));
    Activations const output(type, Volume(sample.outputs[0]));
    Descs inputs, outputs = {Desc(sample.outputs[0], named, format)};
    for (auto const& extents : sample.inputs) inputs.push_back(Desc(extents, named, format));

    FieldCollection fields(sample.fields);
    auto plugin = shell.create(*sample.kind, fields.Get());
    ES_EXPECT(plugin->Prepare(inputs, outputs), "%s", TakeErrors().c_str());
    auto const blob = plugin->Serialize();
    plugin = shell.restore(*sample.kind, blob.data(), blob.size());  // as an engine would
    ES_EXPECT(plugin->PrepareRestored(), "%s", TakeErrors().c_str());
    int64_t const before = Allocations();
    void const* const in[] = {input.get(), added.get()};
    void* const out[] = {output.get()};
    ES_EXPECT(plugin->Enqueue(inputs, outputs, in, out, nullptr), "%s", TakeErrors().c_str());
    ES_EXPECT(Allocations() == before, "%s allocates while it runs", sample.kind->spec.type);

    Expected expected = Reference(sample, x, residual);
    expected.values = Ordered(format, expected.values, sample.outputs[0]);
    expected.magnitudes = Ordered(format, expected.magnitudes, sample.outputs[0]);
    // fp16 sums up to 32 products in fp16: 5 more roundings than the result's own
    testing::Tolerance tolerance = testing::ToleranceFor(type, 64);
    if (type == DataType::kHalf) tolerance.scaled += 6 * std::ldexp(1.0, -11);
    ES_EXPECT_CLOSE(sample.kind->spec.type, output.Host(), expected.values, expected.magnitudes,
                    tolerance);
}

ES_TEST(LayersComputeWhatTheirAttributesSay) {
    int layers = 0;
    for (ShellKind const& shell : ShellKinds()) {
        for (Sample const& sample : Samples()) {
            if (sample.fields.ints.count("weight_shape") == 0) continue;
            if (sample.fields.floats.count("weights") != 0) continue;  // effort_test.cpp
            ++layers;
            Check(shell, sample, DataType::kFloat);
            Check(shell, sample, DataType::kHalf);
            if (sample.kind->takes_chw2) {
                Check(shell, sample, DataType::kHalf, nvinfer1::TensorFormat::kCHW2);
            }
        }
    }
    ES_EXPECT(layers > 0, "no layers");
}

}  // namespace
}  // namespace plugins
}  // namespace edgesynth
