// What TensorRT does with a plugin from the parser to the engine's end, for every operator and both
// generations of the interface.
#include <atomic>
#include <thread>

#include "plugins/tests/expect.h"

namespace edgesynth {
namespace plugins {
namespace {

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
