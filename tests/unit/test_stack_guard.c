/* SPDX-License-Identifier: MIT */
/* Below every stack lies a guard, made either way; those without one are counted ([STACK-3]). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shard/stack.h"

enum { COUNT = 1000 };

static struct stack_pool pool;
static void *tops[COUNT];

static void fill_pool(const struct stack_pool_options *options)
{
    assert_int_equal(stack_pool_init(&pool, options), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(stack_alloc(&pool, &tops[i]), 0);
}

static void empty_pool(void)
{
    for (int i = 0; i < COUNT; i++)
        stack_free(&pool, tops[i]);
    stack_pool_destroy(&pool);
}

/* A child, because a fault is what we want. It makes its own pool: no child inherits one. */
static bool faults(const struct stack_pool_options *options, int stack, ptrdiff_t offset)
{
    int status;
    pid_t child = fork();

    assert_int_not_equal(child, -1);
    if (!child) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGSEGV, SIG_DFL);
        if (stack_pool_init(&pool, options))
            _exit(2);
        for (int i = 0; i <= stack; i++)
            if (stack_alloc(&pool, &tops[i]))
                _exit(2);
        ((volatile char *)stack_limit(&pool, tops[stack]))[offset] = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : status == 0);
    return WIFSIGNALED(status);
}

static void check_guard(const struct stack_pool_options *options, int stack)
{
    assert_false(faults(options, stack, 0));
    assert_true(faults(options, stack, -1));
    assert_true(faults(options, stack, -32768));
    assert_true(faults(options, stack, -(ptrdiff_t)STACK_GUARD_BYTES));
}

static size_t mappings(void)
{
    size_t lines = 0;
    FILE *file = fopen("/proc/self/maps", "re");

    assert_non_null(file);
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static void guards_are_installed(void **state)
{
    const struct stack_pool_options options = {.stacks_per_slab = 100};
    size_t before = mappings(), after;

    (void)state;
    fill_pool(&options);
    after = mappings();
    print_message("%s: %zu mappings more for %d stacks\n",
                  pool.guard == STACK_GUARD_AUTO ? "MADV_GUARD_INSTALL" : "mprotect",
                  after - before, COUNT);
    assert_int_equal(pool.counters.unguarded, 0);
    if (pool.guard == STACK_GUARD_AUTO)
        assert_true(after - before < COUNT / 10); /* none per stack */
    empty_pool();
    check_guard(&options, 0);
    check_guard(&options, 15);
    check_guard(&options, 250);
}

static void guards_by_mprotect(void **state)
{
    const struct stack_pool_options options = {.guard = STACK_GUARD_MPROTECT};

    (void)state;
    fill_pool(&options);
    assert_int_equal(pool.counters.unguarded, 0);
    assert_true(mappings() >= COUNT);
    empty_pool();
    check_guard(&options, 0);
    check_guard(&options, 250);
}

/* The limit is the process's: a second pool finds it used up, and free again afterwards. */
static void stacks_beyond_the_limit_are_counted(void **state)
{
    const struct stack_pool_options options = {.guard = STACK_GUARD_MPROTECT, .guard_limit = 300};
    struct stack_pool second;
    void *top;

    (void)state;
    for (int round = 0; round < 3; round++) {
        fill_pool(&options);
        assert_int_equal(pool.counters.unguarded, COUNT - 300);
        assert_int_equal(stack_pool_init(&second, &options), 0);
        assert_int_equal(stack_alloc(&second, &top), 0);
        assert_int_equal(second.counters.unguarded, 1);
        stack_free(&second, top);
        stack_pool_destroy(&second);
        empty_pool();
    }
    assert_true(faults(&options, 299, -1));
    assert_false(faults(&options, 300, -1));
}

static void the_default_limit_leaves_half_of_the_mappings(void **state)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    size_t maps = 65530;

    (void)state;
    if (file) {
        assert_int_equal(fscanf(file, "%zu", &maps), 1);
        fclose(file);
    }
    assert_int_equal(stack_pool_init(&pool, &(struct stack_pool_options){0}), 0);
    assert_in_range(pool.guard_limit * 2, maps / 2 - 1, maps / 2);
    stack_pool_destroy(&pool);
}

static void a_pool_without_guards_says_so(void **state)
{
    const struct stack_pool_options options = {.guard = STACK_GUARD_NONE};

    (void)state;
    fill_pool(&options);
    assert_int_equal(pool.counters.unguarded, COUNT);
    empty_pool();
    assert_false(faults(&options, 3, -1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guards_are_installed),
        cmocka_unit_test(guards_by_mprotect),
        cmocka_unit_test(stacks_beyond_the_limit_are_counted),
        cmocka_unit_test(the_default_limit_leaves_half_of_the_mappings),
        cmocka_unit_test(a_pool_without_guards_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
