/* SPDX-License-Identifier: MIT */
/* A fiber that recurses without end dies at its guard, and says which task it was. */
/* expect: ^ouro: stack overflow in task 'bottomless' on shard 3: 65536 bytes at 0x */
#include <stdint.h>
#include <stdio.h>

#include "shard/context.h"
#include "shard/stack_fault.h"

static struct stack_pool pool;
static struct context thread_context, fiber_context;

static const char *name_of(const void *top)
{
    return *((const char *const *)top - 1);
}

static volatile unsigned bottom = 1u << 31; /* never reached */

static __attribute__((noinline)) unsigned recurse(unsigned depth)
{
    volatile unsigned frame[64];

    frame[depth % 64] = depth;
    if (depth == bottom)
        return 0;
    return recurse(depth + 1) + frame[depth % 64];
}

static void dig(void *arg)
{
    printf("%u\n", recurse(*(unsigned *)arg));
    context_exit(&fiber_context, &thread_context, NULL);
}

int main(void)
{
    static const struct stack_fault_context context = {
        .shard = 3, .pools = {&pool}, .task_name = name_of};
    unsigned depth = 0;
    void *top;

    if (stack_pool_init(&pool, &(struct stack_pool_options){0}) || stack_alloc(&pool, &top) ||
        stack_fault_thread_init())
        return 0;
    if (pool.counters.unguarded) /* no guard to die at */
        return 77;
    stack_fault_watch(&context);
    *((const char **)top - 1) = "bottomless";
    context_make_thread(&thread_context);
    context_make(&fiber_context, stack_limit(&pool, top), (char *)top - 64, dig, &depth);
    context_switch(&thread_context, &fiber_context, NULL);
    return 0;
}
