// Fields that are missing, damaged or out of range make no plugin: for every operator and both
// generations of the interface.
#include <cmath>
#include <limits>

#include "plugins/tests/expect.h"

namespace edgesynth {
namespace plugins {
namespace {

// `fields` must not make a plugin.
void ExpectRefused(ShellKind const& shell, Sample const& sample, FieldCollection& fields,
                   char const* what) {
    auto const plugin = shell.create(*sample.kind, fields.Get());
    ES_EXPECT(plugin == nullptr, "%s %s is made with %s", shell.name, sample.kind->spec.type, what);
    ExpectError(shell, sample, what);
}

void CheckWrongFields(ShellKind const& shell, Sample const& sample) {
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

}  // namespace
}  // namespace plugins
}  // namespace edgesynth
