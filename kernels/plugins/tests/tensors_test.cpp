// What a plugin says about its tensors - shapes, types and formats - for every operator and both
// generations of the interface; and which shapes it must refuse with a message.
#include "plugins/tests/expect.h"
#include "plugins/tests/fake_builder.h"

namespace edgesynth {
namespace plugins {
namespace {

using nvinfer1::DataType;
using nvinfer1::TensorFormat;

constexpr int64_t kBatch = 4;  // what an unknown dimension turns out to be

void CheckShapes(ShellKind const& shell, Sample const& sample) {
    auto const plugin = Create(shell, sample);
    ExpectNoError(shell, sample);
    if (!plugin) return;
    FakeBuilder builder;
    for (bool const dynamic : {false, true}) {
        std::vector<nvinfer1::DimsExprs> inputs;
        for (size_t i = 0; i < sample.inputs.size(); ++i) {
            std::vector<int64_t> extents = sample.inputs[i];
            if (dynamic && sample.kind->inputs[i] == Role::kActivation) extents[0] = -1;
            inputs.push_back(builder.Dims(extents));
        }
        auto const outputs = plugin->OutputDims(inputs, builder);
        ES_EXPECT(outputs.size() == sample.outputs.size(), "%zu outputs", outputs.size());
        for (size_t i = 0; i < outputs.size(); ++i) {
            std::vector<int64_t> expected = sample.outputs[i];
            if (dynamic && expected[0] == sample.inputs[0][0]) expected[0] = kBatch;
            ES_EXPECT(Evaluate(outputs[i], kBatch) == expected, "%s %s, output %zu", shell.name,
                      sample.kind->spec.type, i);
        }
    }
    ExpectNoError(shell, sample);
}

ES_TEST(ShapesOfOutputs) { ForAll(CheckShapes); }

void CheckWrongInputs(ShellKind const& shell, Sample const& sample) {
    auto const plugin = Create(shell, sample);
    auto const outputs = DescsOf(sample.kind->outputs, sample.outputs);
    for (auto const& wrong : sample.wrong_inputs) {
        FakeBuilder builder;
        std::vector<nvinfer1::DimsExprs> inputs;
        for (auto const& extents : wrong.second) inputs.push_back(builder.Dims(extents));
        for (auto const& dims : plugin->OutputDims(inputs, builder)) {
            ES_EXPECT(dims.nbDims == -1, "%s %s, %s: shapes are given", shell.name,
                      sample.kind->spec.type, wrong.first);
        }
        ExpectError(shell, sample, wrong.first);
        auto const descs = DescsOf(sample.kind->inputs, wrong.second);
        plugin->Configure(descs, outputs);
        ExpectError(shell, sample, wrong.first);
        ES_EXPECT(plugin->WorkspaceBytes(descs, outputs) == 0, "%s", wrong.first);
        ExpectError(shell, sample, wrong.first);
        std::vector<void const*> no_inputs(sample.inputs.size(), nullptr);
        std::vector<void*> no_outputs(sample.outputs.size(), nullptr);
        bool const ran =
            plugin->Enqueue(descs, outputs, no_inputs.data(), no_outputs.data(), nullptr);
        ES_EXPECT(!ran, "%s %s, %s: it ran", shell.name, sample.kind->spec.type, wrong.first);
        ExpectError(shell, sample, wrong.first);
    }
    std::vector<nvinfer1::DimsExprs> none;
    FakeBuilder builder;
    ES_EXPECT(plugin->OutputDims(none, builder)[0].nbDims == -1, "no inputs");
    ExpectError(shell, sample, "no inputs");
}

ES_TEST(WrongShapesAreRefused) { ForAll(CheckWrongInputs); }

ES_TEST(DimensionsWithoutMeaning) {
    for (ShellKind const& shell : ShellKinds()) {
        Sample const& sample = Samples()[0];
        auto const plugin = Create(shell, sample);
        for (int32_t const rank : {-1, nvinfer1::Dims::MAX_DIMS + 1, 1000000}) {
            Descs inputs = DescsOf(sample.kind->inputs, sample.inputs);
            inputs[0].dims.nbDims = rank;
            TakeErrors();
            plugin->Configure(inputs, {});
            ExpectError(shell, sample, "a rank that TensorRT does not have");
        }
    }
}

void CheckTypes(ShellKind const& shell, Sample const& sample) {
    auto const plugin = Create(shell, sample);
    for (DataType const type : {DataType::kFLOAT, DataType::kHALF}) {
        std::vector<DataType> inputs;
        for (auto const& desc : DescsOf(sample.kind->inputs, sample.inputs, type)) {
            inputs.push_back(desc.type);
        }
        auto const expected = DescsOf(sample.kind->outputs, sample.outputs, type);
        auto const found = plugin->OutputTypes(inputs);
        for (size_t i = 0; i < found.size(); ++i) {
            ES_EXPECT(found[i] == expected[i].type, "%s %s, output %zu", shell.name,
                      sample.kind->spec.type, i);
        }
    }
    ExpectNoError(shell, sample);
}

ES_TEST(TypesOfOutputs) { ForAll(CheckTypes); }

struct Form {
    DataType type;
    TensorFormat format;
};

constexpr Form kForms[] = {
    {DataType::kFLOAT, TensorFormat::kLINEAR}, {DataType::kHALF, TensorFormat::kLINEAR},
    {DataType::kHALF, TensorFormat::kCHW2},    {DataType::kFLOAT, TensorFormat::kCHW2},
    {DataType::kHALF, TensorFormat::kHWC8},    {DataType::kINT8, TensorFormat::kLINEAR},
    {DataType::kINT32, TensorFormat::kLINEAR}, {DataType::kINT32, TensorFormat::kCHW2},
    {DataType::kBOOL, TensorFormat::kLINEAR},
};

// Forms that the rest of the tensors can take after tensors 0 to position - 1 have theirs.
void Search(Shell& plugin, Descs& tensors, int inputs, size_t position,
            std::vector<Descs>& accepted) {
    if (position == tensors.size()) {
        accepted.push_back(tensors);
        return;
    }
    for (Form const& form : kForms) {
        tensors[position].type = form.type;
        tensors[position].format = form.format;
        if (plugin.Accepts(static_cast<int>(position), tensors, inputs)) {
            Search(plugin, tensors, inputs, position + 1, accepted);
        }
    }
}

void CheckFormats(ShellKind const& shell, Sample const& sample) {
    auto const plugin = Create(shell, sample);
    Descs tensors = DescsOf(sample.kind->inputs, sample.inputs);
    for (auto const& desc : DescsOf(sample.kind->outputs, sample.outputs)) tensors.push_back(desc);
    std::vector<Role> roles = sample.kind->inputs;
    for (Role const role : sample.kind->outputs) roles.push_back(role);
    std::vector<Descs> accepted;
    Search(*plugin, tensors, static_cast<int>(sample.inputs.size()), 0, accepted);
    // fp32, fp16, and fp16 in pairs of channels; everything else in a node follows from that
    ES_EXPECT(accepted.size() == (sample.kind->takes_chw2 ? 3u : 2u), "%s: %zu combinations",
              sample.kind->spec.type, accepted.size());
    for (Descs const& forms : accepted) {
        for (size_t i = 0; i < forms.size(); ++i) {
            bool const activation = roles[i] == Role::kActivation;
            bool const linear = forms[i].format == TensorFormat::kLINEAR;
            bool const right =
                activation ? forms[i].type == forms[0].type && forms[i].format == forms[0].format
                           : linear && forms[i].type == (IsFloating(roles[i]) ? DataType::kFLOAT
                                                                              : DataType::kINT32);
            ES_EXPECT(right, "%s %s, tensor %zu", shell.name, sample.kind->spec.type, i);
        }
    }
    ES_EXPECT(!plugin->Accepts(static_cast<int>(tensors.size()), tensors,
                               static_cast<int>(sample.inputs.size())),
              "a position past the end");
    TakeErrors();
}

ES_TEST(FormatsOfTensors) { ForAll(CheckFormats); }

// Pairs of channels take an even number of them, in every tensor.
void CheckOddChannels(ShellKind const& shell, Sample const& sample) {
    if (!sample.kind->takes_chw2) return;
    auto const plugin = Create(shell, sample);
    Descs tensors = DescsOf(sample.kind->inputs, sample.inputs, DataType::kHALF);
    for (auto const& desc : DescsOf(sample.kind->outputs, sample.outputs, DataType::kHALF)) {
        tensors.push_back(desc);
    }
    for (auto& desc : tensors) desc.format = TensorFormat::kCHW2;
    int const inputs = static_cast<int>(sample.inputs.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
        ES_EXPECT(plugin->Accepts(static_cast<int>(i), tensors, inputs), "tensor %zu", i);
        for (int const extent : {1, 5, 0, -1}) {
            Descs odd = tensors;
            odd[i].dims.d[1] = extent;
            ES_EXPECT(!plugin->Accepts(static_cast<int>(i), odd, inputs), "%d channels", extent);
        }
    }
}

ES_TEST(OddChannelsAreNotPaired) { ForAll(CheckOddChannels); }

}  // namespace
}  // namespace plugins
}  // namespace edgesynth
