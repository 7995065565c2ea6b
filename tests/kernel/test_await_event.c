/* SPDX-License-Identifier: MIT */
/* Conditions (a source's `ready`): the wait for one can be cancelled or time out, the condition
 * goes on. In both styles, alone and among others. */
#include "support/support.h"

#include "shard/task.h"

static struct ouro_future event;

static struct ouro_future *the_event(void *arg)
{
    (void)arg;
    return &event;
}

/* How a wait for the event ends: fired, cancelled, or timed out. */
static int one_wait(enum style style, bool fire, bool cancel, uint64_t deadline)
{
    struct waiter w = {.start = the_event, .deadline_ns = deadline};
    struct ouro_scope scope;

    future_init(&event, KIND_EVENT);
    must_be(ouro_scope_enter(&scope, 0), 0);
    waiter_spawn(&w, style, &scope);
    until(w.started);
    must(deadline != 0 || event.waiter != NULL);
    if (fire)
        future_complete(shard_self, &event, 5);
    if (cancel)
        waiter_cancel(&w);
    (void)ouro_scope_leave(&scope);
    must(w.ended);
    must(event.waiter == NULL);
    must_be(event.state, fire ? OURO_DONE : OURO_PENDING);
    return w.result;
}

static int alone_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++) {
        must_be(one_wait(style, true, false, 0), 5);
        must_be(one_wait(style, true, true, 0), 5); /* it had fired */
        must_be(one_wait(style, true, false, ouro_after_ns(20 * SEC)), 5);
        must_be(one_wait(style, false, false, ouro_after_ns(MS)), -ETIMEDOUT);
        must_be(one_wait(style, false, false, 1), -ETIMEDOUT);
        must_be(one_wait(style, false, true, ouro_after_ns(20 * SEC)), -ECANCELED);
    }
    must_be(one_wait(FIBER, false, true, 0), -ECANCELED);
    (void)one_wait(STACKLESS, false, true, 0); /* goes on; what it takes then says -ECANCELED */
    return 0;
}

static int cancels(void *arg)
{
    must_be(ouro_fiber_cancel(*(ouro_fiber *)arg), 0);
    return 0;
}

static int waits_for_all(void *arg)
{
    struct ouro_timer t = {0};
    struct ouro_future *both[] = {&event, &t.future};

    (void)arg;
    must_be(ouro_timer_start(&t, OURO_FOREVER), 0);
    must_be(ouro_await_all(both, 2, OURO_FOREVER), -ECANCELED);
    must(ouro_done(&t.future));
    must_be(event.state, OURO_PENDING);
    must(event.waiter == NULL);
    return 0;
}

static int among_main(void *arg)
{
    struct ouro_timer t = {0};
    struct ouro_future *both[] = {&event, &t.future};
    ouro_fiber f;

    (void)arg;
    future_init(&event, KIND_EVENT);
    must_be(ouro_sleep_start(&t, MS), 0);
    must_be(ouro_await_any(both, 2, OURO_FOREVER), 1);
    must(event.waiter == NULL);
    must_be(ouro_timer_start(&t, OURO_FOREVER), 0);
    must_be(ouro_await_all(both, 2, ouro_after_ns(MS)), -ETIMEDOUT);
    must(ouro_done(&t.future));
    must(event.waiter == NULL);
    must_be(event.state, OURO_PENDING);

    must_be(ouro_spawn_joinable(NULL, waits_for_all, NULL, 0, &f), 0);
    must_be(ouro_spawn(NULL, cancels, &f, sizeof f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    ouro_cancel(&event); /* it is not cancellable */
    must_be(event.state, OURO_PENDING);
    return 0;
}

ON_ONE_SHARD(alone)
ON_ONE_SHARD(among)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(alone), cmocka_unit_test(among)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
