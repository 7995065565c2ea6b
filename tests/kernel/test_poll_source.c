/* SPDX-License-Identifier: MIT */
/* Watching a descriptor for good: by level and by edge, both styles; other events; what ends it;
 * stopping, closing, and what the descriptor's owner does meanwhile. */
#include "support/net_support.h"

#include <fcntl.h>
#include <sys/eventfd.h>

struct line {
    int near, far; /* the ends of a stream, not blocking */
};

static void line_open(struct line *l)
{
    int fd[2];

    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
    l->near = fd[0];
    l->far = fd[1];
}

static void line_close(struct line *l)
{
    close(l->near);
    close(l->far);
}

static void put(int fd)
{
    must_be(write(fd, "x", 1), 1);
}

static void get(int fd)
{
    char byte;

    must_be(read(fd, &byte, 1), 1);
}

/* Nothing to take, and nothing comes. */
static void quiet(struct ouro_poll_source *s)
{
    turns(4);
    must(!ouro_done(&s->ready));
    must_be(ouro_poll_take(s), -EAGAIN);
}

/* --- level and edge --------------------------------------------------------------------------- */

/* [POLL-2], [POLL-3]: what was taken is told again while it is so. */
static int level_main(void *arg)
{
    OURO_POLL_SOURCE(s);
    struct line l;

    (void)arg;
    line_open(&l);
    must_be(ouro_poll_source_open(&s, l.near, POLLIN, 0), 0);
    quiet(&s);
    put(l.far);
    put(l.far);
    for (int i = 0; i < 5; i++)
        must_be(ouro_poll_next(&s), POLLIN); /* nobody has read it */
    get(l.near);
    must_be(ouro_poll_next(&s), POLLIN); /* the look before the read may have been the last */
    get(l.near);
    turns(4);
    (void)ouro_poll_take(&s);
    quiet(&s);
    put(l.far);
    must_be(ouro_poll_next(&s), POLLIN);
    get(l.near); /* before the task waits: the kernel looks at what is there then */
    quiet(&s);
    close(l.far);
    must_be(ouro_poll_next(&s), POLLIN | POLLHUP);
    must_be(ouro_poll_source_close(&s), 0);
    close(l.near);
    return 0;
}

static int edge_main(void *arg)
{
    OURO_POLL_SOURCE(s);
    struct line l;

    (void)arg;
    line_open(&l);
    put(l.far);
    must_be(ouro_poll_source_open(&s, l.near, POLLIN, OURO_POLL_EDGE), 0);
    must_be(ouro_poll_next(&s), POLLIN); /* there before */
    quiet(&s);                           /* and not again */
    for (int i = 0; i < 100; i++) {
        put(l.far);
        must_be(ouro_poll_next(&s), POLLIN);
        quiet(&s);
    }
    put(l.far);
    put(l.far);
    turns(4);
    must_be(ouro_poll_take(&s), POLLIN); /* gathered */
    quiet(&s);
    must_be(ouro_poll_source_update(&s, POLLIN), 0); /* to look again */
    must_be(ouro_poll_next(&s), POLLIN);
    close(l.far);
    must(ouro_poll_next(&s) & POLLHUP);
    must_be(ouro_poll_source_close(&s), 0);
    close(l.near);
    return 0;
}

/* An edge each: far more than the kernel keeps one operation for, some of them while nobody looks.
 */
static int edges_main(void *arg)
{
    OURO_POLL_SOURCE(s);
    struct ouro_counters before, after;
    uint64_t value = 1, sum = 0;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    (void)arg;
    must_be(ouro_poll_source_open(&s, fd, POLLIN, OURO_POLL_EDGE), 0);
    before = counters_now();
    for (int i = 0; i < 1000; i++) {
        must_be(write(fd, &value, sizeof value), sizeof value);
        if (i % 3 == 0)
            turns(1);
        if (i % 7 != 0)
            continue;
        must_be(ouro_poll_next(&s), POLLIN);
        while (read(fd, &value, sizeof value) == sizeof value)
            sum += value;
        value = 1;
    }
    after = counters_now();
    must(after.submitted - before.submitted < 100); /* nothing for each */
    while (read(fd, &value, sizeof value) == sizeof value)
        sum += value;
    must_be(sum, 1000);
    must_be(ouro_poll_source_close(&s), 0);
    close(fd);
    return 0;
}

/* --- other events ----------------------------------------------------------------------------- */

static int update_main(void *arg)
{
    (void)arg;
    for (unsigned flags = 0; flags <= OURO_POLL_EDGE; flags++) {
        OURO_POLL_SOURCE(s);
        struct line l;

        line_open(&l);
        must_be(ouro_poll_source_open(&s, l.near, POLLIN, flags), 0);
        must_be(ouro_poll_source_update(&s, POLLOUT), 0); /* before the kernel heard of it */
        must_be(ouro_poll_next(&s), POLLOUT);
        must_be(ouro_poll_source_update(&s, POLLIN), 0);
        quiet(&s);
        must_be(ouro_poll_source_update(&s, POLLIN | POLLOUT), 0);
        must_be(ouro_poll_next(&s), POLLOUT);
        put(l.far);
        must_be(ouro_poll_source_update(&s, POLLIN | POLLOUT), 0);
        turns(6);
        must_be(ouro_poll_take(&s), POLLIN | POLLOUT);
        turns(6);
        must_be(ouro_poll_source_update(&s, 0), 0); /* what was not taken is forgotten */
        quiet(&s);
        must_be(ouro_poll_source_update(&s, POLLOUT), 0);
        must_be(ouro_poll_source_update(&s, POLLIN), 0); /* twice in a turn: the last counts */
        must_be(ouro_poll_next(&s), POLLIN);
        get(l.near);
        must_be(ouro_poll_source_update(&s, 0), 0);
        close(l.far);
        must_be(ouro_poll_next(&s) & (POLLIN | POLLOUT | POLLHUP), POLLHUP); /* always */
        must_be(ouro_poll_source_close(&s), 0);
        close(l.near);
    }
    return 0;
}

/* [POLL-1]: opened, updated, stopped and closed at any moment, while the other end writes. */
static bool pouring;

static int pour(void *arg)
{
    int fd = *(int *)arg;

    while (pouring) {
        (void)!write(fd, "xxxx", 4);
        turns(1);
    }
    return 0;
}

static int load_main(void *arg)
{
    static const short events[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, 0};
    uint64_t seed = test_seed();
    unsigned taken = 0;
    struct line l;

    (void)arg;
    line_open(&l);
    pouring = true;
    must_be(ouro_spawn(NULL, pour, &l.far, sizeof l.far), 0);
    for (int i = 0; i < 3000; i++) {
        OURO_POLL_SOURCE(s);
        char buf[64];

        must_be(ouro_poll_source_open(&s, l.near, events[random_next(&seed) % 4],
                                      random_next(&seed) % 2),
                0);
        for (unsigned step = random_next(&seed) % 6; step != 0; step--) {
            switch (random_next(&seed) % 4) {
            case 0:
                must_be(ouro_poll_source_update(&s, events[random_next(&seed) % 4]), 0);
                break;
            case 1: {
                int mask = ouro_poll_take(&s);

                must(mask == -EAGAIN || (mask > 0 && (mask & ~(POLLIN | POLLOUT)) == 0));
                taken += mask > 0;
                break;
            }
            case 2:
                (void)!read(l.near, buf, sizeof buf);
                break;
            default:
                turns(random_next(&seed) % 3);
                break;
            }
        }
        if (random_next(&seed) % 2 == 0)
            ouro_poll_source_stop(&s);
    }
    must(taken > 100);
    pouring = false;
    turns(2);
    line_close(&l);
    return 0;
}

/* --- stop, cancel, close ---------------------------------------------------------------------- */

static int stop_main(void *arg)
{
    (void)arg;
    for (unsigned flags = 0; flags <= OURO_POLL_EDGE; flags++)
        for (int ready = 0; ready < 2; ready++) {
            OURO_POLL_SOURCE(s);
            struct line l;

            line_open(&l);
            if (ready)
                put(l.far);
            must_be(ouro_poll_source_open(&s, l.near, POLLIN, flags), 0);
            turns(3);
            must_be(ouro_done(&s.ready), ready);
            ouro_poll_source_stop(&s);
            must(ouro_poll_take(&s) == (s.ready.state == OURO_DONE ? -ECANCELED : -EAGAIN));
            must_be(ouro_poll_source_update(&s, POLLIN), -EBADF);
            must_be(ouro_poll_next(&s), -ECANCELED);
            must_be(ouro_poll_next(&s), -ECANCELED);
            must_be(ouro_await(&s.op.future), -ECANCELED);
            ouro_poll_source_stop(&s); /* twice does no harm */
            must_be(ouro_poll_source_close(&s), 0);
            must_be(ouro_poll_source_close(&s), 0);
            must_be(ouro_poll_take(&s), -EBADF);
            line_close(&l);
        }
    return 0;
}

/* One wait of a task of either style; the source is another's, and goes on. */
static struct ouro_future *ready_of(void *arg)
{
    return &((struct ouro_poll_source *)arg)->ready;
}

static int waits_main(void *arg)
{
    OURO_POLL_SOURCE(s);
    struct line l;

    (void)arg;
    line_open(&l);
    must_be(ouro_poll_source_open(&s, l.near, POLLIN, 0), 0);
    for (enum style style = 0; style < STYLES; style++) {
        struct waiter w = {.start = ready_of, .arg = &s};

        if (style == FIBER) {
            waiter_spawn(&w, style, NULL);
            turns(2);
            waiter_cancel(&w);
            until(w.ended);
            must_be(w.result, -ECANCELED);
            must_be(ouro_await_until(&s.ready, ouro_after_ns(MS)), -ETIMEDOUT);
        }
        waiter_spawn(&w, style, NULL);
        turns(2);
        must(!w.ended);
        put(l.far);
        until(w.ended);
        must_be(w.result, 0);
        get(l.near);
        must_be(ouro_poll_take(&s), POLLIN);
        turns(3);
        (void)ouro_poll_take(&s);
    }
    must_be(ouro_poll_source_close(&s), 0);
    line_close(&l);
    return 0;
}

/* A stackless task's own: it stops, awaits the end, and closes. */
struct watch {
    struct ouro_task task;
    struct ouro_poll_source source;
    int fd, bytes;
    bool closed;
};

static void watch_resume(struct ouro_task *task)
{
    struct watch *w = OURO_FRAME(task, struct watch, task);
    int mask;

    OURO_BEGIN(task);
    must_be(ouro_poll_source_open(&w->source, w->fd, POLLIN, 0), 0);
    while ((mask = ouro_poll_take(&w->source)) > 0 || mask == -EAGAIN) {
        char buf[4];

        if (mask > 0)
            w->bytes += (int)read(w->fd, buf, sizeof buf);
        OURO_AWAIT(task, &w->source.ready);
    }
    must_be(mask, -ECANCELED);
    ouro_poll_source_stop(&w->source);
    must_be(ouro_shield_enter(), 0);
    OURO_AWAIT(task, &w->source.op.future);
    must_be(ouro_shield_leave(), 0);
    must_be(ouro_poll_source_close(&w->source), 0);
    w->closed = true;
    OURO_END(task, 0);
}

static int stackless_main(void *arg)
{
    struct watch w = {0};
    struct line l;

    (void)arg;
    line_open(&l);
    w.fd = l.near;
    must_be(ouro_task_start(NULL, &w.task, watch_resume, "watch"), 0);
    for (int i = 0; i < 20; i++) {
        put(l.far);
        until(w.bytes == i + 1);
    }
    ouro_task_cancel(&w.task);
    until(w.closed);
    line_close(&l);
    return 0;
}

/* A cancelled task takes nothing, and opens nothing; the way out closes what it has. */
static int cancelled_task(void *arg)
{
    OURO_POLL_SOURCE(s);
    OURO_POLL_SOURCE(late);
    int fd = *(int *)arg;

    must_be(ouro_poll_source_open(&s, fd, POLLIN, 0), 0);
    must_be(ouro_poll_next(&s), -ECANCELED);
    must_be(ouro_poll_take(&s), -ECANCELED);
    must_be(ouro_poll_source_open(&late, fd, POLLIN, 0), -ECANCELED);
    return 0;
}

static int cancelled_main(void *arg)
{
    struct line l;
    ouro_fiber f;

    (void)arg;
    line_open(&l);
    must_be(ouro_spawn_joinable(NULL, cancelled_task, &l.near, sizeof l.near, &f), 0);
    turns(3);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    line_close(&l);
    return 0;
}

/* --- what the owner of the descriptor does ---------------------------------------------------- */

/* It says that it is through with it, and closes it at once: the peer hears of it, and the number's
 * next owner is not watched. */
static int closed_main(void *arg)
{
    (void)arg;
    for (unsigned flags = 0; flags <= OURO_POLL_EDGE; flags++)
        for (int wait = 0; wait < 3; wait++) {
            OURO_POLL_SOURCE(s);
            struct line l, next;
            char byte;

            line_open(&l);
            must_be(ouro_poll_source_open(&s, l.near, POLLIN, flags), 0);
            turns((unsigned)wait);
            ouro_poll_source_stop(&s);
            close(l.near);
            line_open(&next); /* has the number */
            must_be(next.near, l.near);
            put(next.far);
            must_be(ouro_poll_next(&s), -ECANCELED);
            must_be(ouro_poll_source_close(&s), 0);
            must(ouro_poll(l.far, POLLIN) & POLLHUP);
            must_be(read(l.far, &byte, 1), 0);
            close(l.far);
            get(next.near);
            line_close(&next);
        }
    return 0;
}

/* It closes it without a word: the file stays until the source ends, as the header says. */
static int silent_main(void *arg)
{
    OURO_POLL_SOURCE(s);
    struct line l;

    (void)arg;
    line_open(&l);
    must_be(ouro_poll_source_open(&s, l.near, POLLIN, OURO_POLL_EDGE), 0);
    turns(3);
    close(l.near);
    must_be(ouro_await_for(&s.ready, MS), -ETIMEDOUT);
    put(l.far); /* somebody still holds the other end */
    must_be(ouro_poll_next(&s), POLLIN);
    must_be(ouro_poll_source_update(&s, POLLIN), 0);
    must_be(ouro_poll_next(&s), -EBADF); /* there is no such descriptor to look at again */
    must_be(ouro_poll_source_update(&s, POLLIN), -EBADF);
    must_be(ouro_poll_source_close(&s), 0);
    must_be(write(l.far, "x", 1), -1);
    must_be(errno, EPIPE);
    close(l.far);
    return 0;
}

/* --- refused ---------------------------------------------------------------------------------- */

static int refused_main(void *arg)
{
    struct ouro_poll_source s;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)arg;
    must_be(ouro_poll_source_open(NULL, fd, POLLIN, 0), -EINVAL);
    must_be(ouro_poll_source_open(&s, fd, POLLIN, 2), -EINVAL);
    must_be(ouro_poll_source_close(&s), 0);
    must_be(ouro_poll_source_open(&s, -1, POLLIN, 0), -EBADF);
    must_be(ouro_poll_take(&s), -EBADF);
    must_be(ouro_poll_take(NULL), -EINVAL);
    must_be(ouro_poll_source_update(NULL, 0), -EINVAL);
    must_be(ouro_poll_source_update(&s, 0), -EBADF);
    must_be(ouro_poll_source_close(NULL), -EINVAL);
    ouro_poll_source_stop(NULL);
    must_be(ouro_poll_source_open(&s, 1 << 20, POLLIN, 0), 0); /* the kernel finds out */
    must_be(ouro_poll_next(&s), -EBADF);
    must_be(ouro_poll_next(&s), -EBADF);
    must_be(ouro_poll_source_update(&s, POLLIN), -EBADF);
    must_be(ouro_poll_source_close(&s), 0);
    must_be(ouro_poll_source_open(&s, fd, POLLIN, 0), 0);
    must_be(ouro_poll_next(&s), POLLIN); /* always ready */
    must_be(ouro_poll_source_close(&s), 0);
    close(fd);
    return 0;
}

static void refused(void **state)
{
    struct ouro_poll_source s;

    (void)state;
    assert_int_equal(ouro_poll_source_open(&s, 0, POLLIN, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_poll_take(&s), -OURO_ENOSHARD);
    assert_int_equal(ouro_poll_source_update(&s, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_poll_source_close(&s), -OURO_ENOSHARD);
    ouro_poll_source_stop(&s);
    assert_int_equal(run_on(1, refused_main, NULL), 0);
}

ON_ONE_SHARD(level)
ON_ONE_SHARD(edge)
ON_ONE_SHARD(edges)
ON_ONE_SHARD(update)
ON_ONE_SHARD(load)
ON_ONE_SHARD(stop)
ON_ONE_SHARD(waits)
ON_ONE_SHARD(stackless)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(closed)
ON_ONE_SHARD(silent)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level),  cmocka_unit_test(edge),      cmocka_unit_test(edges),
        cmocka_unit_test(update), cmocka_unit_test(load),      cmocka_unit_test(stop),
        cmocka_unit_test(waits),  cmocka_unit_test(stackless), cmocka_unit_test(cancelled),
        cmocka_unit_test(closed), cmocka_unit_test(silent),    cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
