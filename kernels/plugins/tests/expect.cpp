#include "plugins/tests/expect.h"

#include <string>

namespace edgesynth {
namespace plugins {

using nvinfer1::DataType;

bool IsFloating(Role role) { return role != Role::kInt32; }

Descs DescsOf(std::vector<Role> const& roles, std::vector<std::vector<int64_t>> const& shapes,
              DataType type) {
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

void ForAll(void (*check)(ShellKind const&, Sample const&)) {
    for (ShellKind const& shell : ShellKinds()) {
        for (Sample const& sample : Samples()) {
            TakeErrors();
            check(shell, sample);
        }
    }
}

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

}  // namespace plugins
}  // namespace edgesynth
