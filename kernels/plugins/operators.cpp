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
    static std::vector<OperatorKind const*> const operators = [] {
        std::vector<OperatorKind const*> found;
        for (auto const* const kinds :
             {&SparseKinds(), &PackedKinds(), &EffortKinds(), &ExitGateKinds()}) {
            for (OperatorKind const& kind : *kinds) found.push_back(&kind);
        }
        return found;
    }();
    return operators;
}

}  // namespace plugins
}  // namespace edgesynth
