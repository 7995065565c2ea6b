/* SPDX-License-Identifier: MIT */
/*
 * Stack overflows, reported: a SIGSEGV in a guard below a stack of a watched pool becomes one line
 * on standard error and the innermost frames, and the process dies by SIGSEGV as it would have
 * without:
 *
 *   ouro: stack overflow in task 'NAME' on shard N: BYTES bytes at ADDRESS; raise
 * options.stack_bytes
 *
 * A fault in a guard by code that runs on another stack is not an overflow but a stray access:
 * fatal_signal.h, whose handlers these are, says what becomes of every other fault. They run on an
 * alternate signal stack, which each thread has of its own.
 */
#ifndef OURO_SHARD_STACK_FAULT_H
#define OURO_SHARD_STACK_FAULT_H

#include "stack.h"

#define STACK_FAULT_POOLS 4

/* What the handler may know about the thread it runs on. All of it stays while it is watched. */
struct stack_fault_context {
    unsigned shard;
    const struct stack_pool *pools[STACK_FAULT_POOLS]; /* unused ones NULL */
    /* The name of the task whose stack has this top, found from what its owner keeps there; NULL
     * if there is none. Called inside the handler: reads memory, nothing else. May be NULL. */
    const char *(*task_name)(const void *top);
};

/*
 * Make this thread able to report: alternate stack (one that exists is kept), handlers. Calls nest;
 * each needs its stack_fault_thread_fini() on the same thread. 0, or -errno: -ENOMEM no memory
 * for the stack, -EPERM called on an alternate stack.
 */
int stack_fault_thread_init(void) __attribute__((warn_unused_result));
void stack_fault_thread_fini(void);

/*
 * From now on faults of this thread are looked up in `context` (NULL: nowhere). Returns the
 * former one, so that a thread which steps several shards can change between them.
 */
const struct stack_fault_context *stack_fault_watch(const struct stack_fault_context *context);

/* In the handler of a SIGSEGV at this address: true if it was an overflow, and was reported. */
bool stack_fault_report(const void *address, const void *ucontext);

#endif
