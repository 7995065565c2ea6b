/* SPDX-License-Identifier: MIT */
/*
 * Contexts: the only place in the runtime where the stack pointer changes hands.
 *
 *   struct context            a suspended flow of control: where it goes on, and with which stack
 *     context_make()          one that will start entry(arg) on a stack of its own
 *     context_make_thread()   one to suspend the calling thread's own stack into
 *     context_switch()        suspend this flow, go on with another, come back with a value
 *     context_exit()          the same for the last time: nothing is kept to come back to
 *     context_destroy()       tell the tools that the flow is gone
 *
 * The switch is inline assembly, not a function. It saves stack pointer, frame pointer, one base
 * register and the address to go on at; it declares every other register clobbered, so the
 * compiler spills what is live there and nothing else. An out-of-line switch which pushes the
 * six callee-saved registers and ends in pop + jmp costs three times as much from fiber to
 * fiber. Neither form ends in `ret`: the return predictor would be wrong every time. A call
 * whose return is never executed would also leave a stale entry behind for the next real
 * return; the inline form makes none.
 *
 * What is kept across a switch, and what is not. Shown by tests alone:
 *   [CTX-1] every register that the ABI says survives a call survives a switch; so does
 *           everything else the compiler believes to be live.
 *   [CTX-2] the floating point control words (x87 CW, MXCSR, FPCR) belong to the thread, not to
 *           the context: a flow that changes the rounding mode restores it before it suspends.
 *           Saving them costs more than the rest of the switch.
 *   [CTX-3] a context goes on only on the thread that suspended it: compilers cache the
 *           addresses of thread-local variables across a switch.
 *   [CTX-4] nothing below the stack pointer is written: the red zone of the suspending function
 *           stays whole.
 *   [CTX-5] entry() is called with the stack aligned to 16 bytes as after any call, and it never
 *           returns; if it does, the program traps at once.
 *   [CTX-6] the first frame says "no caller" to unwinders (undefined return address, zero frame
 *           pointer): a debugger's backtrace ends there, and a C++ exception that leaves entry()
 *           terminates the program. Exceptions may be thrown and caught between two switches; a
 *           flow that suspends with one in its hands is exceptions.h's business.
 *   [CTX-7] hardware shadow stacks are not switched. The object of context_start.S withholds the
 *           shadow-stack property, and the linker passes on only what every object has, so a
 *           program that contains it is never started with one. Indirect-branch tracking (IBT,
 *           BTI) is kept.
 *
 * Asynchronous unwinding (a profiler's signal) is wrong for the four instructions in which the
 * registers are exchanged; it is right at every suspended context, from pc, sp and fp.
 */
#ifndef OURO_SHARD_CONTEXT_H
#define OURO_SHARD_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "context_annotate.h"

/* A debugger script reads the first four; their order is known to the assembly. */
struct context {
    void *sp;
    void *fp;                       /* before the first switch: entry's argument */
    void *base;                     /* before the first switch: entry */
    void *pc;                       /* before the first switch: context_start */
    struct context_annotation note; /* empty unless a sanitizer or valgrind looks on */
};

_Static_assert(offsetof(struct context, sp) == 0, "assembly: sp");
_Static_assert(offsetof(struct context, fp) == sizeof(void *), "assembly: fp");
_Static_assert(offsetof(struct context, base) == 2 * sizeof(void *), "assembly: base");
_Static_assert(offsetof(struct context, pc) == 3 * sizeof(void *), "assembly: pc");

/* Where every new context begins (context_start.S): calls base(fp), traps on return. */
void context_start(void);

#if defined(__x86_64__) && defined(__LP64__)
#include "context_x86_64.h"
#elif defined(__aarch64__) && defined(__LP64__)
#include "context_aarch64.h"
#else
#error "no context switch for this machine"
#endif

/*
 * Make `context` start entry(arg) on the stack [low, top) at the first switch to it. The value
 * passed by that first switch is dropped. Writes nothing to the stack, so it may be called
 * before the stack's first page exists. `top` is rounded down to 16 bytes. The context may lie
 * on the same stack above `top`.
 */
static inline void context_make(struct context *context, void *low, void *top,
                                void (*entry)(void *arg), void *arg)
{
    context->sp = (char *)top - ((uintptr_t)top & 15);
    context->pc = (void *)(uintptr_t)context_start;
    context_annotate_make(&context->note, low, context->sp, &entry, &arg);
    context->fp = arg;
    context->base = (void *)(uintptr_t)entry;
}

/* Prepare `context` to hold the calling thread's own flow while fibers run on this thread. */
static inline void context_make_thread(struct context *context)
{
    *context = (struct context){0};
    context_annotate_thread(&context->note);
}

/*
 * Suspend the running flow into `from` and go on with `to`. Returns when something switches to
 * `from`, with the value which that switch passed. `from` must be the context the running flow
 * was made with (or the thread's own), and differ from `to`.
 */
static inline __attribute__((always_inline)) void *context_switch(struct context *from,
                                                                  struct context *to, void *pass)
{
    context_annotate_leave(&from->note, &to->note);
    pass = context_exchange(from, to, pass);
    context_annotate_arrive(&from->note);
    return pass;
}

/* Leave the running flow for good; `from` may be made again, or its memory reused, afterwards. */
static inline __attribute__((always_inline, noreturn)) void context_exit(struct context *from,
                                                                         struct context *to,
                                                                         void *pass)
{
    context_annotate_exit(&from->note, &to->note);
    context_exchange(from, to, pass);
    __builtin_trap();
}

/* After context_exit(), from another flow, before the stack goes to someone else. Also for a
 * context that was made and never started. Nothing at all in a plain build. */
static inline void context_destroy(struct context *context)
{
    context_annotate_destroy(&context->note);
}

#endif
