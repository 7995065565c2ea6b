/* SPDX-License-Identifier: MIT */
/* Waiting for an arbitrary descriptor: what is ready, cut short, out of time, and what is no
 * descriptor. */
#include "support/net_support.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static int pipes_main(void *arg)
{
    struct ouro_poll p;
    int fd[2];
    char byte;

    (void)arg;
    must_be(pipe2(fd, O_CLOEXEC), 0);
    must_be(ouro_poll(fd[1], POLLOUT), POLLOUT);
    ouro_poll_start(&p, fd[0], POLLIN);
    turns(3);
    must(!ouro_done(&p.op.future));
    must_be(write(fd[1], "x", 1), 1);
    must_be(ouro_await(&p.op.future), POLLIN);
    must_be(ouro_poll(fd[0], POLLIN | POLLOUT), POLLIN); /* level: it still is */
    must_be(read(fd[0], &byte, 1), 1);
    ouro_poll_start(&p, fd[0], POLLIN); /* once more */
    turns(2);
    must(!ouro_done(&p.op.future));
    close(fd[1]);
    must(ouro_await(&p.op.future) & POLLHUP);
    close(fd[0]);
    return 0;
}

static int events_main(void *arg)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t value = 1;

    (void)arg;
    must(fd >= 0);
    for (int i = 0; i < 100; i++) {
        struct ouro_poll p;

        ouro_poll_start(&p, fd, POLLIN);
        if (i % 2)
            turns(2);
        must_be(write(fd, &value, sizeof value), sizeof value);
        must_be(ouro_await(&p.op.future), POLLIN);
        must_be(read(fd, &value, sizeof value), sizeof value);
        must_be(value, 1);
    }
    close(fd);
    return 0;
}

/* Another thread's clock, so to speak: nobody on this shard makes it ready. */
static int timers_main(void *arg)
{
    struct itimerspec when = {.it_value = {.tv_nsec = 2000000}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    uint64_t start = ouro_now_precise_ns();

    (void)arg;
    must_be(timerfd_settime(fd, 0, &when, NULL), 0);
    must_be(ouro_poll(fd, POLLIN), POLLIN);
    must(ouro_now_precise_ns() - start >= 2 * MS);
    close(fd);
    return 0;
}

struct job {
    struct ouro_poll poll;
    int fd;
};

static struct ouro_future *start(void *arg)
{
    struct job *j = arg;

    ouro_poll_start(&j->poll, j->fd, POLLIN);
    return &j->poll.op.future;
}

static int cut_short_main(void *arg)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    (void)arg;
    for (enum style style = 0; style < STYLES; style++) {
        struct job j = {.fd = fd};
        struct waiter w = {.start = start, .arg = &j};

        waiter_spawn(&w, style, NULL);
        turns(2);
        waiter_cancel(&w);
        until(w.ended);
        must_be(w.result, -ECANCELED);

        waiter_spawn(&w, style, NULL);
        turns(2);
        ouro_cancel(w.future);
        until(w.ended);
        must_be(w.result, -ECANCELED);

        w.deadline_ns = ouro_after_ns(MS);
        waiter_spawn(&w, style, NULL);
        until(w.ended);
        must_be(w.result, -ETIMEDOUT);
    }
    {
        OURO_OP(struct ouro_poll, p);

        ouro_poll_start(&p, fd, POLLIN);
    }
    close(fd); /* it stayed ours */
    return 0;
}

/* Many waiters on one descriptor: all hear. */
static int many_main(void *arg)
{
    enum { N = 100 };
    static struct ouro_poll p[N];
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t value = 1;

    (void)arg;
    for (int i = 0; i < N; i++)
        ouro_poll_start(&p[i], fd, POLLIN);
    turns(3);
    must_be(write(fd, &value, sizeof value), sizeof value);
    for (int i = 0; i < N; i++)
        must_be(ouro_await(&p[i].op.future), POLLIN);
    close(fd);
    return 0;
}

static int bad_main(void *arg)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)arg;
    must_be(ouro_poll(-1, POLLIN), -EBADF);
    must_be(ouro_poll(1 << 20, POLLIN), -EBADF);
    must_be(ouro_poll(fd, POLLIN), POLLIN); /* always ready */
    close(fd);
    must_be(ouro_poll(fd, POLLIN), -EBADF);
    return 0;
}

ON_ONE_SHARD(pipes)
ON_ONE_SHARD(events)
ON_ONE_SHARD(timers)
ON_ONE_SHARD(cut_short)
ON_ONE_SHARD(many)
ON_ONE_SHARD(bad)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipes),     cmocka_unit_test(events), cmocka_unit_test(timers),
        cmocka_unit_test(cut_short), cmocka_unit_test(many),   cmocka_unit_test(bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
