/* SPDX-License-Identifier: MIT */
/* Promises kept from elsewhere: other shards, threads that are none; one of many wins; races with
 * cancellation, dropping and the stop; a full inbox. */
#include "support/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "shard/mesh.h"

enum { THREADS = 4, ROUNDS = 500 };

static struct ouro_promise promise;
static atomic_int winners, winner, round_no, arrived;

static int insist(struct ouro_promise *p, int result)
{
    int error;

    while ((error = ouro_promise_complete_remote(p, result)) == -EAGAIN)
        sched_yield();
    return error;
}

/* --- one of many ------------------------------------------------------------------------------ */

static void *race_on(void *arg)
{
    int me = (int)(intptr_t)arg;

    for (int i = 1; i <= ROUNDS; i++) {
        int error;

        while (round_no < i)
            sched_yield();
        error = insist(&promise, me);
        must(error == 0 || error == -EALREADY || error == -EINVAL); /* it may be dropped */
        if (error == 0) {
            winner = me;
            winners++;
        }
        arrived++;
    }
    return NULL;
}

/* [PROMISE-1] */
static int race_main(void *arg)
{
    pthread_t thread[THREADS];

    (void)arg;
    memset(&promise, 0, sizeof promise);
    round_no = winners = arrived = 0;
    for (intptr_t i = 0; i < THREADS; i++)
        must_be(pthread_create(&thread[i], NULL, race_on, (void *)i), 0);
    for (int i = 1; i <= ROUNDS; i++) {
        int result;

        must_be(ouro_promise_init(&promise), 0);
        round_no = i;
        result = ouro_promise_await(&promise);
        until(arrived == i * THREADS); /* nobody touches this round's any more */
        must_be(winners, i);
        must_be(result, winner);
    }
    for (int i = 0; i < THREADS; i++)
        must_be(pthread_join(thread[i], NULL), 0);
    return 0;
}

/* --- between shards --------------------------------------------------------------------------- */

static int from_each(void *arg)
{
    struct ouro_promise *all = arg;
    int shard = ouro_current_shard();

    for (int i = 0; i < 100; i++)
        must_be(ouro_promise_complete_remote(&all[shard * 100 + i], shard * 100 + i), 0);
    return 0;
}

static int shards_main(void *arg)
{
    static struct ouro_promise all[300];

    (void)arg;
    memset(all, 0, sizeof all);
    for (int i = 0; i < 300; i++)
        must_be(ouro_promise_init(&all[i]), 0);
    for (unsigned shard = 0; shard < 3; shard++)
        must_be(ouro_spawn_remote(shard, from_each, all, "from each"), 0);
    for (int i = 0; i < 300; i++)
        must_be(ouro_promise_await(&all[i]), i);
    return 0;
}

/* --- against cancellation --------------------------------------------------------------------- */

struct keeper {
    struct ouro_promise *promise;
    atomic_int begin, done;
};

static void *keep_each(void *arg)
{
    struct keeper *k = arg;

    for (int i = 1; i <= ROUNDS; i++) {
        while (k->begin < i)
            sched_yield();
        must_be(insist(k->promise, i), 0);
        k->done = i;
    }
    return NULL;
}

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

/* The wait says truly which came first, and the promise is kept in any case. */
static int cancel_main(void *arg)
{
    struct keeper k = {.promise = &promise};
    unsigned kept = 0, cut = 0;
    pthread_t thread;

    (void)arg;
    memset(&promise, 0, sizeof promise);
    must_be(pthread_create(&thread, NULL, keep_each, &k), 0);
    for (int i = 1; i <= ROUNDS; i++) {
        struct await a = {.promise = &promise};
        struct waiter w = {.start = start, .arg = &a};

        must_be(ouro_promise_init(&promise), 0);
        waiter_spawn(&w, i % STYLES, NULL);
        must_be(ouro_yield(), 0);
        k.begin = i;
        if (i % 3 == 0) /* here already, and the waiter not yet run */
            until(ouro_promise_kept(&promise));
        else if (i % 3 == 1) /* in the inbox */
            while (k.done < i)
                continue;
        waiter_cancel(&w); /* else anywhere */
        until(w.ended);
        must_be(w.result, a.wait.kept ? i : -ECANCELED);
        kept += a.wait.kept;
        cut += !a.wait.kept;
        must_be(ouro_promise_await(&promise), i);
        until(k.done == i);
    }
    must_be(pthread_join(thread, NULL), 0);
    must(kept >= ROUNDS / 3 && cut >= ROUNDS / 3);
    return 0;
}

/* Memory that goes at once after the drop: what was on its way has come in. */
static int drop_main(void *arg)
{
    unsigned kept = 0;
    pthread_t thread;

    (void)arg;
    memset(&promise, 0, sizeof promise);
    winners = arrived = round_no = 0;
    must_be(pthread_create(&thread, NULL, race_on, NULL), 0);
    for (int i = 1; i <= ROUNDS; i++) {
        struct ouro_promise_wait w;

        must_be(ouro_promise_init(&promise), 0);
        ouro_promise_wait_start(&w, &promise);
        round_no = i;
        for (int spin = 0; spin < i % 5; spin++)
            must_be(ouro_yield(), 0);
        if (i % 3 == 0)
            until(arrived == i); /* on its way for certain, or here */
        must_be(ouro_promise_drop(&promise), 0);
        must(ouro_done(&w.op.future));
        must_be(ouro_result(&w.op.future), w.kept ? 0 : -EOWNERDEAD);
        kept += w.kept;
        if (i % 3 == 0)
            must(w.kept);
        memset(promise.message, 0xff, sizeof promise.message); /* as if it were another's */
        until(arrived == i);
        memset(&promise, 0, sizeof promise);
    }
    must_be(pthread_join(thread, NULL), 0);
    must_be(kept, winners);
    return 0;
}

/* --- no room ---------------------------------------------------------------------------------- */

static atomic_uint ran;

static int nothing(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

static void *fill(void *arg)
{
    unsigned *n = arg;

    while (ouro_spawn_remote(0, nothing, NULL, "nothing") == 0)
        ++*n;
    for (int i = 0; i < 10; i++)
        must_be(ouro_promise_complete_remote(&promise, 1), -EAGAIN);
    return NULL;
}

static void *once(void *arg)
{
    must_be(insist(&promise, (int)(intptr_t)arg), 0);
    return NULL;
}

static int full_main(void *arg)
{
    unsigned n = 0;
    pthread_t thread;

    (void)arg;
    memset(&promise, 0, sizeof promise);
    ran = 0;
    must_be(ouro_promise_init(&promise), 0);
    must_be(pthread_create(&thread, NULL, fill, &n), 0);
    must_be(pthread_join(thread, NULL), 0); /* the shard was held meanwhile */
    must_be(n, INBOX_MESSAGES);
    must(!ouro_promise_kept(&promise));
    must_be(ouro_promise_init(&promise), 0); /* nothing is on its way */
    until(ran == n);
    must_be(pthread_create(&thread, NULL, once, (void *)2), 0);
    must_be(ouro_promise_await(&promise), 2);
    must_be(pthread_join(thread, NULL), 0);
    return 0;
}

/* On its way, and neither armed again nor completed by anybody else. */
static int held_main(void *arg)
{
    pthread_t thread;

    (void)arg;
    memset(&promise, 0, sizeof promise);
    must_be(ouro_promise_init(&promise), 0);
    must_be(pthread_create(&thread, NULL, once, (void *)3), 0);
    must_be(pthread_join(thread, NULL), 0);
    must(!ouro_promise_kept(&promise));
    must_be(ouro_promise_init(&promise), -EBUSY);
    must_be(ouro_promise_complete(&promise, 4), -EALREADY);
    must_be(ouro_promise_complete_remote(&promise, 4), -EALREADY);
    must_be(ouro_promise_await(&promise), 3);
    must_be(ouro_promise_init(&promise), 0);
    must_be(ouro_promise_complete_remote(&promise, 5), 0); /* its own shard: at once */
    must(ouro_promise_kept(&promise));
    return 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

static pthread_t late;

static void *keeps_late(void *arg)
{
    (void)arg;
    while (!ouro_stopping())
        sched_yield();
    must_be(insist(&promise, 11), 0);
    return NULL;
}

/* While the runtime stops a shielded wait still gets its result. */
static int stopping_main(void *arg)
{
    int error;

    (void)arg;
    memset(&promise, 0, sizeof promise);
    must_be(ouro_promise_init(&promise), 0);
    must_be(pthread_create(&late, NULL, keeps_late, NULL), 0);
    ouro_stop();
    error = ouro_promise_await(&promise); /* kept before the stop got here, perhaps */
    must(error == 11 || error == -ECANCELED);
    must_be(ouro_shield_enter(), 0);
    must_be(ouro_promise_await(&promise), 11);
    must_be(ouro_shield_leave(), 0);
    return 0;
}

static atomic_bool ended;

/* Until nobody is there any more. */
static void *keeps_on(void *arg)
{
    int error;

    (void)arg;
    while ((error = ouro_promise_complete_remote(&promise, 12)) != -ESHUTDOWN)
        must(error == 0 || error == -EALREADY || error == -EAGAIN || error == -EINVAL);
    ended = true;
    return NULL;
}

static int ended_main(void *arg)
{
    (void)arg;
    memset(&promise, 0, sizeof promise);
    must_be(ouro_promise_init(&promise), 0);
    must_be(pthread_create(&late, NULL, keeps_on, NULL), 0);
    return 0;
}

static void run(ouro_task_fn *fn, unsigned shards)
{
    assert_int_equal(run_on(shards, fn, NULL), 0);
}

#define TEST(name, shards)                                                                         \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run(name##_main, shards);                                                                  \
    }

TEST(race, 1)
TEST(shards, 3)
TEST(cancel, 1)
TEST(drop, 1)
TEST(full, 1)
TEST(held, 1)

static void stopping(void **state)
{
    struct ouro_options o = small_options(1);
    int value = -1;

    (void)state;
    assert_int_equal(ouro_run(&o, stopping_main, NULL, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(pthread_join(late, NULL), 0);
    assert_int_equal(ouro_run(&o, ended_main, NULL, &value), 0);
    assert_int_equal(pthread_join(late, NULL), 0);
    assert_true(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(race),     cmocka_unit_test(shards), cmocka_unit_test(cancel),
        cmocka_unit_test(drop),     cmocka_unit_test(full),   cmocka_unit_test(held),
        cmocka_unit_test(stopping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
