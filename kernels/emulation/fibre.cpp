#include "emulation/fibre.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#define ES_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ES_ASAN 1
#endif
#endif

#if defined(ES_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(ES_EMULATION_UCONTEXT)
// void EsSwitchStack(void** save, void* load): push what the calling convention lets a callee keep,
// store the stack pointer in *save, load the other one, pop, return there.
extern "C" void EsSwitchStack(void** save, void* load);
#endif

#if defined(ES_EMULATION_UCONTEXT)
// swapcontext does it.
#elif defined(__x86_64__)
__asm__(R"(
    .text
    .globl EsSwitchStack
    .hidden EsSwitchStack
    .type EsSwitchStack, @function
EsSwitchStack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size EsSwitchStack, .-EsSwitchStack
)");
#elif defined(__aarch64__)
__asm__(R"(
    .text
    .globl EsSwitchStack
    .hidden EsSwitchStack
    .type EsSwitchStack, %function
EsSwitchStack:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size EsSwitchStack, .-EsSwitchStack
)");
#endif

namespace edgesynth {
namespace emulation {
namespace {

#if defined(ES_ASAN)
constexpr size_t kStackBytes = 256 << 10;  // AddressSanitizer puts red zones around every array
#else
constexpr size_t kStackBytes = 128 << 10;
#endif

size_t PageBytes() {
    static size_t const bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return bytes;
}

}  // namespace

Stack::Stack(void (*entry)()) : entry_(entry) {
    void* const mapping = mmap(nullptr, kStackBytes + PageBytes(), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, PageBytes(), PROT_NONE) != 0) {
        std::perror("emulation: no memory for the stack of a thread");
        std::abort();
    }
    mapping_ = static_cast<char*>(mapping);
    context.bottom = mapping_ + PageBytes();
    context.size = kStackBytes;
    Restart();
}

Stack::~Stack() { munmap(mapping_, kStackBytes + PageBytes()); }

void Stack::Restart() {
    char* const bottom = mapping_ + PageBytes();
    context.fake_stack = nullptr;
#if defined(ES_ASAN)
    __asan_unpoison_memory_region(bottom, kStackBytes);  // the marks around abandoned variables
#endif
#if defined(ES_EMULATION_UCONTEXT)
    getcontext(&context.machine);
    context.machine.uc_stack.ss_sp = bottom;
    context.machine.uc_stack.ss_size = kStackBytes;
    context.machine.uc_link = nullptr;
    makecontext(&context.machine, entry_, 0);
#else
    uintptr_t* top = reinterpret_cast<uintptr_t*>(bottom + kStackBytes);
#if defined(__x86_64__)
    *--top = 0;  // the "return address" of `entry_`, which also aligns its frame
    *--top = reinterpret_cast<uintptr_t>(entry_);
    for (int i = 0; i < 6; ++i) *--top = 0;
#else
    for (int i = 0; i < 20; ++i) *--top = 0;
    top[11] = reinterpret_cast<uintptr_t>(entry_);  // x30, the link register
#endif
    context.stack_pointer = top;
#endif
}

void Switch(Context* from, Context* to, bool ends) {
#if defined(ES_ASAN)
    __sanitizer_start_switch_fiber(ends ? nullptr : &from->fake_stack, to->bottom, to->size);
#else
    (void)ends;
#endif
#if defined(ES_EMULATION_UCONTEXT)
    swapcontext(&from->machine, &to->machine);
#else
    EsSwitchStack(&from->stack_pointer, to->stack_pointer);
#endif
#if defined(ES_ASAN)
    __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#endif
}

void FinishFirstSwitch(Context* previous) {
#if defined(ES_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &previous->bottom, &previous->size);
#else
    (void)previous;
#endif
}

}  // namespace emulation
}  // namespace edgesynth
