// What the tests of plugins share: a check for every node in both generations of the interface, and
// what was logged meanwhile.
#pragma once

#include <memory>
#include <vector>

#include "plugins/tests/shell.h"
#include "plugins/tests/world.h"
#include "testing/testing.h"

namespace edgesynth {
namespace plugins {

bool IsFloating(Role role);

// Descriptions of tensors with these shapes, as the format search would end.
Descs DescsOf(std::vector<Role> const& roles, std::vector<std::vector<int64_t>> const& shapes,
              nvinfer1::DataType type = nvinfer1::DataType::kFLOAT);

// The sample's plugin, null where it is refused.
std::unique_ptr<Shell> Create(ShellKind const& shell, Sample const& sample);

// For every sample in every generation.
void ForAll(void (*check)(ShellKind const&, Sample const&));

// An error about `what` was logged, once and with the operator's name; and no other.
void ExpectError(ShellKind const& shell, Sample const& sample, char const* what);
void ExpectNoError(ShellKind const& shell, Sample const& sample);

}  // namespace plugins
}  // namespace edgesynth
