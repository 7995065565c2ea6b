/* SPDX-License-Identifier: MIT */
/* The high-water mark is within a page of how deep a stack's user really went ([STACK-6]). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shard/context.h"
#include "shard/stack.h"

static struct stack_pool pool;
static struct context thread_context, fiber_context;

static void assert_within_a_page(size_t measured, size_t truth)
{
    size_t off = measured > truth ? measured - truth : truth - measured;

    if (off > pool.page_bytes)
        fail_msg("%zu bytes measured, %zu used", measured, truth);
}

static void unused_stacks_are_zero_deep(void **state)
{
    void *top;

    (void)state;
    assert_int_equal(stack_pool_init(&pool, &(struct stack_pool_options){0}), 0);
    assert_int_equal(stack_alloc(&pool, &top), 0);
    assert_int_equal(stack_high_water(&pool, top), 0);
    stack_free(&pool, top);
    stack_pool_destroy(&pool);
}

/* Written to a depth, with zeros or something else: every depth is found. */
static void check_depth(size_t depth, int value)
{
    void *top;

    assert_int_equal(stack_alloc(&pool, &top), 0);
    memset((char *)top - depth, value, depth);
    assert_within_a_page(stack_high_water(&pool, top), depth);
    if (value)
        assert_in_range(stack_high_water(&pool, top), depth, depth + 7);
    stack_free(&pool, top);
}

static void check_depths(size_t stack_bytes, size_t step)
{
    const struct stack_pool_options options = {.stack_bytes = stack_bytes,
                                               .track_high_water = true};
    size_t depth;

    assert_int_equal(stack_pool_init(&pool, &options), 0);
    for (depth = 8; depth <= stack_bytes; depth += step) {
        check_depth(depth, 0xa5);
        check_depth(depth, 0);
    }
    assert_in_range(pool.counters.deepest, depth - step, depth - step + 4096);
    for (; depth > step; depth -= step) { /* no trace of the deeper ones before */
        check_depth(depth - step, 0xa5);
        check_depth(depth - step, 0);
    }
    assert_int_equal(pool.counters.carved, 1);
    stack_pool_destroy(&pool);
}

static void written_depths_are_found(void **state)
{
    (void)state;
    check_depths(64 << 10, 1000);
    check_depths(4 << 20, 300000);
}

static void free_stacks_of_a_tracking_pool_are_zero(void **state)
{
    const struct stack_pool_options options = {.track_high_water = true};
    const size_t depths[] = {8, 100, 3000, 4096, 5000, 20000, 65536};
    void *top;

    (void)state;
    assert_int_equal(stack_pool_init(&pool, &options), 0);
    for (size_t i = 0; i < array_size(depths); i++) {
        assert_int_equal(stack_alloc(&pool, &top), 0);
        memset((char *)top - depths[i], 0xff, depths[i]);
        stack_free(&pool, top);
        for (char *byte = stack_limit(&pool, top); byte < (char *)stack_link(top); byte++)
            assert_int_equal(*byte, 0);
    }
    stack_pool_destroy(&pool);
}

struct descent {
    size_t depth;      /* asked for */
    uintptr_t deepest; /* the lowest frame */
};

static __attribute__((noinline)) void descend(struct descent *descent, uintptr_t top)
{
    volatile char frame[200]; /* a sanitizer may keep it elsewhere, but not the frame's address */

    frame[0] = 1;
    descent->deepest = (uintptr_t)__builtin_frame_address(0);
    if (top - descent->deepest < descent->depth)
        descend(descent, top);
    frame[1] = frame[0];
}

static void go_down(void *arg)
{
    descend(arg, (uintptr_t)__builtin_frame_address(0));
    context_exit(&fiber_context, &thread_context, NULL);
}

/* A fiber that really runs, through one that is reused. */
static void running_fibers_are_measured(void **state)
{
    const struct stack_pool_options options = {.stack_bytes = 256 << 10, .track_high_water = true};
    void *top;

    (void)state;
    assert_int_equal(stack_pool_init(&pool, &options), 0);
    for (size_t depth = 200 << 10; depth > 0; depth -= 10 << 10) {
        struct descent descent = {.depth = depth};

        assert_int_equal(stack_alloc(&pool, &top), 0);
        context_make_thread(&thread_context);
        context_make(&fiber_context, stack_limit(&pool, top), top, go_down, &descent);
        context_switch(&thread_context, &fiber_context, NULL);
        context_destroy(&fiber_context);
        assert_within_a_page(stack_high_water(&pool, top), (uintptr_t)top - descent.deepest);
        stack_free(&pool, top);
    }
    assert_true(pool.counters.deepest >= 200 << 10);
    stack_pool_destroy(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unused_stacks_are_zero_deep),
        cmocka_unit_test(written_depths_are_found),
        cmocka_unit_test(free_stacks_of_a_tracking_pool_are_zero),
        cmocka_unit_test(running_fibers_are_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
