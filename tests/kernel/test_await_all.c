/* SPDX-License-Identifier: MIT */
/* Waiting for all of several futures: when it returns, for whatever reason, every one of them is
 * DONE. */
#include "support/support.h"

#include <poll.h>
#include <sys/eventfd.h>

#define N 8

struct set {
    struct ouro_timer timer[N];
    struct ouro_poll poll;
    struct ouro_future *futures[N + 2];
    int fd;
};

/* Timers that fire after i ms in a scrambled order (at most `fire` of them, the others never), a
 * poll that nothing ends unless `ready`, and a NULL. */
static void start(struct set *set, int fire, bool ready)
{
    uint64_t one = 1;

    memset(set, 0, sizeof *set);
    set->fd = eventfd(0, EFD_CLOEXEC);
    must(set->fd >= 0);
    for (int i = 0; i < N; i++) {
        int when = i * 5 % N;

        must_be(when < fire ? ouro_sleep_start(&set->timer[i], (unsigned)when * MS)
                            : ouro_timer_start(&set->timer[i], OURO_FOREVER),
                0);
        set->futures[i < 3 ? i : i + 1] = &set->timer[i].future;
    }
    ouro_poll_start(&set->poll, set->fd, POLLIN);
    set->futures[N + 1] = &set->poll.op.future;
    if (ready)
        must_be(write(set->fd, &one, sizeof one), sizeof one);
}

static void end(struct set *set, int fired, bool ready)
{
    for (int i = 0; i < N; i++) {
        must(ouro_done(&set->timer[i].future));
        must_be(ouro_result(&set->timer[i].future), i * 5 % N < fired ? 0 : -ECANCELED);
    }
    must(ouro_done(&set->poll.op.future));
    must_be(ouro_result(&set->poll.op.future), ready ? POLLIN : -ECANCELED);
    must_be(close(set->fd), 0);
}

static int all_main(void *arg)
{
    struct set set;
    uint64_t begin;

    (void)arg;
    start(&set, N, true);
    begin = ouro_now_precise_ns();
    must_be(ouro_await_all(set.futures, N + 2, OURO_FOREVER), 0);
    must(ouro_now_precise_ns() - begin >= (N - 1) * MS - 100 * US);
    must_be(ouro_await_all(set.futures, N + 2, OURO_FOREVER), 0); /* all are DONE already */
    must_be(ouro_await_all(set.futures, N + 2, 1), 0);
    end(&set, N, true);

    start(&set, N, true);
    must_be(ouro_await_all(set.futures, N + 2, ouro_after_ns(20 * SEC)), 0);
    end(&set, N, true);
    must_be(ouro_await_all(NULL, 0, OURO_FOREVER), 0);
    must_be(ouro_await_all(set.futures, 0, 1), 0);
    return 0;
}

static int deadline_main(void *arg)
{
    struct set set;

    (void)arg;
    start(&set, 1, false);
    must_be(ouro_await_all(set.futures, N + 2, ouro_after_ns(3 * MS)), -ETIMEDOUT);
    end(&set, 1, false);
    start(&set, 0, false);
    must_be(ouro_await_all(set.futures, N + 2, 1), -ETIMEDOUT);
    end(&set, 0, false);
    return 0;
}

struct waiting {
    struct set set;
    bool ready;
};

static int waits(void *arg)
{
    struct waiting *w = arg;

    start(&w->set, 1, true);
    w->ready = true;
    must_be(ouro_await_all(w->set.futures, N + 2, ouro_after_ns(20 * SEC)), -ECANCELED);
    end(&w->set, 1, true);
    return 0;
}

static int cancelled_main(void *arg)
{
    struct waiting *w = calloc(1, sizeof *w);
    ouro_fiber f;

    (void)arg;
    must_be(ouro_spawn_joinable(NULL, waits, w, 0, &f), 0);
    until(w->ready);
    until(ouro_done(&w->set.timer[0].future) && ouro_done(&w->set.poll.op.future));
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    free(w);
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_timer t = {0}, idle = {0};
    struct ouro_future *two[] = {&t.future, &idle.future}, *nothing[] = {NULL, NULL};

    (void)arg;
    must_be(ouro_timer_start(&t, OURO_FOREVER), 0);
    must_be(ouro_await_all(two, 2, OURO_FOREVER), -EINVAL);
    must(!ouro_done(&t.future)); /* and nothing was done to the other */
    must_be(ouro_await_all(NULL, 1, OURO_FOREVER), -EINVAL);
    must_be(ouro_await_all(nothing, 2, OURO_FOREVER),
            0); /* NULL entries are skipped: none is left */
    ouro_timer_cancel(&t);
    return 0;
}

ON_ONE_SHARD(all)
ON_ONE_SHARD(deadline)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all),
        cmocka_unit_test(deadline),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
