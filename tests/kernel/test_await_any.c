/* SPDX-License-Identifier: MIT */
/* Waiting for any of several futures: the lowest index that is DONE, and the others go on
 * untouched. */
#include "support/support.h"

#include <poll.h>
#include <sys/eventfd.h>

#define N 4

static struct ouro_timer timer[N];
static struct ouro_future *futures[N];

static void start(const uint64_t *ms)
{
    memset(timer, 0, sizeof timer);
    for (int i = 0; i < N; i++) {
        must_be(ouro_sleep_start(&timer[i], ms[i] * MS), 0);
        futures[i] = &timer[i].future;
    }
}

static void stop(void)
{
    for (int i = 0; i < N; i++) {
        must(timer[i].future.waiter == NULL);
        ouro_timer_cancel(&timer[i]);
    }
}

/* One after the other, by leaving out those that have been. */
static int one_by_one_main(void *arg)
{
    static const int order[] = {2, 0, 3, 1};
    struct ouro_poll poll[N];
    uint64_t one = 1;
    int fd[N];

    (void)arg;
    for (int i = 0; i < N; i++) {
        fd[i] = eventfd(0, EFD_CLOEXEC);
        must(fd[i] >= 0);
        ouro_poll_start(&poll[i], fd[i], POLLIN);
        futures[i] = &poll[i].op.future;
    }
    for (int i = 0; i < N; i++) {
        must_be(write(fd[order[i]], &one, sizeof one), sizeof one);
        must_be(ouro_await_any(futures, N, OURO_FOREVER), order[i]);
        must_be(ouro_result(futures[order[i]]), POLLIN);
        for (int k = i + 1; k < N; k++)
            must_be(futures[order[k]]->state, OURO_PENDING);
        futures[order[i]] = NULL;
        must_be(close(fd[order[i]]), 0);
    }
    must_be(ouro_await_any(futures, N, OURO_FOREVER), -EINVAL); /* only NULL is left */
    return 0;
}

static int several_main(void *arg)
{
    (void)arg;
    start((const uint64_t[]){1000000, 0, 1000000, 0});
    until(ouro_done(&timer[1].future) && ouro_done(&timer[3].future));
    must_be(ouro_await_any(futures, N, OURO_FOREVER), 1); /* the lowest */
    must_be(ouro_await_any(futures, N, 1), 1);
    stop();
    must_be(ouro_result(&timer[0].future), -ECANCELED);
    must_be(ouro_result(&timer[1].future), 0);
    return 0;
}

static int deadline_main(void *arg)
{
    uint64_t begin;

    (void)arg;
    start((const uint64_t[]){1000000, 1000000, 1000000, 1000000});
    begin = ouro_now_precise_ns();
    must_be(ouro_await_any(futures, N, begin + 2 * MS), -ETIMEDOUT);
    must(ouro_now_precise_ns() - begin >= 2 * MS);
    must_be(ouro_await_any(futures, N, 1), -ETIMEDOUT);
    for (int i = 0; i < N; i++)
        must_be(timer[i].future.state, OURO_PENDING); /* nothing was cancelled */
    stop();
    return 0;
}

static int waits(void *arg)
{
    start((const uint64_t[]){1000000, 1000000, 1000000, 1000000});
    *(bool *)arg = true;
    must_be(ouro_await_any(futures, N, ouro_after_ns(20 * SEC)), -ECANCELED);
    for (int i = 0; i < N; i++)
        must_be(timer[i].future.state, OURO_PENDING);
    stop();
    return 0;
}

static int cancelled_main(void *arg)
{
    bool ready = false;
    ouro_fiber f;

    (void)arg;
    must_be(ouro_spawn_joinable(NULL, waits, &ready, 0, &f), 0);
    until(ready);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_timer idle = {0};

    (void)arg;
    start((const uint64_t[]){0, 0, 0, 0});
    until(ouro_done(futures[3]));
    must_be(ouro_await_any(futures, 0, OURO_FOREVER), -EINVAL);
    must_be(ouro_await_any(NULL, N, OURO_FOREVER), -EINVAL);
    must_be(ouro_await_any(futures, SIZE_MAX, OURO_FOREVER), -EINVAL);
    futures[3] = &idle.future;
    must_be(ouro_await_any(futures, N, OURO_FOREVER), -EINVAL); /* also when another one is DONE */
    return 0;
}

ON_ONE_SHARD(one_by_one)
ON_ONE_SHARD(several)
ON_ONE_SHARD(deadline)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_by_one), cmocka_unit_test(several), cmocka_unit_test(deadline),
        cmocka_unit_test(cancelled),  cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
