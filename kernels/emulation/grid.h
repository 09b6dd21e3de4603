// How a launch runs on the host: block after block, the threads of a block as fibres.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulation/types.h"

namespace edgesynth {
namespace emulation {

// In which order threads (and blocks) get their turns. A correct kernel gives the same result in
// every order; one that forgot a barrier rarely does.
enum class Order { kForward, kReverse, kRandom };

// For all launches of the process from here on. `seed` matters for kRandom only.
void SetOrder(Order order, uint64_t seed = 0);

// What was wrong with the last launch; empty if nothing was. Valid until the next one.
char const* LastMessage();

// A place in a kernel's source, for messages and to tell barriers apart.
struct Site {
    char const* file;
    int line;
};

// Run `call(closure)` as every thread of the grid.
// cudaErrorInvalidConfiguration: no GPU of compute capability 5.3 could launch this.
// cudaErrorLaunchFailure: threads disagreed at a barrier or warp intrinsic; see LastMessage().
cudaError_t RunGrid(dim3 grid, dim3 block, size_t shared_bytes, void (*call)(void*), void* closure);

// What device code calls, through emulation/device.h.
void SyncThreads(Site site);
int SyncThreadsCount(Site site, bool predicate);
void MayYield();  // another thread may run here; what atomics do in random order
void* DynamicShared(Site site);
void* StaticShared(void const* key, size_t bytes, size_t alignment, Site site);

// Hand `value` to the warp and get those of all 32 lanes. All lanes must take part.
uint64_t const* ExchangeInWarp(unsigned int mask, uint64_t value, char const* what, Site site);
int LaneOfCurrentThread();

}  // namespace emulation
}  // namespace edgesynth
