/* SPDX-License-Identifier: MIT */
/* Stopping a timer in each of its states, starting it again, and what starting refuses. */
#include "support/support.h"

static void hold(uint64_t ns)
{
    uint64_t end = ouro_now_precise_ns() + ns;

    while (ouro_now_precise_ns() < end)
        continue;
}

static int states_main(void *arg)
{
    struct ouro_timer t = {0};

    (void)arg;
    ouro_timer_cancel(NULL);
    ouro_timer_cancel(&t); /* idle */
    must_be(t.future.state, OURO_IDLE);
    must_be(ouro_timer_start(&t, ouro_after_ns(60 * SEC)), 0);
    must_be(ouro_timer_start(&t, 0), -EBUSY); /* and it goes on */
    must_be(t.future.state, OURO_PENDING);
    ouro_timer_cancel(&t);
    must(ouro_done(&t.future)); /* when it returns */
    must_be(ouro_result(&t.future), -ECANCELED);
    ouro_timer_cancel(&t); /* DONE */
    must_be(ouro_result(&t.future), -ECANCELED);

    must_be(ouro_timer_start(&t, ouro_after_ns(60 * SEC)), 0);
    ouro_cancel(&t.future); /* the same by the future */
    must_be(ouro_await(&t.future), -ECANCELED);

    must_be(ouro_sleep_start(&t, 100 * US), 0);
    hold(MS); /* due, and not yet fired: the turn has not ended */
    must(!ouro_done(&t.future));
    ouro_timer_cancel(&t);
    must_be(ouro_result(&t.future), -ECANCELED);

    must_be(ouro_sleep_start(&t, 100 * US), 0);
    must_be(ouro_await(&t.future), 0);
    ouro_timer_cancel(&t); /* it had fired */
    must_be(ouro_result(&t.future), 0);
    must_be(ouro_timer_start(NULL, 0), -EINVAL);
    must_be(ouro_sleep_start(NULL, 0), -EINVAL);
    return 0;
}

/* Several fall due in one turn, and the first to be woken cancels the rest, whose waiters are
 * ready. */
static struct ouro_timer crowd[10];
static unsigned fired, stopped;

static int one_of_many(void *arg)
{
    unsigned i = *(unsigned *)arg;

    must_be(ouro_sleep_start(&crowd[i], 100 * US), 0);
    if (ouro_await(&crowd[i].future) == 0)
        fired++;
    else
        stopped++;
    for (unsigned k = 0; k < 10; k++)
        ouro_timer_cancel(&crowd[k]);
    return 0;
}

static int crowded_main(void *arg)
{
    (void)arg;
    for (unsigned round = 0; round < 50; round++) {
        struct ouro_scope scope;

        memset(crowd, 0, sizeof crowd);
        fired = stopped = 0;
        must_be(ouro_scope_enter(&scope, 0), 0);
        for (unsigned i = 0; i < 10; i++)
            must_be(ouro_spawn(&scope, one_of_many, &i, sizeof i), 0);
        must_be(ouro_yield(), 0);
        hold((round % 3) * 200 * US);
        must_be(ouro_scope_leave(&scope), 0);
        must_be(fired + stopped, 10);
        must(fired > 0);
    }
    return 0;
}

/* The block is left while it runs: nothing points into the dead frame. */
static __attribute__((noinline)) void leaves_block(void)
{
    OURO_TIMER(a);
    OURO_TIMER(b);
    OURO_TIMER(idle);

    (void)idle;
    must_be(ouro_sleep_start(&a, MS), 0);
    must_be(ouro_timer_start(&b, OURO_FOREVER), 0);
}

static int blocks_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        leaves_block();
    must_be(ouro_sleep(3 * MS), 0);
    return 0;
}

static struct ouro_future *sleep_for_ever(void *arg)
{
    must_be(ouro_timer_start(arg, OURO_FOREVER), 0);
    return &((struct ouro_timer *)arg)->future;
}

static int waited_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++) {
        struct ouro_timer t = {0};
        struct waiter w = {.start = sleep_for_ever, .arg = &t};
        struct ouro_scope scope;

        must_be(ouro_scope_enter(&scope, 0), 0);
        waiter_spawn(&w, style, &scope);
        until(w.started);
        ouro_timer_cancel(&t); /* by somebody else: its waiter hears of it */
        must_be(ouro_scope_leave(&scope), -ECANCELED);
        must_be(w.result, -ECANCELED);
        waiter_spawn(&w, style, NULL);
        until(w.started);
        waiter_cancel(&w);
        until(w.ended);
        must_be(w.result, -ECANCELED);
    }
    return 0;
}

static void off_shard(void **state)
{
    struct ouro_timer t = {0};

    (void)state;
    assert_int_equal(ouro_timer_start(&t, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_result(&t.future), -OURO_ENOSHARD);
    assert_int_equal(ouro_sleep_start(&t, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_sleep(0), -OURO_ENOSHARD);
    assert_int_equal(ouro_sleep_until(0), -OURO_ENOSHARD);
    ouro_timer_cancel(&t);
}

ON_ONE_SHARD(states)
ON_ONE_SHARD(crowded)
ON_ONE_SHARD(blocks)
ON_ONE_SHARD(waited)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states), cmocka_unit_test(crowded),   cmocka_unit_test(blocks),
        cmocka_unit_test(waited), cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
