/* SPDX-License-Identifier: MIT */
/* Stacks have the layout that the header draws, come back last in first out, and run out with an
 * error ([STACK-1], [STACK-2], [STACK-4]). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shard/stack.h"

static struct stack_pool pool;

static void start(const struct stack_pool_options *options)
{
    assert_int_equal(stack_pool_init(&pool, options), 0);
}

static void options_out_of_bounds_are_refused(void **state)
{
    const struct stack_pool_options bad[] = {
        {.stack_bytes = STACK_BYTES_MIN - 1},
        {.stack_bytes = STACK_BYTES_MAX + 1},
        {.stack_bytes = 1},
        {.stack_bytes = SIZE_MAX},
        {.stacks_per_slab = 65537},
        {.max_stacks = STACK_MAX_LIMIT + 1},
        {.keep_pages = SIZE_MAX},
        {.guard = (enum stack_guard)3},
    };

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(stack_pool_init(&pool, &bad[i]), -EINVAL);
}

static int ascending(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

    return (x > y) - (x < y);
}

/* Every stack is aligned and large enough, none reaches into another's guard, and any sixteen
 * neighbours start on sixteen different cache lines of their pages. */
static void check_layout(size_t stack_bytes)
{
    enum { COUNT = 64 };
    static uintptr_t tops[COUNT];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    start(&(struct stack_pool_options){.stack_bytes = stack_bytes, .stacks_per_slab = COUNT});
    assert_int_equal(pool.stride_bytes % (2 * page), page);
    for (size_t i = 0; i < COUNT; i++) {
        void *top;

        assert_int_equal(stack_alloc(&pool, &top), 0);
        tops[i] = (uintptr_t)top;
        assert_int_equal(tops[i] % 64, 0);
        assert_true(tops[i] - (uintptr_t)stack_limit(&pool, top) >= stack_bytes);
        assert_true(-tops[i] % page <= 960); /* what colours may take from the top page */
    }
    qsort(tops, COUNT, sizeof *tops, ascending);
    for (size_t i = 1; i < COUNT; i++)
        assert_true((uintptr_t)stack_limit(&pool, (void *)tops[i]) - tops[i - 1] >=
                    STACK_GUARD_BYTES);
    for (size_t i = 0; i + 16 <= COUNT; i++) {
        unsigned lines = 0;

        for (size_t k = i; k < i + 16; k++)
            lines |= 1u << (-tops[k] % page / 64);
        assert_int_equal(lines, 0xffff);
    }
    for (size_t i = 0; i < COUNT; i++)
        stack_free(&pool, (void *)tops[i]);
    stack_pool_destroy(&pool);
}

static void layout_holds_for_all_sizes(void **state)
{
    (void)state;
    for (size_t bytes = STACK_BYTES_MIN; bytes <= 128 * 1024; bytes += 1000)
        check_layout(bytes);
    check_layout(1 << 20);
    check_layout(STACK_BYTES_MAX);
}

static void last_freed_comes_first(void **state)
{
    void *a, *b, *c, *again;

    (void)state;
    for (int track = 0; track <= 1; track++) {
        start(&(struct stack_pool_options){.track_high_water = track});
        assert_int_equal(stack_alloc(&pool, &a), 0);
        assert_int_equal(stack_alloc(&pool, &b), 0);
        assert_int_equal(stack_alloc(&pool, &c), 0);
        stack_free(&pool, a);
        stack_free(&pool, c);
        stack_free(&pool, b);
        assert_int_equal(stack_alloc(&pool, &again), 0);
        assert_ptr_equal(again, b);
        assert_int_equal(stack_alloc(&pool, &again), 0);
        assert_ptr_equal(again, c);
        assert_int_equal(stack_alloc(&pool, &again), 0);
        assert_ptr_equal(again, a);
        assert_int_equal(pool.counters.live, 3);
        assert_int_equal(pool.counters.peak, 3);
        assert_int_equal(pool.counters.carved, 3);
        assert_int_equal(pool.counters.slabs, 1);
        stack_free(&pool, a);
        stack_free(&pool, b);
        stack_free(&pool, c);
        assert_int_equal(pool.counters.live, 0);
        stack_pool_destroy(&pool);
    }
}

static size_t list_length(void *top)
{
    size_t length = 0;

    for (; top; top = *stack_link(top))
        length++;
    return length;
}

/* Random allocations and frees against the equations of the header. */
static void counts_add_up(void **state)
{
    enum { COUNT = 3000 };
    static void *live[COUNT];
    size_t used = 0;
    unsigned seed = 20240229;

    (void)state;
    start(&(struct stack_pool_options){.stacks_per_slab = 100});
    print_message("seed %u\n", seed);
    for (int step = 0; step < 30000; step++) {
        size_t k = (size_t)rand_r(&seed);

        if (step / 5000 % 2 ? k % 3 == 0 : k % 3 != 0) {
            if (used < COUNT)
                assert_int_equal(stack_alloc(&pool, &live[used++]), 0);
        } else if (used) {
            k %= used;
            stack_free(&pool, live[k]);
            live[k] = live[--used];
        }
        if (step % 500)
            continue;
        stack_pool_trim(&pool, 7);
        assert_int_equal(pool.counters.live, used);
        assert_int_equal(list_length(pool.warm), pool.warm_max - pool.warm_room);
        assert_int_equal(used + list_length(pool.warm) + list_length(pool.cold),
                         pool.counters.carved);
    }
    assert_int_equal(pool.counters.slabs, (pool.counters.carved + 99) / 100);
    while (used)
        stack_free(&pool, live[--used]);
    stack_pool_destroy(&pool);
}

static void too_many_are_refused(void **state)
{
    enum { COUNT = 37 };
    void *tops[COUNT], *top = &pool;

    (void)state;
    start(&(struct stack_pool_options){.max_stacks = COUNT, .stacks_per_slab = 10});
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(stack_alloc(&pool, &tops[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(stack_alloc(&pool, &top), -EAGAIN);
    assert_ptr_equal(top, &pool);
    assert_int_equal(pool.counters.live, COUNT);
    stack_free(&pool, tops[5]);
    assert_int_equal(stack_alloc(&pool, &top), 0);
    assert_ptr_equal(top, tops[5]);
    for (int i = 0; i < COUNT; i++)
        stack_free(&pool, tops[i]);
    stack_pool_destroy(&pool);
}

static int without_address_space(void)
{
    struct rlimit none = {0};
    void *top;

    if (setrlimit(RLIMIT_AS, &none))
        return 2;
    if (stack_alloc(&pool, &top) != -ENOMEM || pool.counters.live || pool.counters.carved)
        return 1;
    return 0;
}

static void no_memory_is_an_error(void **state)
{
    pid_t child;
    int status;

    (void)state;
    start(&(struct stack_pool_options){0});
    child = fork();
    assert_int_not_equal(child, -1);
    if (!child)
        _exit(without_address_space());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    stack_pool_destroy(&pool);
}

static void addresses_are_located(void **state)
{
    enum { COUNT = 25 };
    void *tops[COUNT];
    char *limit;
    bool in_guard;

    (void)state;
    start(&(struct stack_pool_options){.stacks_per_slab = 10});
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(stack_alloc(&pool, &tops[i]), 0);
    for (int i = 0; i < COUNT; i++) {
        limit = stack_limit(&pool, tops[i]);
        assert_ptr_equal(stack_locate(&pool, (char *)tops[i] - 1, &in_guard), tops[i]);
        assert_false(in_guard);
        assert_ptr_equal(stack_locate(&pool, limit, &in_guard), tops[i]);
        assert_false(in_guard);
        assert_ptr_equal(stack_locate(&pool, limit - 1, &in_guard), tops[i]);
        assert_true(in_guard);
        assert_ptr_equal(stack_locate(&pool, limit - STACK_GUARD_BYTES, &in_guard), tops[i]);
        assert_true(in_guard);
    }
    assert_null(stack_locate(&pool, &pool, &in_guard));
    assert_null(stack_locate(&pool, NULL, &in_guard));
    for (int i = 0; i < COUNT; i++)
        stack_free(&pool, tops[i]);
    stack_pool_destroy(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_out_of_bounds_are_refused),
        cmocka_unit_test(layout_holds_for_all_sizes),
        cmocka_unit_test(last_freed_comes_first),
        cmocka_unit_test(counts_add_up),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(addresses_are_located),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
