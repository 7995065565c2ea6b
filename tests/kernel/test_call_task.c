/* SPDX-License-Identifier: MIT */
/* Tasks on another shard: they may wait, their value and end come back; cancelling the call or its
 * deadline ends them wherever they are, and the call is over only then. */
#include "support/support.h"

#include <ouro/call.h>
#include <stdatomic.h>

#define SHARDS 3

static int adds_slowly(void *arg)
{
    const uint64_t *p = arg;

    must_be(ouro_sleep(p[2]), 0);
    must_be(strcmp(ouro_task_name(), "adds"), 0);
    return (int)(p[0] + p[1]) + 1000 * ouro_current_shard();
}

static int values_main(void *arg)
{
    uint64_t p[3] = {3, 4, 0};

    (void)arg;
    for (unsigned to = 0; to < SHARDS; to++)
        for (int i = 0; i < 50; i++) {
            p[2] = i % 3 == 0 ? 200 * US : 0;
            must_be(ouro_call_task(to, adds_slowly, p, sizeof p, "adds"), 7 + 1000 * (int)to);
        }
    return 0;
}

static atomic_int asleep, ended;

static int sleeps(void *arg)
{
    int error;

    (void)arg;
    asleep++;
    error = ouro_sleep(OURO_FOREVER);
    (void)ouro_shield_enter();
    must_be(ouro_sleep(300 * US), 0); /* clearing up takes time, and is waited for */
    (void)ouro_shield_leave();
    ended++;
    return error;
}

/* By deadline, before or after it began; the answer says what became of the task. */
static int deadlines_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 60; i++) {
        struct ouro_call c;
        int began = asleep, over = ended, error;

        ouro_call_task_start(&c, i % SHARDS, sleeps, NULL, 0, "sleeps");
        error = ouro_await_for(&c.op.future, i % 4 * 100 * US);
        must_be(error, -ETIMEDOUT);
        must(ouro_done(&c.op.future));
        must_be(asleep - began, ended - over); /* what began has ended */
        must_be(c.how, asleep == began ? OURO_END_ABORTED : OURO_END_CANCELLED);
    }
    return 0;
}

static int calls_a_sleeper(void *arg)
{
    struct ouro_call c;

    ouro_call_task_start(&c, *(unsigned *)arg, sleeps, NULL, 0, "sleeps");
    must_be(ouro_await(&c.op.future), -ECANCELED);
    must(ouro_done(&c.op.future));
    return 0;
}

/* By cancelling the caller, at every stage of the way. */
static int cancels_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 100; i++) {
        unsigned to = i % SHARDS;
        int began = asleep, over = ended;
        ouro_fiber f;

        must_be(ouro_spawn_joinable(NULL, calls_a_sleeper, &to, sizeof to, &f), 0);
        for (unsigned k = 0; k < i / SHARDS % 5; k++)
            must_be(ouro_yield(), 0);
        if (i % 2)
            must_be(ouro_sleep(i * 10 * US), 0);
        must_be(ouro_fiber_cancel(f), 0);
        must(ouro_join(f, NULL) >= 0);
        must_be(asleep - began, ended - over);
    }
    return 0;
}

/* Many to a shard that has room for few fibers: the others are refused, and say so. */
static int crowd_main(void *arg)
{
    enum { N = 40 };
    static struct ouro_call c[N];
    int refused = 0, cancelled = 0;

    (void)arg;
    for (int i = 0; i < N; i++)
        ouro_call_task_start(&c[i], 1, sleeps, NULL, 0, "sleeps");
    for (int i = 0; i < N; i++) {
        int error = ouro_await_for(&c[i].op.future, 10 * MS);

        must(error == -EAGAIN || error == -ETIMEDOUT);
        refused += error == -EAGAIN;
        cancelled += error == -ETIMEDOUT;
        must_be(c[i].how, error == -EAGAIN ? OURO_END_ABORTED : OURO_END_CANCELLED);
    }
    must(refused > 0 && cancelled > 0);
    return 0;
}

static void crowd(void **state)
{
    struct ouro_options o = small_options(2);

    (void)state;
    o.max_fibers = 8;
    assert_int_equal(run_with(&o, crowd_main, NULL), 0);
}

/* A stop finds them under way: they are cancelled, and nobody waits for ever. */
static int stop_main(void *arg)
{
    static struct ouro_call c[SHARDS];
    int began = asleep;

    (void)arg;
    for (unsigned i = 0; i < SHARDS; i++)
        ouro_call_task_start(&c[i], i, sleeps, NULL, 0, "sleeps");
    until(asleep == began + SHARDS);
    ouro_stop();
    for (unsigned i = 0; i < SHARDS; i++)
        must_be(ouro_await(&c[i].op.future), -ECANCELED);
    must_be(ouro_call(1, sleeps, NULL, 0), -ECANCELED); /* refused: the caller is cancelled */
    return 5;
}

static void stop(void **state)
{
    struct ouro_options o = small_options(SHARDS);
    int value = 0;

    (void)state;
    assert_int_equal(ouro_run(&o, stop_main, NULL, &value), 0);
    assert_int_equal(value, 5);
}

static void in_every_way(int (*main_fn)(void *))
{
    static const uint32_t lanes[] = {1, 0};

    for (unsigned wake = OURO_WAKE_TRIED; wake <= OURO_WAKE_RING; wake++)
        for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
            struct ouro_options o = small_options(SHARDS);

            o.wake = wake;
            o.lane_messages = lanes[i];
            assert_int_equal(run_with(&o, main_fn, NULL), 0);
        }
}

static void values(void **state)
{
    (void)state;
    in_every_way(values_main);
}

static void deadlines(void **state)
{
    (void)state;
    in_every_way(deadlines_main);
}

static void cancels(void **state)
{
    (void)state;
    in_every_way(cancels_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(deadlines), cmocka_unit_test(cancels),
        cmocka_unit_test(crowd),  cmocka_unit_test(stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
