// What TensorRT does with a plugin from the parser to the engine's end, for every operator and both
// generations of the interface; and what must be refused with a message.
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "plugins/tests/fake_builder.h"
#include "plugins/tests/shell.h"
#include "plugins/tests/world.h"
#include "testing/testing.h"

namespace edgesynth {
namespace plugins {
namespace {

using nvinfer1::DataType;
using nvinfer1::TensorFormat;

constexpr int64_t kBatch = 4;  // what an unknown dimension turns out to be

bool IsFloating(Role role) { return role != Role::kInt32; }

// Descriptions of tensors with these shapes, as the format search would end.
Descs DescsOf(std::vector<Role> const& roles, std::vector<std::vector<int64_t>> const& shapes,
              DataType type = DataType::kFLOAT) {
    Descs descs;
    for (size_t i = 0; i < shapes.size(); ++i) {
        bool const activation = roles[i] == Role::kActivation;
        DataType const plain = IsFloating(roles[i]) ? DataType::kFLOAT : DataType::kINT32;
        descs.push_back(Desc(shapes[i], activation ? type : plain));
    }
    return descs;
}

std::unique_ptr<Shell> Create(ShellKind const& shell, Sample const& sample) {
    FieldCollection fields(sample.fields);
    return shell.create(*sample.kind, fields.Get());
}

// For every sample in every generation.
void ForAll(void (*check)(ShellKind const&, Sample const&)) {
    for (ShellKind const& shell : ShellKinds()) {
        for (Sample const& sample : Samples()) {
            TakeErrors();
            check(shell, sample);
        }
    }
}

// An error about `what` was logged, once and with the operator's name; and no other.
void ExpectError(ShellKind const& shell, Sample const& sample, char const* what) {
    std::string const errors = TakeErrors();
    std::string const start = std::string("edgesynth ") + sample.kind->spec.type + ": ";
    ES_EXPECT(errors.compare(0, start.size(), start) == 0, "%s %s, %s: \"%s\"", shell.name,
              sample.kind->spec.type, what, errors.c_str());
}

void ExpectNoError(ShellKind const& shell, Sample const& sample) {
    std::string const errors = TakeErrors();
    ES_EXPECT(errors.empty(), "%s %s: %s", shell.name, sample.kind->spec.type, errors.c_str());
}

ES_TEST(EveryOperatorHasASample) {
    for (OperatorKind const* const kind : Operators()) {
        bool found = false;
        for (Sample const& sample : Samples()) found = found || sample.kind == kind;
        ES_EXPECT(found, "%s has none in plugins/tests/world.cpp", kind->spec.type);
        ES_EXPECT(static_cast<int32_t>(kind->inputs.size()) == kind->spec.inputs, "%s",
                  kind->spec.type);
        ES_EXPECT(static_cast<int32_t>(kind->outputs.size()) == kind->spec.outputs, "%s",
                  kind->spec.type);
        ES_EXPECT(kind->inputs[0] == Role::kActivation, "%s", kind->spec.type);
    }
}

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

void CheckSerialization(ShellKind const& shell, Sample const& sample) {
    auto plugin = Create(shell, sample);
    std::vector<uint8_t> const blob = plugin->Serialize();
    ES_EXPECT(blob.size() > 24, "%zu bytes", blob.size());
    auto clone = plugin->Clone();
    plugin.reset();  // the clone needs nothing of it
    ES_EXPECT(clone->Serialize() == blob, "%s %s: a clone's", shell.name, sample.kind->spec.type);
    clone.reset();
    for (ShellKind const& reader : ShellKinds()) {  // the form is the same for both
        auto const restored = reader.restore(*sample.kind, blob.data(), blob.size());
        ES_EXPECT(restored != nullptr, "%s reads what %s wrote", reader.name, shell.name);
        if (restored) ES_EXPECT(restored->Serialize() == blob, "%s again", reader.name);
    }
    ExpectNoError(shell, sample);
}

ES_TEST(SerializedAndReadAgain) { ForAll(CheckSerialization); }

ES_TEST(SerializedFormNeverChanges) {
    // An exit gate of two classes, byte by byte. A change here makes engines in caches unreadable:
    // raise the form's version then.
    Sample sample = Samples()[0];
    sample.fields = {{{"classes", {2}}}, {{"gate_weights", {1.0f, -2.0f}}}};
    std::string const expected = std::string("ESPL\1\0\0\0\x9C\0\0\0\0\0\0\0", 16) +
                                 std::string(
                                     "\xA\0\0\0"
                                     "EsExitGate"
                                     "\0\0\0\0"
                                     "\4\0\0\0",
                                     22) +
                                 std::string(
                                     "\7\0\0\0"
                                     "classes"
                                     "\1\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0",
                                     27) +
                                 std::string(
                                     "\6\0\0\0"
                                     "policy"
                                     "\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0",
                                     26) +
                                 std::string(
                                     "\xC\0\0\0"
                                     "gate_weights"
                                     "\2\0\0\0\2\0\0\0\0\0\0\0\0\0\x80\x3F\0\0\0\xC0",
                                     36) +
                                 std::string(
                                     "\x9\0\0\0"
                                     "gate_bias"
                                     "\2\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0",
                                     29);
    for (ShellKind const& shell : ShellKinds()) {
        auto const blob = Create(shell, sample)->Serialize();
        std::string const found(blob.begin(), blob.end());
        ES_EXPECT(found == expected, "%s, %zu bytes", shell.name, found.size());
    }
}

// `fields` must not make a plugin.
void ExpectRefused(ShellKind const& shell, Sample const& sample, FieldCollection& fields,
                   char const* what) {
    auto const plugin = shell.create(*sample.kind, fields.Get());
    ES_EXPECT(plugin == nullptr, "%s %s is made with %s", shell.name, sample.kind->spec.type, what);
    ExpectError(shell, sample, what);
}

void CheckWrongFields(ShellKind const& shell, Sample const& sample) {
    FieldCollection const whole(sample.fields);
    size_t const count = FieldCollection(sample.fields).Fields().size();
    for (size_t i = 1; i < count; ++i) {  // after plugin_version
        std::string const name = FieldCollection(sample.fields).Fields()[i].name;
        {
            FieldCollection fields(sample.fields);
            fields.Fields()[i].type = nvinfer1::PluginFieldType::kFLOAT16;
            ExpectRefused(shell, sample, fields, (name + " of another type").c_str());
        }
        {
            FieldCollection fields(sample.fields);
            fields.Fields()[i].data = nullptr;
            ExpectRefused(shell, sample, fields, (name + " without data").c_str());
        }
        {
            FieldCollection fields(sample.fields);
            fields.Fields()[i].length = -1;
            ExpectRefused(shell, sample, fields, (name + " of negative length").c_str());
        }
        {
            FieldCollection fields(sample.fields);
            fields.Fields()[i].length = 0;
            ExpectRefused(shell, sample, fields, (name + " of no elements").c_str());
        }
        {
            FieldCollection fields(sample.fields);
            fields.Fields().push_back(fields.Fields()[i]);
            ExpectRefused(shell, sample, fields, (name + " given twice").c_str());
        }
    }
    for (auto const& wrong : sample.wrong_fields) {
        Sample changed = sample;
        for (auto const& entry : wrong.second.ints) changed.fields.ints[entry.first] = entry.second;
        for (auto const& entry : wrong.second.floats) {
            changed.fields.floats[entry.first] = entry.second;
        }
        FieldCollection fields(changed.fields);
        ExpectRefused(shell, sample, fields, wrong.first);
    }
    ES_EXPECT(shell.create(*sample.kind, nullptr) == nullptr, "no collection");
    ExpectError(shell, sample, "no collection");
    nvinfer1::PluginFieldCollection const lying{3, nullptr};
    ES_EXPECT(shell.create(*sample.kind, &lying) == nullptr, "no fields");
    ExpectError(shell, sample, "no fields");
}

ES_TEST(WrongFieldsAreRefused) { ForAll(CheckWrongFields); }

// Every field missing, and with numbers that its spec excludes.
void CheckFieldsAgainstSpec(ShellKind const& shell, Sample const& sample) {
    for (int32_t i = 0; i < sample.kind->spec.fieldCount; ++i) {
        FieldSpec const& spec = sample.kind->spec.fields[i];
        Sample changed = sample;
        bool const is_float = changed.fields.floats.erase(spec.name) > 0;
        changed.fields.ints.erase(spec.name);
        FieldCollection without(changed.fields);
        if (spec.required) {
            ExpectRefused(shell, sample, without, (std::string(spec.name) + " missing").c_str());
        } else {
            shell.create(*sample.kind, without.Get());  // the default may not fit the others
            TakeErrors();
        }
        if (is_float) {
            for (float const value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
                Sample odd = sample;
                odd.fields.floats[spec.name].back() = value;
                FieldCollection fields(odd.fields);
                ExpectRefused(shell, sample, fields, (std::string(spec.name) + " odd").c_str());
            }
        } else if (spec.lowest > -2147483648.0 || spec.choices > 0) {
            Sample odd = sample;
            if (odd.fields.ints.count(spec.name) == 0) continue;
            odd.fields.ints[spec.name].back() = std::numeric_limits<int32_t>::min();
            FieldCollection fields(odd.fields);
            ExpectRefused(shell, sample, fields, (std::string(spec.name) + " too low").c_str());
        }
    }
}

ES_TEST(FieldsAgainstTheirSpecs) { ForAll(CheckFieldsAgainstSpec); }

void CheckAbuse(ShellKind const& shell, Sample const& sample) {
    Create(shell, sample)->Abuse();
    ES_EXPECT(!TakeErrors().empty(), "%s %s says nothing", shell.name, sample.kind->spec.type);
    std::vector<uint8_t> const none;
    ES_EXPECT(shell.restore(*sample.kind, nullptr, 100) == nullptr, "no bytes");
    ExpectError(shell, sample, "no bytes");
}

ES_TEST(NullPointers) { ForAll(CheckAbuse); }

void CheckDeviceWeights(ShellKind const& shell, Sample const& sample) {
    auto const inputs = DescsOf(sample.kind->inputs, sample.inputs);
    auto const outputs = DescsOf(sample.kind->outputs, sample.outputs);
    int64_t const before = Allocations(), live = LiveAllocations();
    {
        auto plugin = Create(shell, sample);
        ES_EXPECT(Allocations() == before, "%s is on the device before it is needed", shell.name);
        auto first = plugin->Clone(), second = plugin->Clone();
        ES_EXPECT(first->Prepare(inputs, outputs) && second->Prepare(inputs, outputs), "prepare");
        int64_t const uploaded = Allocations() - before;
        ES_EXPECT((uploaded > 0) == sample.weights_on_device, "%lld uploads",
                  static_cast<long long>(uploaded));
        plugin.reset();
        first.reset();
        ES_EXPECT(second->Prepare(inputs, outputs), "prepare again");
        ES_EXPECT(Allocations() - before == uploaded, "clones do not share");
        ES_EXPECT(LiveAllocations() - live == uploaded, "weights went with a clone");
    }
    ES_EXPECT(LiveAllocations() == live, "%s leaks", sample.kind->spec.type);
    ExpectNoError(shell, sample);
    if (!sample.weights_on_device) return;
    auto const plugin = Create(shell, sample);
    FailAllocation(1);
    ES_EXPECT(!plugin->Prepare(inputs, outputs), "without memory");
    FailAllocation(0);
    ExpectError(shell, sample, "without memory");
    ES_EXPECT(plugin->Prepare(inputs, outputs), "with memory again");
    ExpectNoError(shell, sample);
}

ES_TEST(WeightsAreUploadedOnceAndShared) { ForAll(CheckDeviceWeights); }

void CheckThreads(ShellKind const& shell, Sample const& sample) {
    auto const inputs = DescsOf(sample.kind->inputs, sample.inputs);
    auto const outputs = DescsOf(sample.kind->outputs, sample.outputs);
    int64_t const before = Allocations(), live = LiveAllocations();
    auto plugin = Create(shell, sample);
    plugin->Prepare(inputs, outputs);
    auto const blob = plugin->Serialize();
    int64_t const uploads = Allocations() - before;
    plugin = Create(shell, sample);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 50; ++round) {
                auto const clone = plugin->Clone();
                if (!clone->Prepare(inputs, outputs)) ++wrong;
                if (clone->Clone()->Serialize() != blob) ++wrong;
                if (shell.restore(*sample.kind, blob.data(), blob.size() - 1)) ++wrong;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    ES_EXPECT(wrong == 0, "%d calls went wrong", static_cast<int>(wrong));
    ES_EXPECT(Allocations() - before == 2 * uploads, "threads upload more than once");
    plugin.reset();
    ES_EXPECT(LiveAllocations() == live, "threads leak");
    TakeErrors();
}

ES_TEST(ManyThreads) { ForAll(CheckThreads); }

}  // namespace
}  // namespace plugins
}  // namespace edgesynth
