// Serialized plugins that were damaged in every way: refused with a message or read as what they
// are, never a crash. AddressSanitizer and UBSan watch.
#include <algorithm>
#include <cstring>

#include "plugins/tests/fake_builder.h"
#include "plugins/tests/shell.h"
#include "plugins/tests/world.h"
#include "testing/random.h"
#include "testing/testing.h"

namespace edgesynth {
namespace plugins {
namespace {

constexpr int kRounds = 20000;  // for each operator and generation

// Numbers that sizes and counts go wrong with.
constexpr uint32_t kOddNumbers[] = {0,          1,          2,          3,          0x7F,
                                    0x80,       0xFF,       0x100,      0x7FFFFFFF, 0x80000000,
                                    0xFFFFFFFE, 0xFFFFFFFF, 0x40000000, 0x3FFFFFFF};

class Mutator {
  public:
    explicit Mutator(uint64_t seed) : random_(seed) {}

    uint64_t Below(uint64_t limit) { return random_.Next() % limit; }

    void Change(std::vector<uint8_t>* bytes) {
        if (bytes->empty()) return;
        size_t const at = Below(bytes->size());
        uint32_t const odd = kOddNumbers[Below(sizeof(kOddNumbers) / sizeof(kOddNumbers[0]))];
        switch (Below(6)) {
            case 0:  // one bit
                (*bytes)[at] = static_cast<uint8_t>((*bytes)[at] ^ (1u << Below(8)));
                break;
            case 1:  // an odd number, which may well hit a size
                std::memcpy(&(*bytes)[at], &odd, std::min<size_t>(4, bytes->size() - at));
                break;
            case 2:
                bytes->resize(at);
                break;
            case 3:
                bytes->insert(bytes->begin() + static_cast<std::ptrdiff_t>(at), Below(40),
                              static_cast<uint8_t>(Below(256)));
                break;
            case 4:
                bytes->erase(bytes->begin() + static_cast<std::ptrdiff_t>(at));
                break;
            default: {  // a piece of it somewhere else
                size_t const from = Below(bytes->size());
                size_t const count = Below(bytes->size() - std::max(at, from));
                std::memmove(&(*bytes)[at], &(*bytes)[from], count);
            }
        }
    }

  private:
    testing::Random random_;
};

// What TensorRT would do next with a plugin that was read.
void Use(Shell& plugin, Sample const& sample) {
    FakeBuilder builder;
    std::vector<nvinfer1::DimsExprs> inputs;
    for (auto const& extents : sample.inputs) inputs.push_back(builder.Dims(extents));
    plugin.OutputDims(inputs, builder);
    Descs descs;
    for (auto const& extents : sample.inputs) descs.push_back(Desc(extents));
    plugin.Configure(descs, {});
    plugin.WorkspaceBytes(descs, {});
    plugin.Prepare(descs, {});
    plugin.Clone()->Serialize();
}

ES_TEST(DamagedBlobs) {
    int64_t const live = LiveAllocations();
    for (ShellKind const& shell : ShellKinds()) {
        for (Sample const& sample : Samples()) {
            FieldCollection fields(sample.fields);
            auto const blob = shell.create(*sample.kind, fields.Get())->Serialize();
            Mutator mutator(1);
            int accepted = 0;
            for (int round = 0; round < kRounds; ++round) {
                std::vector<uint8_t> bytes = blob;
                for (uint64_t i = mutator.Below(3) + 1; i > 0; --i) mutator.Change(&bytes);
                if (mutator.Below(2) == 0 && bytes.size() >= 16) {  // past the check of the size
                    uint64_t const size = bytes.size();
                    std::memcpy(&bytes[8], &size, 8);
                }
                bytes.shrink_to_fit();  // so that AddressSanitizer knows its end
                auto const plugin = shell.restore(*sample.kind, bytes.data(), bytes.size());
                std::string const errors = TakeErrors();
                ES_EXPECT((plugin == nullptr) == !errors.empty(), "round %d: %s", round,
                          errors.c_str());
                if (plugin == nullptr) continue;
                ++accepted;
                Use(*plugin, sample);
                TakeErrors();
            }
            // values of fields may change and still be right; else the fuzzer reached nothing
            ES_EXPECT(accepted > kRounds / 200, "%s: %d accepted", sample.kind->spec.type,
                      accepted);
        }
    }
    ES_EXPECT(LiveAllocations() == live, "damaged plugins leak");
}

ES_TEST(CutBlobs) {
    for (ShellKind const& shell : ShellKinds()) {
        for (Sample const& sample : Samples()) {
            FieldCollection fields(sample.fields);
            auto const blob = shell.create(*sample.kind, fields.Get())->Serialize();
            for (size_t size = 0; size < blob.size(); ++size) {
                std::vector<uint8_t> const bytes(blob.begin(),
                                                 blob.begin() + static_cast<std::ptrdiff_t>(size));
                auto const plugin = shell.restore(*sample.kind, bytes.data(), size);
                ES_EXPECT(plugin == nullptr, "cut to %zu bytes", size);
                ES_EXPECT(!TakeErrors().empty(), "cut to %zu bytes without a word", size);
            }
        }
    }
}

}  // namespace
}  // namespace plugins
}  // namespace edgesynth
