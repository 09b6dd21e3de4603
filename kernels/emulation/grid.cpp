#include "emulation/grid.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "emulation/fibre.h"
#include "emulation/runtime.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace edgesynth {
namespace emulation {
namespace {

constexpr int kWarp = 32;
constexpr size_t kSharedLimit = 48 << 10;  // of one block, on every GPU without opting in

enum class State { kNew, kReady, kAtBarrier, kInWarp, kDone };

struct Thread {
    State state = State::kNew;
    uint3 index{};
    int linear = 0;
    Stack* stack = nullptr;
    Site site{};
};

// An exchange between the lanes of one warp. Two sets of slots take turns, so that a fast lane can
// begin the next exchange while slow ones still read this one.
struct Warp {
    int arrived = 0;
    int parity = 0;
    char const* what = nullptr;
    Site site{};
    uint64_t slots[2][kWarp] = {};
};

struct SharedArray {
    void const* key;
    std::unique_ptr<char[]> memory;
    char* aligned;
    size_t bytes;
};

// splitmix64 (Steele, Lea, Flood 2014): good enough to shuffle, and the same everywhere.
struct Shuffler {
    uint64_t state = 0;
    uint64_t Below(uint64_t bound) {
        uint64_t z = (state += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return (z ^ (z >> 31)) % bound;
    }
};

// The threads that may run, first come first served. A thread is in it at most once.
class Queue {
  public:
    void Reset(size_t capacity) {
        slots_.resize(capacity);
        first_ = count_ = 0;
    }
    size_t size() const { return count_; }
    Thread*& At(size_t i) { return slots_[(first_ + i) % slots_.size()]; }
    void Push(Thread* thread) {
        ++count_;
        At(count_ - 1) = thread;
    }
    Thread* Pop() {
        Thread* const thread = At(0);
        first_ = (first_ + 1) % slots_.size();
        --count_;
        return thread;
    }

  private:
    std::vector<Thread*> slots_;
    size_t first_ = 0;
    size_t count_ = 0;
};

void RunThreads();

class Machine {
  public:
    std::mutex mutex;  // one launch at a time
    Order order = Order::kForward;
    Shuffler shuffler;
    char message[512] = "";

    cudaError_t Launch(dim3 grid, dim3 block, size_t shared, void (*call)(void*), void* closure);

    // Give up this thread's turn in `state`; returns when it is ready again and chosen.
    void Wait(State state, Site site);
    Thread* PickReady();
    void MakeReady(Thread* thread, State from);
    void ReleaseBarrier();
    // `format` is printf's, after "thread (x,y,z) of block (x,y,z)". Does not return: the block is
    // abandoned with all its stacks, so nothing here may own memory.
    void Fail(char const* format, ...) __attribute__((format(printf, 2, 3)));
    void FailDeadlocked();
    void Enter(Thread* thread);
    void TurnTo(Thread* next, Context* from);
    void RestartStacks();

    Context main;
    Thread* current = nullptr;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    Queue ready;
    int at_barrier = 0;
    int barrier_count = 0;  // of the predicates that were true
    int barrier_result = 0;
    Site barrier_site{};
    int done = 0;
    void (*call)(void*) = nullptr;
    void* closure = nullptr;
    std::vector<Stack*> free_stacks;
    std::unique_ptr<char[]> dynamic_shared;
    std::vector<SharedArray> static_shared;
    size_t dynamic_bytes = 0;
    bool failed = false;
    bool entered_from_main = false;
    void const* owner = nullptr;  // something that only the host thread of the last launch has
    Context nobody;               // receives the bounds of a stack that we know already
    Context abandoned;            // where a failed block stopped

  private:
    void RunBlock(uint3 index);
    void Start(dim3 block);
    std::vector<std::unique_ptr<Stack>> stacks_;
    friend void RunThreads();
};

Machine& TheMachine() {
    static Machine* machine = new Machine;  // never destroyed: host threads may outlive main()
    return *machine;
}

void Machine::FailDeadlocked() {
    int count[5] = {};
    for (Thread const& thread : threads) ++count[static_cast<int>(thread.state)];
    for (Thread& thread : threads) {
        if (thread.state != State::kDone) current = &thread;
    }
    Fail(
        "waits for ever in %s:%d: %d threads are at a barrier, %d in a warp intrinsic, %d have "
        "left the kernel",
        current->site.file, current->site.line, count[static_cast<int>(State::kAtBarrier)],
        count[static_cast<int>(State::kInWarp)], count[static_cast<int>(State::kDone)]);
}

Thread* Machine::PickReady() {
    if (ready.size() == 0) return nullptr;
    if (order == Order::kRandom) std::swap(ready.At(0), ready.At(shuffler.Below(ready.size())));
    return ready.Pop();
}

void Machine::MakeReady(Thread* thread, State from) {
    if (thread->state != from) return;
    thread->state = State::kReady;
    ready.Push(thread);
}

void Machine::Enter(Thread* thread) {
    current = thread;
    threadIdx = thread->index;
}

void Machine::TurnTo(Thread* next, Context* from) {
    Enter(next);
    if (next->stack == nullptr) {
        if (free_stacks.empty()) {
            stacks_.emplace_back(new Stack(RunThreads));
            free_stacks.push_back(stacks_.back().get());
        }
        next->stack = free_stacks.back();
        free_stacks.pop_back();
    }
    Switch(from, &next->stack->context, false);
}

void Machine::Wait(State state, Site site) {
    Thread* const self = current;
    self->state = state;
    self->site = site;
    if (state == State::kReady) ready.Push(self);
    Thread* const next = PickReady();
    if (next == nullptr) FailDeadlocked();
    if (next == self) {
        Enter(self);
        return;
    }
    TurnTo(next, &self->stack->context);
}

void Machine::Fail(char const* format, ...) {
    uint3 const at = current->index;
    int const used =
        std::snprintf(message, sizeof(message), "thread (%u,%u,%u) of block (%u,%u,%u) ", at.x,
                      at.y, at.z, blockIdx.x, blockIdx.y, blockIdx.z);
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message + used, sizeof(message) - static_cast<size_t>(used), format, arguments);
    va_end(arguments);
    failed = true;
    Switch(&abandoned, &main, true);
    std::abort();  // an abandoned thread is never resumed
}

void Machine::ReleaseBarrier() {
    barrier_result = barrier_count;
    at_barrier = 0;
    barrier_count = 0;
    if (order == Order::kReverse) {
        for (size_t i = threads.size(); i-- > 0;) MakeReady(&threads[i], State::kAtBarrier);
    } else {
        for (Thread& thread : threads) MakeReady(&thread, State::kAtBarrier);
    }
}

// The body of every stack: run the current thread, then as many fresh ones as come next, so that
// threads which never wait cost a function call each; then lie idle until there is a new one.
void RunThreads() {
    Machine& machine = TheMachine();
    FinishFirstSwitch(machine.entered_from_main ? &machine.main : &machine.nobody);
    for (;;) {
        machine.entered_from_main = false;
        machine.call(machine.closure);
        Thread* const self = machine.current;
        Stack* const stack = self->stack;
        self->state = State::kDone;
        self->stack = nullptr;
        ++machine.done;
        Thread* const next = machine.PickReady();
        if (next == nullptr && machine.done < static_cast<int>(machine.threads.size())) {
            machine.FailDeadlocked();
        }
        if (next != nullptr && next->stack == nullptr) {
            next->stack = stack;
            machine.Enter(next);
            continue;
        }
        machine.free_stacks.push_back(stack);
        if (next != nullptr) {
            machine.TurnTo(next, &stack->context);
        } else {
            Switch(&stack->context, &machine.main, false);
        }
    }
}

void Machine::Start(dim3 block) {
    size_t const count = static_cast<size_t>(block.x) * block.y * block.z;
    threads.assign(count, Thread());
    warps.assign((count + kWarp - 1) / kWarp, Warp());
    ready.Reset(count);
    at_barrier = barrier_count = done = 0;
    for (size_t i = 0; i < count; ++i) {
        Thread& thread = threads[i];
        unsigned int const linear = static_cast<unsigned int>(i);
        thread.linear = static_cast<int>(i);
        thread.index =
            uint3{linear % block.x, linear / block.x % block.y, linear / block.x / block.y};
    }
    for (size_t i = 0; i < count; ++i) {
        ready.Push(&threads[order == Order::kReverse ? count - 1 - i : i]);
    }
    static_shared.clear();
    if (dynamic_bytes > 0) {
        dynamic_shared.reset(new char[dynamic_bytes]);
        std::memset(dynamic_shared.get(), 0xFF, dynamic_bytes);
    }
}

void Machine::RunBlock(uint3 index) {
    blockIdx = index;
    Start(blockDim);
    entered_from_main = true;
    TurnTo(PickReady(), &main);
    if (failed) RestartStacks();
}

void Machine::RestartStacks() {
    free_stacks.clear();
    for (std::unique_ptr<Stack> const& stack : stacks_) {
        stack->Restart();
        free_stacks.push_back(stack.get());
    }
}

bool Launchable(dim3 grid, dim3 block, size_t shared) {
    uint64_t const threads = static_cast<uint64_t>(block.x) * block.y * block.z;
    return grid.x >= 1 && grid.x <= 0x7FFFFFFFu && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 &&
           grid.z <= 65535 && block.x <= 1024 && block.y <= 1024 && block.z <= 64 && threads >= 1 &&
           threads <= 1024 && shared <= kSharedLimit;
}

cudaError_t Machine::Launch(dim3 grid, dim3 block, size_t shared, void (*function)(void*),
                            void* argument) {
    message[0] = 0;
    if (!Launchable(grid, block, shared)) {
        std::snprintf(message, sizeof(message),
                      "impossible launch: grid %ux%ux%u, block %ux%ux%u, %zu bytes shared", grid.x,
                      grid.y, grid.z, block.x, block.y, block.z, shared);
        return cudaErrorInvalidConfiguration;
    }
    static thread_local char host_thread;
    if (owner != &host_thread) RestartStacks();  // they know the stack of the last caller
    owner = &host_thread;
    gridDim = grid;
    blockDim = block;
    dynamic_bytes = shared;
    call = function;
    closure = argument;
    failed = false;
    uint64_t const blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
    uint64_t const offset = order == Order::kRandom ? shuffler.Below(blocks) : 0;
    for (uint64_t i = 0; i < blocks && !failed; ++i) {
        uint64_t const at = order == Order::kReverse ? blocks - 1 - i : (i + offset) % blocks;
        RunBlock(uint3{static_cast<unsigned int>(at % grid.x),
                       static_cast<unsigned int>(at / grid.x % grid.y),
                       static_cast<unsigned int>(at / grid.x / grid.y)});
    }
    static_shared.clear();
    dynamic_shared.reset();
    return failed ? cudaErrorLaunchFailure : cudaSuccess;
}

bool SameSite(Site a, Site b) {
    return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

}  // namespace

void SetOrder(Order order, uint64_t seed) {
    Machine& machine = TheMachine();
    std::lock_guard<std::mutex> lock(machine.mutex);
    machine.order = order;
    machine.shuffler.state = seed;
}

char const* LastMessage() { return TheMachine().message; }

cudaError_t RunGrid(dim3 grid, dim3 block, size_t shared_bytes, void (*call)(void*),
                    void* closure) {
    Machine& machine = TheMachine();
    std::lock_guard<std::mutex> lock(machine.mutex);
    return SetLastError(machine.Launch(grid, block, shared_bytes, call, closure));
}

int SyncThreadsCount(Site site, bool predicate) {
    Machine& machine = TheMachine();
    if (machine.at_barrier == 0) {
        machine.barrier_site = site;
    } else if (!SameSite(machine.barrier_site, site)) {
        machine.Fail("is at the barrier in %s:%d, others at the one in %s:%d", site.file, site.line,
                     machine.barrier_site.file, machine.barrier_site.line);
    }
    machine.barrier_count += predicate ? 1 : 0;
    if (++machine.at_barrier < static_cast<int>(machine.threads.size())) {
        machine.Wait(State::kAtBarrier, site);
    } else {
        machine.current->state = State::kAtBarrier;
        machine.ReleaseBarrier();
        Thread* const self = machine.current;
        Thread* const next = machine.PickReady();
        if (next == self) {
            machine.Enter(self);
        } else {
            machine.TurnTo(next, &self->stack->context);
        }
    }
    return machine.barrier_result;
}

void SyncThreads(Site site) { SyncThreadsCount(site, false); }

void MayYield() {
    Machine& machine = TheMachine();
    if (machine.order != Order::kRandom || machine.shuffler.Below(4) != 0) return;
    machine.Wait(State::kReady, Site{"an atomic operation", 0});
}

int LaneOfCurrentThread() { return TheMachine().current->linear % kWarp; }

uint64_t const* ExchangeInWarp(unsigned int mask, uint64_t value, char const* what, Site site) {
    Machine& machine = TheMachine();
    Thread* const self = machine.current;
    int const first = self->linear / kWarp * kWarp;
    if (mask != 0xFFFFFFFFu || first + kWarp > static_cast<int>(machine.threads.size())) {
        machine.Fail("calls %s in %s:%d, which needs a full mask and a warp of 32 threads", what,
                     site.file, site.line);
    }
    Warp& warp = machine.warps[static_cast<size_t>(first / kWarp)];
    if (warp.arrived == 0) {
        warp.what = what;
        warp.site = site;
    } else if (warp.what != what || !SameSite(warp.site, site)) {
        machine.Fail("calls %s in %s:%d, others of its warp %s in %s:%d", what, site.file,
                     site.line, warp.what, warp.site.file, warp.site.line);
    }
    int const parity = warp.parity;
    warp.slots[parity][self->linear - first] = value;
    if (++warp.arrived < kWarp) {
        machine.Wait(State::kInWarp, site);
    } else {
        warp.arrived = 0;
        warp.parity = 1 - parity;
        for (int i = 0; i < kWarp; ++i) {
            int const lane = machine.order == Order::kReverse ? kWarp - 1 - i : i;
            machine.MakeReady(&machine.threads[static_cast<size_t>(first + lane)], State::kInWarp);
        }
        machine.Wait(State::kReady, site);
    }
    return warp.slots[parity];
}

void* DynamicShared(Site site) {
    Machine& machine = TheMachine();
    if (machine.dynamic_bytes == 0) {
        machine.Fail("uses dynamic shared memory in %s:%d, but was launched with none", site.file,
                     site.line);
    }
    return machine.dynamic_shared.get();
}

void* StaticShared(void const* key, size_t bytes, size_t alignment, Site site) {
    Machine& machine = TheMachine();
    size_t total = machine.dynamic_bytes + bytes;
    for (SharedArray const& array : machine.static_shared) {
        if (array.key == key) return array.aligned;
        total += array.bytes;
    }
    if (total > kSharedLimit) {
        machine.Fail(
            "brings the shared memory of its block to %zu bytes in %s:%d; the limit is %zu", total,
            site.file, site.line, kSharedLimit);
    }
    // new[] aligns to 16; the slack for more lies in front, where nothing of the kernel's may be
    std::unique_ptr<char[]> memory(new char[bytes + alignment]);
    char* const end = memory.get() + alignment + bytes;
    char* const aligned = end - bytes - reinterpret_cast<uintptr_t>(end - bytes) % alignment;
    std::memset(aligned, 0xFF, bytes);
    machine.static_shared.push_back(SharedArray{key, std::move(memory), aligned, bytes});
    return aligned;
}

}  // namespace emulation
}  // namespace edgesynth
