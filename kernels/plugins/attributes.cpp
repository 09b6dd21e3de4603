#include "plugins/attributes.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "plugins/bytes.h"
#include "plugins/error.h"

namespace edgesynth {
namespace plugins {
namespace {

constexpr uint32_t kMagic = 0x4C505345;  // "ESPL"
constexpr uint32_t kFormVersion = 1;
constexpr uint32_t kInt32Code = 1, kFloat32Code = 2;  // of fields
constexpr uint32_t kFloatCode = 1, kHalfCode = 2;     // of activations
constexpr int32_t kMostFields = 1000;

bool IsFloat(FieldSpec const& spec) {
    return spec.kind == FieldKind::kFloat || spec.kind == FieldKind::kFloatTensor;
}

uint32_t CodeOf(FieldSpec const& spec) { return IsFloat(spec) ? kFloat32Code : kInt32Code; }

// How many elements a field has; 0 where any number but none will do.
int32_t LengthOf(FieldSpec const& spec) {
    bool const single = spec.kind == FieldKind::kInt || spec.kind == FieldKind::kFloat;
    return single ? 1 : spec.length;
}

void CheckCount(char const* name, size_t found, int64_t wanted) {
    if (static_cast<int64_t>(found) != wanted) {
        throw Error("field %s has %zu elements, it takes %lld", name, found,
                    static_cast<long long>(wanted));
    }
}

bool IsAmong(FieldSpec const& spec, double value) {
    for (int32_t i = 0; i < spec.choices; ++i) {
        if (value == spec.among[i]) return true;
    }
    return spec.choices == 0;
}

template <typename T>
void CheckElements(FieldSpec const& spec, std::vector<T> const& values) {
    for (size_t i = 0; i < values.size(); ++i) {
        double const value = static_cast<double>(values[i]);
        // NaN is not at least anything
        bool const within = value >= spec.lowest && value <= spec.highest && std::isfinite(value);
        if (!within || !IsAmong(spec, value)) {
            throw Error("field %s holds %.9g at place %zu, which it does not take", spec.name,
                        value, i);
        }
    }
    if (values.empty()) throw Error("field %s has no elements", spec.name);
    if (LengthOf(spec) != 0) CheckCount(spec.name, values.size(), LengthOf(spec));
}

template <typename T>
std::vector<T> Copy(nvinfer1::PluginField const& field) {
    std::vector<T> values(static_cast<size_t>(field.length));
    // memcpy, as nobody promises that `data` is aligned
    if (!values.empty()) std::memcpy(values.data(), field.data, values.size() * sizeof(T));
    return values;
}

template <typename T>
std::vector<T> Defaults(FieldSpec const& spec) {
    std::vector<T> values;
    for (int32_t i = 0; i < LengthOf(spec); ++i) values.push_back(static_cast<T>(spec.defaults[i]));
    return values;
}

}  // namespace

nvinfer1::PluginFieldType TensorRtType(FieldSpec const& spec) {
    return IsFloat(spec) ? nvinfer1::PluginFieldType::kFLOAT32 : nvinfer1::PluginFieldType::kINT32;
}

Attributes::Attributes(OperatorSpec const& spec) : spec_(spec) {
    for (int32_t i = 0; i < spec.fieldCount; ++i) {
        fields_.push_back(Field{&spec.fields[i], false, {}, {}});
    }
}

Attributes::Attributes(OperatorSpec const& spec, nvinfer1::PluginFieldCollection const* collection)
    : Attributes(spec) {
    if (collection == nullptr || collection->nbFields < 0 || collection->nbFields > kMostFields ||
        (collection->nbFields > 0 && collection->fields == nullptr)) {
        throw Error("TensorRT gave no collection of fields");
    }
    for (int32_t i = 0; i < collection->nbFields; ++i) Read(collection->fields[i]);
    Complete();
}

void Attributes::Read(nvinfer1::PluginField const& from) {
    Field* const to = from.name == nullptr ? nullptr : Find(from.name);
    if (to == nullptr) return;  // plugin_version and its like are the parser's
    char const* const name = to->spec->name;
    if (to->given) throw Error("field %s is given twice", name);
    if (from.type != TensorRtType(*to->spec)) {
        throw Error("field %s has TensorRT's PluginFieldType %d, it takes %d", name,
                    static_cast<int>(from.type), static_cast<int>(TensorRtType(*to->spec)));
    }
    if (from.length < 0 || (from.length > 0 && from.data == nullptr)) {
        throw Error("field %s states %d elements and has no data", name, from.length);
    }
    if (IsFloat(*to->spec)) {
        to->floats = Copy<float>(from);
    } else {
        to->ints = Copy<int32_t>(from);
    }
    to->given = true;
}

Attributes::Attributes(OperatorSpec const& spec, void const* blob, size_t bytes, ChosenType* chosen)
    : Attributes(spec) {
    ByteReader reader(blob, bytes);
    if (reader.Get32() != kMagic) throw Error("the serialized plugin is not one of edgesynth");
    uint32_t const version = reader.Get32();
    if (version != kFormVersion) {
        throw Error(
            "the serialized plugin has form %u, this library reads %u; build the engine "
            "again with this library",
            version, kFormVersion);
    }
    uint64_t const size = reader.Get64();
    if (size != bytes) {
        throw Error("the serialized plugin states %llu bytes and has %zu",
                    static_cast<unsigned long long>(size), bytes);
    }
    if (reader.GetText() != spec.type) throw Error("the serialized plugin is of another operator");
    uint32_t const type = reader.Get32();
    if (type > kHalfCode) throw Error("the serialized plugin has activations of type %u", type);
    *chosen = ChosenType{type != 0, type == kHalfCode ? DataType::kHalf : DataType::kFloat};
    uint32_t const count = reader.Get32();
    for (uint32_t i = 0; i < count; ++i) {
        Field* const to = Find(reader.GetText());
        uint32_t const code = reader.Get32();
        uint64_t const elements = reader.Get64();
        if (to == nullptr || to->given || code != CodeOf(*to->spec)) {
            throw Error(
                "the serialized plugin has a field that this library does not know; build "
                "the engine again with this library");
        }
        if (IsFloat(*to->spec)) {
            to->floats = reader.GetArray<float>(elements);
        } else {
            to->ints = reader.GetArray<int32_t>(elements);
        }
        to->given = true;
    }
    if (reader.Left() != 0) {
        throw Error("the serialized plugin has %zu bytes too many", reader.Left());
    }
    Complete();
}

// Give absent fields their defaults, and hold all of them against the spec.
void Attributes::Complete() {
    for (Field& field : fields_) {
        FieldSpec const& spec = *field.spec;
        if (!field.given && spec.required) {
            throw Error("field %s is missing; export the network again", spec.name);
        }
        if (IsFloat(spec)) {
            if (!field.given) field.floats = Defaults<float>(spec);
            CheckElements(spec, field.floats);
        } else {
            if (!field.given) field.ints = Defaults<int32_t>(spec);
            CheckElements(spec, field.ints);
        }
    }
}

std::vector<uint8_t> Attributes::ToBlob(ChosenType chosen) const {
    uint64_t size = 4 + 4 + 8 + 4 + std::strlen(spec_.type) + 4 + 4;
    for (Field const& field : fields_) {
        size_t const count = field.ints.size() + field.floats.size();
        size += 4 + std::strlen(field.spec->name) + 4 + 8 + 4 * count;
    }
    ByteWriter writer;
    writer.Bytes().reserve(size);
    writer.Put32(kMagic);
    writer.Put32(kFormVersion);
    writer.Put64(size);
    writer.PutText(spec_.type);
    writer.Put32(!chosen.known ? 0 : chosen.type == DataType::kHalf ? kHalfCode : kFloatCode);
    writer.Put32(static_cast<uint32_t>(fields_.size()));
    for (Field const& field : fields_) {
        writer.PutText(field.spec->name);
        writer.Put32(CodeOf(*field.spec));
        writer.Put64(field.ints.size() + field.floats.size());
        writer.PutArray(field.ints);
        writer.PutArray(field.floats);
    }
    return std::move(writer.Bytes());
}

std::vector<int32_t> const& Attributes::Ints(char const* name) const {
    return Get(name, false).ints;
}

std::vector<float> const& Attributes::Floats(char const* name) const {
    return Get(name, true).floats;
}

std::vector<int32_t> const& Attributes::Ints(char const* name, int64_t count) const {
    CheckCount(name, Ints(name).size(), count);
    return Ints(name);
}

std::vector<float> const& Attributes::Floats(char const* name, int64_t count) const {
    CheckCount(name, Floats(name).size(), count);
    return Floats(name);
}

Attributes::Field const& Attributes::Get(char const* name, bool is_float) const {
    for (Field const& field : fields_) {
        if (IsFloat(*field.spec) == is_float && std::strcmp(field.spec->name, name) == 0) {
            return field;
        }
    }
    throw Error("%s has no field %s; its spec and its plugin are of different versions", spec_.type,
                name);
}

Attributes::Field* Attributes::Find(std::string const& name) {
    for (Field& field : fields_) {
        if (name == field.spec->name) return &field;
    }
    return nullptr;
}

}  // namespace plugins
}  // namespace edgesynth
