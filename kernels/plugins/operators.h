// Every operator of this library.
#pragma once

#include <vector>

#include "plugins/operator.h"

namespace edgesynth {
namespace plugins {

// Each in the file of its name.
std::vector<OperatorKind> const& EffortKinds();
std::vector<OperatorKind> const& ExitGateKinds();
std::vector<OperatorKind> const& PackedKinds();
std::vector<OperatorKind> const& SparseKinds();

// All of them, in the order in which they are registered.
std::vector<OperatorKind const*> const& Operators();

}  // namespace plugins
}  // namespace edgesynth
