/* SPDX-License-Identifier: MIT */
/* Promises on their own shard: kept once, for all who wait, in order; waits that end before; arming
 * again; dropping; every refusal. */
#include "support/support.h"

static struct ouro_promise promise;

struct await {
    struct ouro_promise_wait wait;
    struct ouro_promise *promise;
};

static struct ouro_future *start(void *arg)
{
    struct await *a = arg;

    ouro_promise_wait_start(&a->wait, a->promise);
    return &a->wait.op.future;
}

static void fresh(struct ouro_promise *p)
{
    memset(p, 0, sizeof *p);
    must_be(ouro_promise_init(p), 0);
}

/* Any int is a result, an error too; who comes later gets it at once. */
static int results_main(void *arg)
{
    static const int results[] = {0, 1, -1, -ECANCELED, -ETIMEDOUT, INT32_MIN, INT32_MAX};
    struct ouro_promise p = {0};

    (void)arg;
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        for (enum style style = 0; style < STYLES; style++) {
            struct await a = {.promise = &p};
            struct waiter w = {.start = start, .arg = &a};

            must_be(ouro_promise_init(&p), 0);
            must(!ouro_promise_kept(&p));
            waiter_spawn(&w, style, NULL);
            until(w.started);
            (void)ouro_yield();
            must(!w.ended && !a.wait.kept);
            must_be(ouro_promise_complete(&p, results[i]), 0);
            must(ouro_promise_kept(&p));
            must_be(ouro_promise_complete(&p, 99), -EALREADY);
            until(w.ended);
            must_be(w.result, results[i]);
            must(a.wait.kept); /* whatever the result looks like */
            must_be(ouro_promise_await(&p), results[i]);
            must_be(ouro_promise_await_until(&p, 0), results[i]);
        }
    return 0;
}

/* --- several ---------------------------------------------------------------------------------- */

enum { MANY = 50 };

static unsigned woken[MANY], wakes;

static int in_turn(void *arg)
{
    unsigned number = *(unsigned *)arg;

    must_be(ouro_promise_await(&promise), 5);
    woken[wakes++] = number;
    return 0;
}

static int order_main(void *arg)
{
    (void)arg;
    fresh(&promise);
    wakes = 0;
    for (unsigned i = 0; i < MANY; i++)
        must_be(ouro_spawn(NULL, in_turn, &i, sizeof i), 0);
    must_be(ouro_yield(), 0);
    must_be(ouro_promise_complete(&promise, 5), 0);
    must_be(wakes, 0); /* they run later */
    until(wakes == MANY);
    for (unsigned i = 0; i < MANY; i++)
        must_be(woken[i], i);
    return 0;
}

/* [PROMISE-2]: waits are given up, from both ends and the middle; the others and the promise stay.
 */
static int given_up_main(void *arg)
{
    enum { N = 5 };

    (void)arg;
    for (unsigned gone = 1; gone < 1u << N; gone++)
        for (enum style style = 0; style < STYLES; style++) {
            struct await a[N];
            struct waiter w[N];

            fresh(&promise);
            for (unsigned i = 0; i < N; i++) {
                a[i] = (struct await){.promise = &promise};
                w[i] = (struct waiter){.start = start, .arg = &a[i]};
                waiter_spawn(&w[i], style, NULL);
            }
            must_be(ouro_yield(), 0);
            for (unsigned i = 0; i < N; i++)
                if ((gone & 1u << i) != 0 && i % 2 == 0)
                    waiter_cancel(&w[i]);
                else if ((gone & 1u << i) != 0)
                    ouro_cancel(w[i].future);
            for (unsigned i = 0; i < N; i++)
                if ((gone & 1u << i) != 0)
                    until(w[i].ended);
            must(!ouro_promise_kept(&promise));
            must_be(ouro_promise_complete(&promise, 3), 0);
            for (unsigned i = 0; i < N; i++) {
                bool left = (gone & 1u << i) != 0;

                until(w[i].ended);
                must_be(w[i].result, left ? -ECANCELED : 3);
                must_be(a[i].wait.kept, !left);
            }
        }
    return 0;
}

static int deadline_main(void *arg)
{
    (void)arg;
    fresh(&promise);
    for (enum style style = 0; style < STYLES; style++) {
        struct await a = {.promise = &promise};
        struct waiter w = {.start = start, .arg = &a, .deadline_ns = ouro_after_ns(MS)};

        waiter_spawn(&w, style, NULL);
        until(w.ended);
        must_be(w.result, -ETIMEDOUT);
        must(!a.wait.kept);
    }
    must_be(ouro_promise_await_until(&promise, ouro_after_ns(MS)), -ETIMEDOUT);
    must_be(ouro_promise_complete(&promise, 8), 0);
    must_be(ouro_promise_await(&promise), 8);
    return 0;
}

/* One task waits for several, and twice for one. */
static int combined_main(void *arg)
{
    struct ouro_promise two = {0};
    struct ouro_promise_wait w[3];
    struct ouro_future *f[] = {&w[0].op.future, &w[1].op.future, &w[2].op.future};

    (void)arg;
    fresh(&promise);
    must_be(ouro_promise_init(&two), 0);
    ouro_promise_wait_start(&w[0], &promise);
    ouro_promise_wait_start(&w[1], &two);
    ouro_promise_wait_start(&w[2], &promise);
    must_be(ouro_promise_complete(&two, 2), 0);
    must_be(ouro_await_any(f, 3, OURO_FOREVER), 1);
    must_be(ouro_await_all(f, 3, ouro_after_ns(MS)), -ETIMEDOUT);
    must_be(ouro_result(f[0]), -ECANCELED);
    must_be(ouro_result(f[1]), 2);
    must_be(ouro_result(f[2]), -ECANCELED);
    {
        OURO_OP(struct ouro_promise_wait, left); /* and left behind, which drains it */

        ouro_promise_wait_start(&left, &promise);
    }
    must_be(ouro_promise_drop(&promise), 0);
    return 0;
}

/* --- again ------------------------------------------------------------------------------------ */

static int again_main(void *arg)
{
    struct ouro_promise_wait old, new;

    (void)arg;
    fresh(&promise);
    must_be(ouro_promise_init(&promise), 0); /* nobody minds */
    ouro_promise_wait_start(&old, &promise);
    must_be(ouro_promise_init(&promise), -EBUSY);
    must_be(ouro_promise_complete(&promise, 1), 0);
    must_be(ouro_promise_init(&promise), 0);
    must(!ouro_promise_kept(&promise));
    ouro_promise_wait_start(&new, &promise);
    must_be(ouro_await(&old.op.future), 1); /* the former round's */
    must(!ouro_done(&new.op.future));
    must_be(ouro_promise_complete(&promise, 2), 0);
    must_be(ouro_await(&new.op.future), 2);
    return 0;
}

/* --- dropped ---------------------------------------------------------------------------------- */

static int owner(void *arg)
{
    struct ouro_promise **where = *(struct ouro_promise ***)arg;
    OURO_PROMISE(mine);

    must_be(ouro_promise_init(&mine), 0);
    *where = &mine;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    return 0;
}

static int dropped_main(void *arg)
{
    struct ouro_promise *theirs = NULL, **where = &theirs;
    struct await a[STYLES];
    struct waiter w[STYLES];
    ouro_fiber f;

    (void)arg;
    must_be(ouro_spawn_joinable(NULL, owner, &where, sizeof where, &f), 0);
    until(theirs != NULL);
    for (enum style style = 0; style < STYLES; style++) {
        a[style] = (struct await){.promise = theirs};
        w[style] = (struct waiter){.start = start, .arg = &a[style]};
        waiter_spawn(&w[style], style, NULL);
    }
    must_be(ouro_yield(), 0);
    must_be(ouro_fiber_cancel(f), 0); /* its frame goes, and the promise with it */
    for (enum style style = 0; style < STYLES; style++) {
        until(w[style].ended);
        must_be(w[style].result, -EOWNERDEAD);
        must(!a[style].wait.kept);
    }
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);

    fresh(&promise);
    must_be(ouro_promise_drop(&promise), 0);
    must_be(ouro_promise_drop(&promise), 0);
    must_be(ouro_promise_complete(&promise, 0), -EINVAL);
    must_be(ouro_promise_complete_remote(&promise, 0), -EINVAL);
    must_be(ouro_promise_await(&promise), -EINVAL);
    must_be(ouro_promise_init(&promise), 0); /* and back */
    must_be(ouro_promise_complete(&promise, 6), 0);
    must_be(ouro_promise_drop(&promise), 0); /* kept: nobody misses anything */
    must_be(ouro_promise_await(&promise), -EINVAL);
    return 0;
}

/* --- refused ---------------------------------------------------------------------------------- */

static int elsewhere(void *arg)
{
    struct ouro_promise_wait w;

    (void)arg;
    if (ouro_current_shard() == 0)
        return 0;
    must_be(ouro_promise_complete(&promise, 0), -OURO_EOTHERSHARD);
    must_be(ouro_promise_drop(&promise), -OURO_EOTHERSHARD);
    must_be(ouro_promise_init(&promise), -OURO_EOTHERSHARD);
    must_be(ouro_promise_await(&promise), -OURO_EOTHERSHARD);
    ouro_promise_wait_start(&w, &promise);
    must(ouro_done(&w.op.future) && !w.kept);
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_promise none = {0}, garbage;

    (void)arg;
    must_be(ouro_promise_init(NULL), -EINVAL);
    must_be(ouro_promise_complete(NULL, 0), -EINVAL);
    must_be(ouro_promise_complete_remote(NULL, 0), -EINVAL);
    must_be(ouro_promise_drop(NULL), -EINVAL);
    must(!ouro_promise_kept(NULL));
    must_be(ouro_promise_await(NULL), -EINVAL);
    must_be(ouro_promise_await(&none), -EINVAL);
    must_be(ouro_promise_complete(&none, 0), -EINVAL);
    must_be(ouro_promise_complete_remote(&none, 0), -EINVAL);
    must_be(ouro_promise_drop(&none), 0);
    memset(&garbage, 0x5a, sizeof garbage);
    must_be(ouro_promise_init(&garbage), -EINVAL);

    fresh(&promise);
    must_be(ouro_on_each_shard(elsewhere, NULL, "elsewhere", NULL), 0);
    must_be(ouro_promise_complete(&promise, 4), 0);
    must_be(ouro_promise_await(&promise), 4);
    return 0;
}

/* A cancelled task's waits end; what is kept already is not hidden from it. */
static int cancelled_task(void *arg)
{
    (void)arg;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(ouro_promise_await(&promise), -ECANCELED);
    must_be(ouro_promise_complete(&promise, 7), 0);
    must_be(ouro_promise_await(&promise), 7);
    return 0;
}

static int cancelled_main(void *arg)
{
    ouro_fiber f;

    (void)arg;
    fresh(&promise);
    must_be(ouro_spawn_joinable(NULL, cancelled_task, NULL, 0, &f), 0);
    must_be(ouro_yield(), 0);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    return 0;
}

/* The stop ends waits; a shielded one still hears of what comes while the runtime drains. */
static int waits_for_good(void *arg)
{
    (void)arg;
    must_be(ouro_promise_await(&promise), -ECANCELED);
    must_be(ouro_promise_complete(&promise, 9), 0);
    return 0;
}

static int shielded(void *arg)
{
    (void)arg;
    must_be(ouro_shield_enter(), 0);
    must_be(ouro_promise_await(&promise), 9);
    must_be(ouro_shield_leave(), 0);
    wakes++;
    return 0;
}

static int stop_main(void *arg)
{
    (void)arg;
    fresh(&promise);
    wakes = 0;
    must_be(ouro_spawn(NULL, waits_for_good, NULL, 0), 0);
    must_be(ouro_spawn(NULL, shielded, NULL, 0), 0);
    must_be(ouro_yield(), 0);
    ouro_stop();
    return 0;
}

ON_ONE_SHARD(results)
ON_ONE_SHARD(order)
ON_ONE_SHARD(given_up)
ON_ONE_SHARD(deadline)
ON_ONE_SHARD(combined)
ON_ONE_SHARD(again)
ON_ONE_SHARD(dropped)
ON_ONE_SHARD(cancelled)

static void refused(void **state)
{
    (void)state;
    assert_int_equal(ouro_promise_init(&promise), -OURO_ENOSHARD);
    assert_int_equal(run_on(2, refused_main, NULL), 0);
    assert_int_equal(ouro_promise_complete(&promise, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_promise_drop(&promise), -OURO_ENOSHARD);
    assert_int_equal(ouro_promise_complete_remote(&promise, 0), -ESHUTDOWN);
}

static void stop(void **state)
{
    (void)state;
    assert_int_equal(run_on(1, stop_main, NULL), 0);
    assert_int_equal(wakes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results),  cmocka_unit_test(order),     cmocka_unit_test(given_up),
        cmocka_unit_test(deadline), cmocka_unit_test(combined),  cmocka_unit_test(again),
        cmocka_unit_test(dropped),  cmocka_unit_test(cancelled), cmocka_unit_test(refused),
        cmocka_unit_test(stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
