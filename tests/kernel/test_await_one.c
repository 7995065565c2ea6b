/* SPDX-License-Identifier: MIT */
/* Waiting for one future: done before or after the wait began, with and without a deadline, in both
 * styles; and what is refused. */
#include "support/support.h"

#include <poll.h>
#include <sys/eventfd.h>

static struct ouro_future *start_2ms(void *arg)
{
    must_be(ouro_sleep_start(arg, 2 * MS), 0);
    return &((struct ouro_timer *)arg)->future;
}

static struct ouro_future *start_never(void *arg)
{
    must_be(ouro_timer_start(arg, OURO_FOREVER), 0);
    return &((struct ouro_timer *)arg)->future;
}

struct polled {
    struct ouro_poll poll;
    int fd;
};

static struct ouro_future *start_poll(void *arg)
{
    struct polled *p = arg;

    ouro_poll_start(&p->poll, p->fd, POLLIN);
    return &p->poll.op.future;
}

/* Runs one wait; returns its result and asserts that the future is DONE, as every wait promises. */
static int wait_for(enum style style, struct ouro_future *(*start)(void *), void *arg,
                    uint64_t deadline)
{
    struct waiter w = {.start = start, .arg = arg, .deadline_ns = deadline};
    struct ouro_scope scope;

    must_be(ouro_scope_enter(&scope, 0), 0);
    waiter_spawn(&w, style, &scope);
    (void)ouro_scope_leave(&scope);
    must(w.ended);
    must(ouro_done(w.future));
    return w.result;
}

static int deadlines_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++) {
        struct ouro_timer t = {0};
        uint64_t start = ouro_now_precise_ns();

        must_be(wait_for(style, start_2ms, &t, 0), 0);
        must_be(wait_for(style, start_2ms, &t, OURO_FOREVER), 0);
        must_be(wait_for(style, start_2ms, &t, ouro_after_ns(20 * SEC)), 0);
        must(ouro_now_precise_ns() - start >= 6 * MS);
        start = ouro_now_precise_ns();
        must_be(wait_for(style, start_never, &t, start + 3 * MS), -ETIMEDOUT);
        must(ouro_now_precise_ns() - start >= 3 * MS);
        must_be(wait_for(style, start_never, &t, 1), -ETIMEDOUT); /* long past */
        must_be(wait_for(style, start_never, &t, ouro_now_ns()), -ETIMEDOUT);
        must_be(ouro_result(&t.future), -ECANCELED); /* of the future itself */
    }
    return 0;
}

/* Operations in the kernel: the time-out cancels them there, or finds them completed. */
static int operations_main(void *arg)
{
    struct polled p = {.fd = eventfd(0, EFD_CLOEXEC)};
    uint64_t one = 1;

    (void)arg;
    must(p.fd >= 0);
    for (enum style style = 0; style < STYLES; style++) {
        must_be(wait_for(style, start_poll, &p, ouro_after_ns(2 * MS)), -ETIMEDOUT);
        must_be(write(p.fd, &one, sizeof one), sizeof one);
        must_be(wait_for(style, start_poll, &p, ouro_after_ns(20 * SEC)), POLLIN);
        must_be(wait_for(style, start_poll, &p, 0), POLLIN);
        must_be(read(p.fd, &one, sizeof one), sizeof one);
    }
    must_be(close(p.fd), 0);
    return 0;
}

static int done_before_main(void *arg)
{
    struct ouro_timer t = {0};

    (void)arg;
    must_be(ouro_timer_start(&t, 0), 0);
    until(ouro_done(&t.future));
    must_be(ouro_await(&t.future), 0); /* as often as one likes */
    must_be(ouro_await(&t.future), 0);
    must_be(ouro_await_until(&t.future, 1), 0);
    must_be(ouro_await_for(&t.future, 0), 0);
    must_be(ouro_result(&t.future), 0);
    ouro_cancel(&t.future); /* nothing happens */
    must_be(ouro_result(&t.future), 0);
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_timer t = {0};

    (void)arg;
    must_be(ouro_await(&t.future), -EINVAL); /* never started */
    must_be(ouro_await_until(&t.future, OURO_FOREVER), -EINVAL);
    must_be(ouro_await_until(NULL, OURO_FOREVER), -EINVAL);
    must_be(ouro_await_for(&t.future, 0), -EINVAL);
    ouro_cancel(NULL);
    ouro_cancel(&t.future);
    must(!ouro_done(&t.future));
    return 0;
}

/* ouro_await_for() with 0 does not wait longer than a turn; OURO_FOREVER and near it never times
 * out. */
static int relative_main(void *arg)
{
    struct ouro_timer t = {0};

    (void)arg;
    must_be(ouro_timer_start(&t, OURO_FOREVER), 0);
    must_be(ouro_await_for(&t.future, 0), -ETIMEDOUT);
    must_be(ouro_sleep_start(&t, MS), 0);
    must_be(ouro_await_for(&t.future, OURO_FOREVER), 0);
    must_be(ouro_sleep_start(&t, MS), 0);
    must_be(ouro_await_for(&t.future, OURO_FOREVER - 1), 0); /* saturates */
    return 0;
}

static void off_shard(void **state)
{
    struct ouro_timer t = {0};
    struct ouro_future *f = &t.future;

    (void)state;
    t.future.state = OURO_PENDING;
    assert_int_equal(ouro_await(&t.future), -OURO_ENOSHARD);
    assert_int_equal(ouro_await_until(&t.future, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_await_for(&t.future, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_await_all(&f, 1, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_await_any(&f, 1, 0), -OURO_ENOSHARD);
    ouro_cancel(&t.future);
    assert_int_equal(t.future.state, OURO_PENDING);
}

ON_ONE_SHARD(deadlines)
ON_ONE_SHARD(operations)
ON_ONE_SHARD(done_before)
ON_ONE_SHARD(refused)
ON_ONE_SHARD(relative)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines), cmocka_unit_test(operations), cmocka_unit_test(done_before),
        cmocka_unit_test(refused),   cmocka_unit_test(relative),   cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
