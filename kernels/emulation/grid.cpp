#include "emulation/grid.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "emulation/fibre.h"
#include "emulation/ready_queue.h"
#include "emulation/runtime.h"
#include "emulation/shared_memory.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace edgesynth {
namespace emulation {
namespace {

constexpr int kWarp = 32;

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

bool SameSite(Site a, Site b) {
    return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

void RunThreads();

// What runs the blocks, one after another: there is one, and one launch at a time.
class Machine {
  public:
    cudaError_t Launch(dim3 grid, dim3 block, size_t dynamic_bytes, void (*function)(void*),
                       void* argument);

    // Give up the current thread's turn in `state`; returns when it has been made ready and chosen.
    void Wait(State state, Site site);

    int SyncThreads(Site site, bool predicate);
    uint64_t const* ExchangeInWarp(uint64_t value, char const* what, Site site);

    // `format` is printf's, after "thread (x,y,z) of block (x,y,z)". Does not return: the block is
    // abandoned with all its stacks, so nothing on those may own memory.
    void Fail(char const* format, ...) __attribute__((format(printf, 2, 3)));

    Thread const& current() const { return *current_; }
    size_t threads() const { return threads_.size(); }

    std::mutex mutex;
    Order order = Order::kForward;
    Shuffler shuffler{0};
    SharedMemory shared;
    char message[512] = "";

  private:
    friend void RunThreads();

    void Run();  // the body of every stack
    void RunBlock(uint3 index);
    void Start(dim3 block);
    void RestartStacks();

    Thread* PickReady() { return ready_.empty() ? nullptr : ready_.Pop(order, &shuffler); }
    void MakeReady(Thread* thread, State from);
    void Enter(Thread* thread);
    void TurnTo(Thread* next, Context* from);
    void FailDeadlocked();

    void (*call_)(void*) = nullptr;
    void* closure_ = nullptr;
    size_t dynamic_bytes_ = 0;
    bool failed_ = false;

    std::vector<Thread> threads_;
    std::vector<Warp> warps_;
    ReadyQueue<Thread> ready_;
    Thread* current_ = nullptr;
    int at_barrier_ = 0;
    int barrier_count_ = 0;  // of the predicates that were true
    int barrier_result_ = 0;
    Site barrier_site_{};
    int done_ = 0;

    std::vector<std::unique_ptr<Stack>> stacks_;
    std::vector<Stack*> free_stacks_;
    Context main_;
    Context nobody_;     // receives the bounds of a stack that we know already
    Context abandoned_;  // where a failed block stopped
    bool entered_from_main_ = false;
    void const* owner_ = nullptr;  // something that only the host thread of the last launch has
};

Machine& TheMachine() {
    static Machine* machine = new Machine;  // never destroyed: host threads may outlive main()
    return *machine;
}

void Machine::Fail(char const* format, ...) {
    uint3 const at = current_->index;
    int const used =
        std::snprintf(message, sizeof(message), "thread (%u,%u,%u) of block (%u,%u,%u) ", at.x,
                      at.y, at.z, blockIdx.x, blockIdx.y, blockIdx.z);
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message + used, sizeof(message) - static_cast<size_t>(used), format, arguments);
    va_end(arguments);
    failed_ = true;
    Switch(&abandoned_, &main_, true);
    std::abort();  // an abandoned thread is never resumed
}

void Machine::FailDeadlocked() {
    int at_barrier = 0, in_warp = 0;
    for (Thread& thread : threads_) {
        at_barrier += thread.state == State::kAtBarrier ? 1 : 0;
        in_warp += thread.state == State::kInWarp ? 1 : 0;
        if (thread.state != State::kDone) current_ = &thread;
    }
    Fail(
        "waits for ever in %s:%d: %d threads are at a barrier, %d in a warp intrinsic, %d have "
        "left the kernel",
        current_->site.file, current_->site.line, at_barrier, in_warp, done_);
}

void Machine::MakeReady(Thread* thread, State from) {
    if (thread->state != from) return;
    thread->state = State::kReady;
    ready_.Push(thread);
}

void Machine::Enter(Thread* thread) {
    current_ = thread;
    threadIdx = thread->index;
}

void Machine::TurnTo(Thread* next, Context* from) {
    Enter(next);
    if (next->stack == nullptr) {
        if (free_stacks_.empty()) {
            stacks_.emplace_back(new Stack(RunThreads));
            free_stacks_.push_back(stacks_.back().get());
        }
        next->stack = free_stacks_.back();
        free_stacks_.pop_back();
    }
    Switch(from, &next->stack->context, false);
}

void Machine::Wait(State state, Site site) {
    Thread* const self = current_;
    if (state == State::kReady) ready_.Push(self);
    self->state = state;
    self->site = site;
    Thread* const next = PickReady();
    if (next == nullptr) FailDeadlocked();
    if (next == self) {
        Enter(self);
    } else {
        TurnTo(next, &self->stack->context);
    }
}

int Machine::SyncThreads(Site site, bool predicate) {
    if (at_barrier_ == 0) {
        barrier_site_ = site;
    } else if (!SameSite(barrier_site_, site)) {
        Fail("is at the barrier in %s:%d, others at the one in %s:%d", site.file, site.line,
             barrier_site_.file, barrier_site_.line);
    }
    barrier_count_ += predicate ? 1 : 0;
    if (++at_barrier_ < static_cast<int>(threads_.size())) {
        Wait(State::kAtBarrier, site);
        return barrier_result_;
    }
    barrier_result_ = barrier_count_;
    at_barrier_ = barrier_count_ = 0;
    for (size_t i = 0; i < threads_.size(); ++i) {
        size_t const at = order == Order::kReverse ? threads_.size() - 1 - i : i;
        MakeReady(&threads_[at], State::kAtBarrier);
    }
    Wait(State::kReady, site);
    return barrier_result_;
}

uint64_t const* Machine::ExchangeInWarp(uint64_t value, char const* what, Site site) {
    int const lane = current_->linear % kWarp;
    Thread* const first = current_ - lane;
    Warp& warp = warps_[static_cast<size_t>(current_->linear / kWarp)];
    if (warp.arrived == 0) {
        warp.what = what;
        warp.site = site;
    } else if (warp.what != what || !SameSite(warp.site, site)) {
        Fail("calls %s in %s:%d, others of its warp %s in %s:%d", what, site.file, site.line,
             warp.what, warp.site.file, warp.site.line);
    }
    int const parity = warp.parity;
    warp.slots[parity][lane] = value;
    if (++warp.arrived < kWarp) {
        Wait(State::kInWarp, site);
    } else {
        warp.arrived = 0;
        warp.parity = 1 - parity;
        for (int i = 0; i < kWarp; ++i) {
            MakeReady(first + (order == Order::kReverse ? kWarp - 1 - i : i), State::kInWarp);
        }
        Wait(State::kReady, site);
    }
    return warp.slots[parity];
}

void RunThreads() { TheMachine().Run(); }

// Run the current thread, then as many fresh ones as come next, so that threads which never wait
// cost a function call each; then lie idle until there is a new one.
void Machine::Run() {
    FinishFirstSwitch(entered_from_main_ ? &main_ : &nobody_);
    for (;;) {
        entered_from_main_ = false;
        call_(closure_);
        Stack* const stack = current_->stack;
        current_->state = State::kDone;
        current_->stack = nullptr;
        ++done_;
        Thread* const next = PickReady();
        if (next == nullptr && done_ < static_cast<int>(threads_.size())) FailDeadlocked();
        if (next != nullptr && next->stack == nullptr) {
            next->stack = stack;
            Enter(next);
            continue;
        }
        free_stacks_.push_back(stack);
        if (next != nullptr) {
            TurnTo(next, &stack->context);
        } else {
            Switch(&stack->context, &main_, false);
        }
    }
}

void Machine::Start(dim3 block) {
    size_t const count = static_cast<size_t>(block.x) * block.y * block.z;
    threads_.assign(count, Thread());
    warps_.assign((count + kWarp - 1) / kWarp, Warp());
    ready_.Reset(count);
    at_barrier_ = barrier_count_ = done_ = 0;
    for (size_t i = 0; i < count; ++i) {
        unsigned int const linear = static_cast<unsigned int>(i);
        threads_[i].linear = static_cast<int>(i);
        threads_[i].index =
            uint3{linear % block.x, linear / block.x % block.y, linear / block.x / block.y};
        ready_.Push(&threads_[order == Order::kReverse ? count - 1 - i : i]);
    }
    shared.Start(dynamic_bytes_);
}

void Machine::RunBlock(uint3 index) {
    blockIdx = index;
    Start(blockDim);
    entered_from_main_ = true;
    TurnTo(PickReady(), &main_);
    if (failed_) RestartStacks();
}

void Machine::RestartStacks() {
    free_stacks_.clear();
    for (std::unique_ptr<Stack> const& stack : stacks_) {
        stack->Restart();
        free_stacks_.push_back(stack.get());
    }
}

bool Launchable(dim3 grid, dim3 block, size_t shared) {
    uint64_t const threads = static_cast<uint64_t>(block.x) * block.y * block.z;
    return grid.x >= 1 && grid.x <= 0x7FFFFFFFu && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 &&
           grid.z <= 65535 && block.x <= 1024 && block.y <= 1024 && block.z <= 64 && threads >= 1 &&
           threads <= 1024 && shared <= kSharedLimit;
}

cudaError_t Machine::Launch(dim3 grid, dim3 block, size_t dynamic_bytes, void (*function)(void*),
                            void* argument) {
    message[0] = 0;
    if (!Launchable(grid, block, dynamic_bytes)) {
        std::snprintf(message, sizeof(message),
                      "impossible launch: grid %ux%ux%u, block %ux%ux%u, %zu bytes shared", grid.x,
                      grid.y, grid.z, block.x, block.y, block.z, dynamic_bytes);
        return cudaErrorInvalidConfiguration;
    }
    static thread_local char host_thread;
    if (owner_ != &host_thread) RestartStacks();  // they know the stack of the last caller
    owner_ = &host_thread;
    gridDim = grid;
    blockDim = block;
    dynamic_bytes_ = dynamic_bytes;
    call_ = function;
    closure_ = argument;
    failed_ = false;
    uint64_t const blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
    uint64_t const offset = order == Order::kRandom ? shuffler.Below(blocks) : 0;
    for (uint64_t i = 0; i < blocks && !failed_; ++i) {
        uint64_t const at = order == Order::kReverse ? blocks - 1 - i : (i + offset) % blocks;
        RunBlock(uint3{static_cast<unsigned int>(at % grid.x),
                       static_cast<unsigned int>(at / grid.x % grid.y),
                       static_cast<unsigned int>(at / grid.x / grid.y)});
    }
    shared.Start(0);
    return failed_ ? cudaErrorLaunchFailure : cudaSuccess;
}

}  // namespace

void SetOrder(Order order, uint64_t seed) {
    Machine& machine = TheMachine();
    std::lock_guard<std::mutex> lock(machine.mutex);
    machine.order = order;
    machine.shuffler = Shuffler(seed);
}

char const* LastMessage() { return TheMachine().message; }

cudaError_t RunGrid(dim3 grid, dim3 block, size_t shared_bytes, void (*call)(void*),
                    void* closure) {
    Machine& machine = TheMachine();
    std::lock_guard<std::mutex> lock(machine.mutex);
    return SetLastError(machine.Launch(grid, block, shared_bytes, call, closure));
}

int SyncThreadsCount(Site site, bool predicate) {
    return TheMachine().SyncThreads(site, predicate);
}

void SyncThreads(Site site) { TheMachine().SyncThreads(site, false); }

void MayYield() {
    Machine& machine = TheMachine();
    if (machine.order != Order::kRandom || machine.shuffler.Below(4) != 0) return;
    machine.Wait(State::kReady, Site{"an atomic operation", 0});
}

int LaneOfCurrentThread() { return TheMachine().current().linear % kWarp; }

uint64_t const* ExchangeInWarp(unsigned int mask, uint64_t value, char const* what, Site site) {
    Machine& machine = TheMachine();
    size_t const past_warp = static_cast<size_t>(machine.current().linear / kWarp + 1) * kWarp;
    if (mask != 0xFFFFFFFFu || past_warp > machine.threads()) {
        machine.Fail("calls %s in %s:%d, which needs a full mask and a warp of 32 threads", what,
                     site.file, site.line);
    }
    return machine.ExchangeInWarp(value, what, site);
}

void* DynamicShared(Site site) {
    Machine& machine = TheMachine();
    void* const memory = machine.shared.Dynamic();
    if (memory == nullptr) {
        machine.Fail("uses dynamic shared memory in %s:%d, but was launched with none", site.file,
                     site.line);
    }
    return memory;
}

void* StaticShared(void const* key, size_t bytes, size_t alignment, Site site) {
    Machine& machine = TheMachine();
    void* const memory = machine.shared.Static(key, bytes, alignment);
    if (memory == nullptr) {
        machine.Fail("needs %zu bytes more in %s:%d than the %zu of shared memory", bytes,
                     site.file, site.line, kSharedLimit);
    }
    return memory;
}

}  // namespace emulation
}  // namespace edgesynth
