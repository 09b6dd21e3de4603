// Stacks that take turns on one operating system thread.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) && !defined(__aarch64__)
#define ES_EMULATION_UCONTEXT 1  // slow (a system call per switch), but everywhere
#endif

#if defined(ES_EMULATION_UCONTEXT)
#include <ucontext.h>
#endif

namespace edgesynth {
namespace emulation {

// Where a stack stands while another one runs.
struct Context {
#if defined(ES_EMULATION_UCONTEXT)
    ucontext_t machine;
#else
    void* stack_pointer = nullptr;
#endif
    void* fake_stack = nullptr;  // AddressSanitizer's, of the functions on this stack
    void const* bottom = nullptr;
    size_t size = 0;
};

// A stack with a guard page below it: overflowing it faults instead of corrupting a neighbour.
class Stack {
  public:
    // The first switch to `context` calls `entry`, which must never return.
    explicit Stack(void (*entry)());
    ~Stack();
    Stack(Stack const&) = delete;
    Stack& operator=(Stack const&) = delete;

    // Forget what runs on it; the next switch to `context` calls `entry` again.
    void Restart();

    Context context;

  private:
    char* mapping_;
    void (*entry_)();
};

// Save where we are in `from` and go on at `to`. `ends`: nobody will switch to `from` again.
void Switch(Context* from, Context* to, bool ends);

// To be called first by every entry function; `previous` is the context that switched here.
void FinishFirstSwitch(Context* previous);

}  // namespace emulation
}  // namespace edgesynth
