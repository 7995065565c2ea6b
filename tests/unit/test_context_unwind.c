/* SPDX-License-Identifier: MIT */
/* A context's first frame is where stacks end: unwinders stop there, and an entry function that
 * returns dies there ([CTX-5], [CTX-6]). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>
#include <cmocka.h>

#include "shard/context.h"

enum { STACK_BYTES = 256 * 1024, DEPTH = 5, FRAMES_MAX = 64 };

static struct context thread_context;
static struct context fiber_context;
static char *stack;
static void **top; /* above it lies what would pass for more frames */

struct trace {
    unsigned frames;
    unsigned on_stack; /* frames whose CFA lies on the fiber's stack */
    _Unwind_Reason_Code end;
};

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *unwind, void *arg)
{
    struct trace *trace = arg;
    uintptr_t cfa = _Unwind_GetCFA(unwind);

    if (!_Unwind_GetIP(unwind)) /* the caller that the first frame has not */
        return _URC_NO_REASON;
    if (++trace->frames > FRAMES_MAX)
        return _URC_NORMAL_STOP;
    if (cfa >= (uintptr_t)stack && cfa <= (uintptr_t)stack + STACK_BYTES)
        trace->on_stack++;
    return _URC_NO_REASON;
}

static __attribute__((noinline)) int descend(int depth, struct trace *trace)
{
    int below;

    if (!depth) {
        trace->end = _Unwind_Backtrace(count_frame, trace);
        return 0;
    }
    below = descend(depth - 1, trace);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return below + 1;
}

static void trace_from_depth(void *arg)
{
    descend(DEPTH, arg);
    context_switch(&fiber_context, &thread_context, NULL); /* and once more after a switch */
    *(struct trace *)arg = (struct trace){0};
    descend(DEPTH, arg);
    context_exit(&fiber_context, &thread_context, NULL);
}

static void check_trace(const struct trace *trace)
{
    assert_int_equal(trace->end, _URC_END_OF_STACK);
    assert_in_range(trace->frames, DEPTH + 2, DEPTH + 6);
    assert_int_equal(trace->on_stack, trace->frames);
}

static void backtrace_ends_at_the_first_frame(void **state)
{
    struct trace trace = {0};

    (void)state;
    context_make_thread(&thread_context);
    context_make(&fiber_context, stack, top, trace_from_depth, &trace);
    context_switch(&thread_context, &fiber_context, NULL);
    check_trace(&trace);
    context_switch(&thread_context, &fiber_context, NULL);
    check_trace(&trace);
    context_destroy(&fiber_context);
}

static void report_caller_frame(void *arg)
{
    *(void **)arg = *(void **)__builtin_frame_address(0);
    context_exit(&fiber_context, &thread_context, NULL);
}

/* For those who walk frame pointers. */
static void frame_pointers_end_at_the_first_frame(void **state)
{
    void *caller = &caller;

    (void)state;
    if (CONTEXT_ASAN) /* it puts a frame of its own between the two */
        skip();
    context_make_thread(&thread_context);
    context_make(&fiber_context, stack, top, report_caller_frame, &caller);
    context_switch(&thread_context, &fiber_context, NULL);
    assert_null(caller);
    context_destroy(&fiber_context);
}

static void return_at_once(void *arg)
{
    (void)arg;
}

static void entry_that_returns_traps(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    assert_int_not_equal(child, -1);
    if (!child) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        context_make_thread(&thread_context);
        context_make(&fiber_context, stack, top, return_at_once, NULL);
        context_switch(&thread_context, &fiber_context, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP);
}

static int setup(void **state)
{
    (void)state;
    stack = aligned_alloc(4096, STACK_BYTES);
    if (!stack)
        return -1;
    top = (void **)(void *)(stack + STACK_BYTES - 256);
    for (int i = 0; i < 32; i++)
        top[i] = (char *)(uintptr_t)descend + 4;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(stack);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backtrace_ends_at_the_first_frame),
        cmocka_unit_test(frame_pointers_end_at_the_first_frame),
        cmocka_unit_test(entry_that_returns_traps),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
