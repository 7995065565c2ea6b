/* SPDX-License-Identifier: MIT */
/* Yielding lets every other ready task run first, in both styles, and tells of cancellation. */
#include "support/support.h"

#define TASKS  6
#define ROUNDS 50

static unsigned trace[TASKS * ROUNDS], traced;

static int fiber_rounds(void *arg)
{
    unsigned number = *(unsigned *)arg;

    for (int i = 0; i < ROUNDS; i++) {
        trace[traced++] = number;
        must_be(ouro_yield(), 0);
    }
    return 0;
}

struct rounds {
    struct ouro_task task;
    unsigned number;
    int i;
};

static void rounds_resume(struct ouro_task *task)
{
    struct rounds *r = OURO_FRAME(task, struct rounds, task);

    OURO_BEGIN(task);
    for (r->i = 0; r->i < ROUNDS; r->i++) {
        trace[traced++] = r->number;
        OURO_YIELD(task);
    }
    OURO_END(task, 0);
}

/* Fibers and stackless tasks mixed: strictly one after the other, round by round. */
static int fair_main(void *arg)
{
    static struct rounds r[TASKS];
    struct ouro_scope scope;

    (void)arg;
    traced = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < TASKS; i++) {
        r[i] = (struct rounds){.number = i};
        if (i % 2 == 0)
            must_be(ouro_spawn(&scope, fiber_rounds, &i, sizeof i), 0);
        else
            must_be(ouro_task_start(&scope, &r[i].task, rounds_resume, "rounds"), 0);
    }
    must_be(ouro_scope_leave(&scope), 0);
    must_be(traced, TASKS * ROUNDS);
    for (unsigned i = 0; i < traced; i++)
        must_be(trace[i], i % TASKS);
    return 0;
}

static int alone_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        must_be(ouro_yield(), 0);
    return 0;
}

static int yields(void *arg)
{
    bool *runs = arg;

    *runs = true;
    for (int i = 0; i < 100000; i++)
        if (ouro_yield() == -ECANCELED) {
            must_be(ouro_yield(), -ECANCELED); /* for good */
            must_be(ouro_shield_enter(), 0);
            must_be(ouro_yield(), 0);
            must_be(ouro_shield_leave(), 0);
            return 1;
        }
    return 0;
}

/* Cancelled while it stood in the queue: the yield that it is in tells so. */
static int cancelled_main(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .joinable = true, .must_run = true};
    bool runs = false;
    ouro_fiber f;
    int value = 0;

    (void)arg;
    must_be(ouro_spawn_with(NULL, yields, &runs, 0, &o, &f), 0);
    while (!runs)
        must_be(ouro_yield(), 0);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 1);

    must_be(ouro_spawn_with(NULL, yields, &runs, 0, &o, &f), 0);
    must_be(ouro_fiber_cancel(f), 0); /* before it ran */
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 1);
    return 0;
}

static void off_shard(void **state)
{
    (void)state;
    assert_int_equal(ouro_yield(), -OURO_ENOSHARD);
    assert_false(ouro_should_yield());
}

ON_ONE_SHARD(fair)
ON_ONE_SHARD(alone)
ON_ONE_SHARD(cancelled)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fair),
        cmocka_unit_test(alone),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
