/* SPDX-License-Identifier: MIT */
/* What stacks cost: a page per parked fiber, and what a deep one took comes back ([STACK-5],
 * [STACK-7]). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "shard/stack.h"

/* Sanitizers add memory of their own, so the process's size says nothing. */
#define SIZES_MEAN_SOMETHING (!CONTEXT_ASAN && !CONTEXT_TSAN)

static struct stack_pool pool;

/* A number with this name in a /proc file, in kB. */
static size_t proc_kb(const char *path, const char *name)
{
    char line[256];
    size_t value = 0;
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)))
            value = strtoul(line + strlen(name), NULL, 10);
    fclose(file);
    return value;
}

static size_t resident_bytes(void)
{
    return proc_kb("/proc/self/status", "VmRSS:") * 1024;
}

static size_t page_table_bytes(void)
{
    return proc_kb("/proc/self/status", "VmPTE:") * 1024;
}

/* A control block and a short chain of frames. */
enum { CONTROL_BYTES = 256, FRAME_BYTES = 2880 };

static void fill(void *top, unsigned number)
{
    unsigned *words = (unsigned *)((char *)top - CONTROL_BYTES - FRAME_BYTES);

    for (unsigned i = 0; i < (CONTROL_BYTES + FRAME_BYTES) / sizeof *words; i++)
        words[i] = number + i;
}

static unsigned wrong_words(void *top, unsigned number)
{
    const unsigned *words = (unsigned *)((char *)top - CONTROL_BYTES - FRAME_BYTES);
    unsigned wrong = 0;

    for (unsigned i = 0; i < (CONTROL_BYTES + FRAME_BYTES) / sizeof *words; i++)
        wrong += words[i] != number + i;
    return wrong;
}

/* 3136 bytes are what the header promises to fit into the top page of every colour. */
static void a_hundred_thousand_cost_a_page_each(void **state)
{
    enum { COUNT = 100000 };
    void **tops = calloc(COUNT, sizeof *tops);
    size_t before, tables_before, each;

    (void)state;
    assert_non_null(tops);
    memset(tops, 1, COUNT * sizeof *tops);
    assert_int_equal(stack_pool_init(&pool, &(struct stack_pool_options){0}), 0);
    before = resident_bytes();
    tables_before = page_table_bytes();
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(stack_alloc(&pool, &tops[i]), 0);
        fill(tops[i], i);
    }
    each = (resident_bytes() - before) / COUNT;
    print_message("%zu bytes resident and %zu of page tables per stack, %zu unguarded\n", each,
                  (page_table_bytes() - tables_before) / COUNT, pool.counters.unguarded);
    if (SIZES_MEAN_SOMETHING)
        assert_in_range(each, 4096, 4300);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(wrong_words(tops[i], i), 0);
    for (unsigned i = 0; i < COUNT; i += 2)
        stack_free(&pool, tops[i]);
    for (unsigned i = 0; i < COUNT; i += 2) {
        assert_int_equal(stack_alloc(&pool, &tops[i]), 0);
        fill(tops[i], ~i);
    }
    assert_int_equal(pool.counters.carved, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(wrong_words(tops[i], i % 2 ? i : ~i), 0);
    for (unsigned i = 0; i < COUNT; i++)
        stack_free(&pool, tops[i]);
    stack_pool_destroy(&pool);
    if (SIZES_MEAN_SOMETHING)
        assert_true(resident_bytes() < before + COUNT * 100);
    free(tops);
}

static size_t pages_of(void *top)
{
    static unsigned char exists[4096];
    size_t pages = pool.area_bytes / pool.page_bytes, count = 0;

    assert_true(pages <= sizeof exists);
    assert_int_equal(mincore(stack_limit(&pool, top), pool.area_bytes, exists), 0);
    for (size_t i = 0; i < pages; i++)
        count += exists[i] & 1;
    return count;
}

static void touch_all(void *top)
{
    char *limit = stack_limit(&pool, top);

    memset(limit, 1, (size_t)((char *)top - limit));
}

static void deep_stacks_give_back_when_trimmed(void **state)
{
    void *top;

    (void)state;
    for (size_t keep = 1; keep <= 6; keep++) {
        const struct stack_pool_options options = {.keep_pages = keep};

        assert_int_equal(stack_pool_init(&pool, &options), 0);
        assert_int_equal(stack_alloc(&pool, &top), 0);
        touch_all(top);
        assert_int_equal(pages_of(top), 17);
        stack_free(&pool, top);
        assert_int_equal(pages_of(top), 17);
        assert_int_equal(stack_pool_trim(&pool, 10), 1);
        assert_int_equal(pages_of(top), keep);
        assert_int_equal(stack_pool_trim(&pool, 10), 0);
        stack_pool_destroy(&pool);
    }
}

/* More than warm_max free stacks are never unexamined, trim or no trim. */
static void many_deep_stacks_give_back_at_once(void **state)
{
    enum { COUNT = 200 };
    void *tops[COUNT];
    size_t deep = 0;

    (void)state;
    assert_int_equal(stack_pool_init(&pool, &(struct stack_pool_options){.stack_bytes = 1 << 20}),
                     0);
    assert_int_equal(pool.warm_max, 64);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(stack_alloc(&pool, &tops[i]), 0);
        touch_all(tops[i]);
    }
    for (int i = 0; i < COUNT; i++)
        stack_free(&pool, tops[i]);
    for (int i = 0; i < COUNT; i++)
        deep += pages_of(tops[i]) > 4;
    assert_int_equal(deep, 64);
    stack_pool_destroy(&pool);
}

/* The VmFlags of the mapping that holds this address, in *line. */
static const char *mapping_of(const void *address, char *permissions, char *line, int size)
{
    uintptr_t low, high;
    bool here = false;
    FILE *file = fopen("/proc/self/smaps", "re");

    assert_non_null(file);
    while (fgets(line, size, file)) {
        if (sscanf(line, "%lx-%lx %4s", &low, &high, permissions) == 3)
            here = (uintptr_t)address >= low && (uintptr_t)address < high;
        else if (here && !strncmp(line, "VmFlags:", 8))
            break;
    }
    fclose(file);
    return line + 8;
}

static void pages_are_not_executable_inherited_or_huge(void **state)
{
    char permissions[5], line[512];
    const char *flags;
    void *top;

    (void)state;
    assert_int_equal(stack_pool_init(&pool, &(struct stack_pool_options){0}), 0);
    assert_int_equal(stack_alloc(&pool, &top), 0);
    flags = mapping_of((char *)top - 1, permissions, line, sizeof line);
    print_message("%s%s", permissions, flags);
    assert_string_equal(permissions, "rw-p");
    if (!CONTEXT_ASAN && !CONTEXT_TSAN) /* which fork to name what they found */
        assert_non_null(strstr(flags, " dc "));
    if (!access("/sys/kernel/mm/transparent_hugepage", F_OK))
        assert_non_null(strstr(flags, " nh "));
    stack_free(&pool, top);
    stack_pool_destroy(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_cost_a_page_each),
        cmocka_unit_test(deep_stacks_give_back_when_trimmed),
        cmocka_unit_test(many_deep_stacks_give_back_at_once),
        cmocka_unit_test(pages_are_not_executable_inherited_or_huge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
