#include "plugins/operators.h"

#include <cstring>

#include "plugins/error.h"

namespace edgesynth {
namespace plugins {

OperatorSpec const& SpecOf(char const* type) {
    for (OperatorSpec const& spec : kOperators) {
        if (std::strcmp(spec.type, type) == 0) return spec;
    }
    throw Error("operator %s has no spec", type);
}

std::vector<OperatorKind const*> const& Operators() {
    static std::vector<OperatorKind const*> const operators = {
        &ExitGateKind(),
    };
    return operators;
}

}  // namespace plugins
}  // namespace edgesynth
