/* SPDX-License-Identifier: MIT */
/* Waiting for a signal is a future: its number, to everybody who waits; kept while nobody waits;
 * cancelled and timed out like any other; and what is refused. */
#include "support/support.h"

#include <signal.h>

#define USR1 OURO_SIGNAL_BIT(SIGUSR1)
#define HUP  OURO_SIGNAL_BIT(SIGHUP)
#define TERM OURO_SIGNAL_BIT(SIGTERM)
#define INT  OURO_SIGNAL_BIT(SIGINT)

struct want {
    struct ouro_signal_wait wait;
    uint64_t set;
};

static struct ouro_future *start(void *arg)
{
    struct want *w = arg;

    (void)ouro_signal_start(&w->wait, w->set);
    return &w->wait.op.future;
}

static void send_signal(int number)
{
    must_be(kill(getpid(), number), 0);
}

static int delivered_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++) {
        struct want want[3] = {{.set = USR1}, {.set = USR1 | HUP}, {.set = HUP}};
        struct waiter w[3];
        struct ouro_scope scope;

        must_be(ouro_scope_enter(&scope, 0), 0);
        for (int i = 0; i < 3; i++) {
            w[i] = (struct waiter){.start = start, .arg = &want[i]};
            waiter_spawn(&w[i], style, &scope);
        }
        until(w[0].started && w[1].started && w[2].started);
        send_signal(SIGUSR1);
        until(w[0].ended && w[1].ended);
        must_be(w[0].result, SIGUSR1);
        must_be(w[1].result, SIGUSR1);
        must(!w[2].ended);
        send_signal(SIGHUP);
        must_be(ouro_scope_leave(&scope), 0);
        must_be(w[2].result, SIGHUP);
    }
    return 0;
}

/* Come while nobody waits, after somebody did: one of each, the lowest first. */
static int kept_main(void *arg)
{
    struct ouro_signal_wait probe;

    (void)arg;
    must_be(ouro_signal_start(&probe, USR1 | HUP), 0);
    must_be(ouro_await_for(&probe.op.future, 0), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        send_signal(SIGUSR1);
        send_signal(SIGHUP);
        must_be(ouro_sleep(2 * MS), 0); /* they are read meanwhile, or the waits below read them */
    }
    must_be(ouro_signal(USR1 | HUP), SIGHUP);
    must_be(ouro_signal(USR1 | HUP), SIGUSR1);
    must_be(ouro_signal_start(&probe, USR1 | HUP), 0);
    must_be(ouro_await_for(&probe.op.future, 5 * MS), -ETIMEDOUT);
    return 0;
}

static int given_up_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++) {
        struct want want[3] = {{.set = USR1}, {.set = USR1}, {.set = USR1}};
        struct waiter w[3];

        for (int i = 0; i < 3; i++)
            w[i] = (struct waiter){.start = start, .arg = &want[i]};
        w[1].deadline_ns = ouro_after_ns(MS);
        for (int i = 0; i < 3; i++)
            waiter_spawn(&w[i], style, NULL);
        until(w[0].started && w[2].started);
        waiter_cancel(&w[0]);
        until(w[0].ended && w[1].ended);
        must_be(w[0].result, -ECANCELED);
        must_be(w[1].result, -ETIMEDOUT);
        send_signal(SIGUSR1);
        until(w[2].ended);
        must_be(w[2].result, SIGUSR1);
    }
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_signal_wait w;

    (void)arg;
    must_be(ouro_signal_start(NULL, USR1), -EINVAL);
    must_be(ouro_signal_start(&w, 0), -EINVAL);
    must_be(ouro_signal_start(&w, OURO_SIGNAL_BIT(SIGUSR2)), -EINVAL); /* was not asked for */
    must_be(ouro_signal_start(&w, OURO_SIGNAL_BIT(SIGPIPE)), -EINVAL);
    must_be(ouro_signal_start(&w, USR1 | OURO_SIGNAL_BIT(SIGUSR2)), -EINVAL);
    must_be(ouro_result(&w.op.future), -EINVAL);
    must_be(ouro_await(&w.op.future), -EINVAL);
    return 0;
}

static int elsewhere(void *arg)
{
    (void)arg;
    return ouro_current_shard() == 0 ? 0 : ouro_signal(USR1);
}

static int shard_main(void *arg)
{
    (void)arg;
    must_be(ouro_on_each_shard(elsewhere, NULL, "elsewhere", NULL), -OURO_EOTHERSHARD);
    return 0;
}

/* A stop that somebody waits for is his business: the runtime goes on. */
static int claimed_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct want want = {.set = TERM | INT};
        struct waiter w = {.start = start, .arg = &want};

        waiter_spawn(&w, FIBER, NULL);
        until(w.started);
        send_signal(SIGTERM);
        until(w.ended);
        must_be(w.result, SIGTERM);
        must(!ouro_stopping());
    }
    send_signal(SIGTERM); /* kept: somebody did wait */
    must_be(ouro_sleep(2 * MS), 0);
    must(!ouro_stopping());
    must_be(ouro_signal(TERM), SIGTERM);
    return 0;
}

#define WITH_SIGNALS(name, shards)                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        struct ouro_options o = small_options(shards);                                             \
                                                                                                   \
        (void)state;                                                                               \
        o.signals = USR1 | HUP;                                                                    \
        assert_int_equal(run_with(&o, name##_main, NULL), 0);                                      \
    }
WITH_SIGNALS(delivered, 1)
WITH_SIGNALS(kept, 1)
WITH_SIGNALS(given_up, 1)
WITH_SIGNALS(refused, 1)
WITH_SIGNALS(shard, 2)
WITH_SIGNALS(claimed, 1)

static int left_main(void *arg)
{
    (void)arg;
    must_be(ouro_signal(TERM), -EINVAL);
    must_be(ouro_signal(USR1), -EINVAL);
    return 0;
}

static void left_alone(void **state)
{
    struct ouro_options o = small_options(1);
    struct ouro_signal_wait w;

    (void)state;
    o.leave_signals = true;
    o.signals = USR1;
    assert_int_equal(run_with(&o, left_main, NULL), 0);
    assert_int_equal(ouro_signal_start(&w, USR1), -OURO_ENOSHARD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivered),  cmocka_unit_test(kept),  cmocka_unit_test(given_up),
        cmocka_unit_test(refused),    cmocka_unit_test(shard), cmocka_unit_test(claimed),
        cmocka_unit_test(left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
