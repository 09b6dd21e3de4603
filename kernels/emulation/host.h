// What the emulation tells Python besides the operators' results (common/entries.h).
#pragma once

#include "common/entries.h"

// Why the last call failed where the emulation knows more than the code; else an empty string.
ES_ENTRY char const* es_host_message();

// The name of a cudaError_t.
ES_ENTRY char const* es_host_error_name(int32_t error);

// For all calls from here on: 0 forward, 1 reverse, 2 random with this seed.
ES_ENTRY int32_t es_host_set_order(int32_t order, uint64_t seed);
