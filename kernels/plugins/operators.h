// Every operator of this library.
#pragma once

#include <vector>

#include "plugins/operator.h"

namespace edgesynth {
namespace plugins {

OperatorKind const& ExitGateKind();

// All of them, in the order in which they are registered.
std::vector<OperatorKind const*> const& Operators();

}  // namespace plugins
}  // namespace edgesynth
