/* SPDX-License-Identifier: MIT */
/* Cancellation is level-triggered: once asked for, every wait of the task says so until it ends,
 * whatever it waits for, and what it starts is cancelled at once. */
#include "support/support.h"

#include <fcntl.h>
#include <poll.h>
#include <ouro/file.h>

static int never(void *arg)
{
    *(bool *)arg = true;
    return ouro_sleep(OURO_FOREVER);
}

/* Every kind of wait, one after the other, in a task that is cancelled. */
static int waits(void *arg)
{
    struct ouro_timer t = {0}, u = {0};
    struct ouro_future *both[] = {&t.future, &u.future};
    struct ouro_interval interval;
    struct ouro_scope scope;
    struct ouro_open open;
    struct ouro_poll poll;
    ouro_fiber other = *(ouro_fiber *)arg;

    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED); /* the one in which it struck */
    must(ouro_cancelled());
    for (int i = 0; i < 3; i++) {
        must_be(ouro_sleep(0), -ECANCELED);
        must_be(ouro_sleep_until(0), -ECANCELED);
        must_be(ouro_yield(), -ECANCELED);
        must_be(ouro_join(other, NULL), -ECANCELED);
        must_be(ouro_signal(OURO_SIGNAL_BIT(15)), -ECANCELED);
        must_be(ouro_scope_enter(&scope, 0), -ECANCELED);
        must_be(ouro_interval_init(&interval, MS), 0);
        must_be(ouro_interval_tick(&interval), -ECANCELED);
        must_be(ouro_timer_start(&t, 0), -ECANCELED);
        must(ouro_done(&t.future));
        must_be(ouro_sleep_start(&u, 0), -ECANCELED);
        must_be(ouro_await(&t.future), -ECANCELED);
        must_be(ouro_await_all(both, 2, OURO_FOREVER), 0); /* both are DONE: nothing to wait for */
        must_be(ouro_await_any(both, 2, OURO_FOREVER), 0);
        must_be(ouro_poll(0, POLLIN), -ECANCELED);
        ouro_poll_start(&poll, 0, POLLIN);
        must(ouro_done(&poll.op.future));
        ouro_open_start(&open, "/dev/null", O_RDONLY, 0);
        must_be(ouro_await(&open.op.future), -ECANCELED);
        must_be(ouro_on_each_shard(never, NULL, "each", NULL), -ECANCELED);
    }
    must(ouro_cancelled());
    return 4;
}

static int every_wait_main(void *arg)
{
    struct ouro_scope scope;
    bool runs = false;
    ouro_fiber other, f;
    int value = 0;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn_joinable(&scope, never, &runs, 0, &other), 0);
    must_be(ouro_spawn_joinable(&scope, waits, &other, sizeof other, &f), 0);
    until(runs);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_fiber_cancel(f), 0); /* twice is once */
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 4);
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

/* One's own: it shows at the next wait, not before. */
static int cancels_itself(void *arg)
{
    (void)arg;
    must(!ouro_cancelled());
    ouro_task_cancel(ouro_current_task());
    must(ouro_cancelled());
    must_be(ouro_sleep(0), -ECANCELED);
    return 9;
}

static int itself_main(void *arg)
{
    ouro_fiber f;
    int value = 0;

    (void)arg;
    must_be(ouro_spawn_joinable(NULL, cancels_itself, NULL, 0, &f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 9);
    return 0;
}

/* A task that has ended, or was never there, is not cancelled; neither is its successor on the
 * stack. */
static int returns(void *arg)
{
    (void)arg;
    must(!ouro_cancelled());
    must_be(ouro_yield(), 0);
    must(!ouro_cancelled());
    return 0;
}

static int ended_main(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o};
    struct ouro_scope scope;
    ouro_fiber f[50];

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (int i = 0; i < 50; i++)
        must_be(ouro_spawn_with(&scope, returns, NULL, 0, &o, &f[i]), 0);
    must_be(ouro_scope_leave(&scope), 0);
    for (int i = 0; i < 50; i++)
        must_be(ouro_fiber_cancel(f[i]), -ESRCH);
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (int i = 0; i < 50; i++)
        must_be(ouro_spawn_with(&scope, returns, NULL, 0, &o, NULL), 0);
    for (int i = 0; i < 50; i++)
        must_be(ouro_fiber_cancel(f[i]), -ESRCH);
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

ON_ONE_SHARD(every_wait)
ON_ONE_SHARD(itself)
ON_ONE_SHARD(ended)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wait),
        cmocka_unit_test(itself),
        cmocka_unit_test(ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
