/* SPDX-License-Identifier: MIT */
/* Names the task whose stack overflowed. Everything up to and with stack_fault_report() is
 * async-signal-safe. */
#include "shard/stack_fault.h"
#include "base/line.h"
#include "shard/fatal_signal.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#define HANDLER_BYTES ((size_t)32 << 10) /* for the handler, and one that it may call */
#define NAME_BYTES    64

static _Thread_local const struct stack_fault_context *watched;
static _Thread_local unsigned thread_users;
static _Thread_local stack_t own_stack; /* ss_sp NULL: the thread had one before */

static void report(const struct stack_fault_context *context, const struct stack_pool *pool,
                   const void *top, const void *address)
{
    const char *name = context->task_name ? context->task_name(top) : NULL;
    struct line line = {.length = 0};

    line_add(&line, "ouro: stack overflow in task '", SIZE_MAX);
    line_add(&line, name ? name : "?", NAME_BYTES);
    line_add(&line, "' on shard ", SIZE_MAX);
    line_add_number(&line, context->shard, 10);
    line_add(&line, ": ", SIZE_MAX);
    line_add_number(&line, pool->stack_bytes, 10);
    line_add(&line, " bytes at 0x", SIZE_MAX);
    line_add_number(&line, (uintptr_t)address, 16);
    line_add(&line, "; raise ", SIZE_MAX);
    line_add(&line, pool->size_option, NAME_BYTES);
    line_add(&line, "\n", SIZE_MAX);
    line_say(&line);
}

/* Is it an overflow: code on a pool's stack, at fault in the guard below that same stack? */
bool stack_fault_report(const void *address, const void *ucontext)
{
    const struct stack_fault_context *context = watched;
    const void *sp = fatal_signal_sp(ucontext);
    bool in_guard, sp_in_guard;
    void *top;

    for (size_t i = 0; context && i < STACK_FAULT_POOLS; i++) {
        if (!context->pools[i])
            continue;
        top = stack_locate(context->pools[i], address, &in_guard);
        if (top && in_guard && stack_locate(context->pools[i], sp, &sp_in_guard) == top) {
            report(context, context->pools[i], top, address);
            fatal_signal_frames(ucontext);
            return true;
        }
    }
    return false;
}

static int signal_stack_set(void)
{
    stack_t present;
    size_t bytes = HANDLER_BYTES + (size_t)sysconf(_SC_MINSIGSTKSZ);
    void *memory;
    int error;

    own_stack = (stack_t){0};
    if (!sigaltstack(NULL, &present) && !(present.ss_flags & SS_DISABLE))
        return 0;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    own_stack = (stack_t){.ss_sp = memory, .ss_size = bytes};
    if (!sigaltstack(&own_stack, NULL))
        return 0;
    error = -errno;
    munmap(memory, bytes);
    own_stack = (stack_t){0};
    return error;
}

static void signal_stack_unset(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    stack_t present;

    if (!own_stack.ss_sp)
        return;
    if (!sigaltstack(NULL, &present) && present.ss_sp == own_stack.ss_sp)
        sigaltstack(&none, NULL);
    munmap(own_stack.ss_sp, own_stack.ss_size);
    own_stack = (stack_t){0};
}

int stack_fault_thread_init(void)
{
    int error;

    if (thread_users) {
        thread_users++;
        return 0;
    }
    error = signal_stack_set();
    if (error)
        return error;
    error = fatal_signals_install();
    if (error) {
        signal_stack_unset();
        return error;
    }
    watched = NULL;
    thread_users = 1;
    return 0;
}

void stack_fault_thread_fini(void)
{
    ensure(thread_users, "stack_fault_thread_fini() without stack_fault_thread_init()");
    if (--thread_users)
        return;
    watched = NULL;
    fatal_signals_remove();
    signal_stack_unset();
}

const struct stack_fault_context *stack_fault_watch(const struct stack_fault_context *context)
{
    const struct stack_fault_context *former = watched;

    watched = context;
    return former;
}
