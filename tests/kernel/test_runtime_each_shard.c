/* SPDX-License-Identifier: MIT */
/* A function on every shard: once on each, with each one's value and end; the first error;
 * cancelling the caller cancels them and awaits their end. */
#include "support/support.h"

#include <stdatomic.h>

#define SHARDS 4

static atomic_uint ran[SHARDS], ended;

static int number(void *arg)
{
    int me = ouro_current_shard();

    must_be(strcmp(ouro_task_name(), "number"), 0);
    ran[me]++;
    for (int i = 0; i < 10 * me; i++)
        must_be(ouro_yield(), 0);
    return *(int *)arg + me;
}

static int values_main(void *arg)
{
    struct ouro_each_result results[SHARDS];

    (void)arg;
    for (int base = 100; base < 120; base++) {
        memset(results, 0xff, sizeof results);
        must_be(ouro_on_each_shard(number, &base, "number", results), 0);
        for (int i = 0; i < SHARDS; i++) {
            must_be(ran[i], base - 99);
            must_be(results[i].value, base + i);
            must_be(results[i].how, OURO_END_RETURNED);
        }
    }
    return 0;
}

static int errors(void *arg)
{
    const int *values = arg;

    return values[ouro_current_shard()];
}

static int first_error_main(void *arg)
{
    static int values[][SHARDS] = {
        {0, 0, 0, -EIO}, {0, -EPIPE, 7, -EIO}, {-EBADF, -EIO, 0, 0}, {1, 2, 3, 4}};
    static const int first[] = {-EIO, -EPIPE, -EBADF, 0};

    (void)arg;
    for (int i = 0; i < 4; i++)
        must_be(ouro_on_each_shard(errors, values[i], NULL, NULL), first[i]);
    must_be(ouro_on_each_shard(NULL, NULL, NULL, NULL), -EINVAL);
    return 0;
}

/* From any shard, several at a time, also from inside of one another. */
static int inner(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
    return 0;
}

static int outer(void *arg)
{
    for (int i = 0; i < 5; i++)
        must_be(ouro_on_each_shard(inner, arg, "inner", NULL), 0);
    return 0;
}

static int nested_main(void *arg)
{
    atomic_uint count = 0;

    (void)arg;
    must_be(ouro_on_each_shard(outer, &count, "outer", NULL), 0);
    must_be(count, SHARDS * SHARDS * 5);
    return 0;
}

static int sleeps(void *arg)
{
    (void)arg;
    ran[ouro_current_shard()]++;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(ouro_shield_enter(), 0);
    must_be(ouro_sleep(2 * MS), 0);
    must_be(ouro_shield_leave(), 0);
    ended++;
    return -ECANCELED;
}

static struct ouro_each_result results[SHARDS];

static int calls(void *arg)
{
    (void)arg;
    must_be(ouro_on_each_shard(sleeps, NULL, "sleeps", results), -ECANCELED);
    must_be(ended, SHARDS); /* all of them */
    return 0;
}

static int cancelled_main(void *arg)
{
    ouro_fiber f;

    (void)arg;
    ended = 0;
    for (int i = 0; i < SHARDS; i++)
        ran[i] = 0;
    must_be(ouro_spawn_joinable(NULL, calls, NULL, 0, &f), 0);
    until(ran[0] + ran[1] + ran[2] + ran[3] == SHARDS);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    for (int i = 0; i < SHARDS; i++) {
        must_be(results[i].how, OURO_END_CANCELLED);
        must_be(results[i].value, -ECANCELED);
    }
    return 0;
}

/* Cancelled before it was called, and at any moment: whatever ran has ended, whatever did not says
 * so. */
static int either(void *arg)
{
    (void)arg;
    ran[ouro_current_shard()] = 1;
    (void)ouro_sleep(OURO_FOREVER);
    ran[ouro_current_shard()] = 2;
    return 0;
}

static int calls_either(void *arg)
{
    (void)arg;
    (void)ouro_on_each_shard(either, NULL, "either", results);
    for (int i = 0; i < SHARDS; i++) {
        must(results[i].how == OURO_END_CANCELLED || results[i].how == OURO_END_ABORTED);
        must_be(ran[i], results[i].how == OURO_END_ABORTED ? 0 : 2);
    }
    return 0;
}

static int any_moment_main(void *arg)
{
    ouro_fiber f;

    (void)arg;
    for (int round = 0; round < 100; round++) {
        struct ouro_spawn_options o = {.size = sizeof o, .joinable = true, .must_run = true};

        for (int i = 0; i < SHARDS; i++)
            ran[i] = 0;
        must_be(ouro_spawn_with(NULL, calls_either, NULL, 0, &o, &f), 0);
        for (int i = 0; i < round % 7; i++)
            must_be(ouro_yield(), 0);
        must_be(ouro_fiber_cancel(f), 0);
        must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    }
    return 0;
}

#define ON_ALL(name)                                                                               \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(run_on(SHARDS, name##_main, NULL), 0);                                    \
    }
ON_ALL(values)
ON_ALL(first_error)
ON_ALL(nested)
ON_ALL(cancelled)
ON_ALL(any_moment)

static void off_shard(void **state)
{
    (void)state;
    assert_int_equal(ouro_on_each_shard(inner, NULL, NULL, NULL), -OURO_ENOSHARD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),    cmocka_unit_test(first_error), cmocka_unit_test(nested),
        cmocka_unit_test(cancelled), cmocka_unit_test(any_moment),  cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
