/* SPDX-License-Identifier: MIT */
/* A deadline, a completion and a cancellation that come in one turn: what was completed wins, and
 * the next wait on the same futures works. In both styles. */
#include "support/support.h"

#include <poll.h>
#include <sys/eventfd.h>

struct both {
    struct ouro_timer timer;
    struct ouro_poll poll;
    uint64_t at_ns;
    int fd;
};

static struct ouro_future *start_timer(void *arg)
{
    struct both *b = arg;

    must_be(ouro_timer_start(&b->timer, b->at_ns), 0);
    return &b->timer.future;
}

static struct ouro_future *start_poll(void *arg)
{
    struct both *b = arg;

    ouro_poll_start(&b->poll, b->fd, POLLIN);
    return &b->poll.op.future;
}

/* Holds the shard, so that all that falls due meanwhile comes in the next turn. */
static void hold_until(uint64_t ns)
{
    while (ouro_now_precise_ns() < ns)
        continue;
}

/* A timer and the deadline of the wait for it, at distances of up to a tick either way. */
static int timers_main(void *arg)
{
    (void)arg;
    for (int i = -4; i <= 4; i++)
        for (unsigned k = 0; k < 2 * STYLES; k++) {
            enum style style = k % STYLES;
            struct both b = {.at_ns = ouro_after_ns(MS)};
            struct waiter w = {.start = start_timer,
                               .arg = &b,
                               .deadline_ns = b.at_ns + (uint64_t)(i * (int64_t)OURO_TICK_NS / 4)};
            struct ouro_scope scope;

            must_be(ouro_scope_enter(&scope, 0), 0);
            waiter_spawn(&w, style, &scope);
            until(w.started);
            hold_until(b.at_ns + 3 * OURO_TICK_NS);
            if (k >= STYLES) {
                must_be(ouro_yield(),
                        0); /* the turn's timers have fired, or will: cancelled as well */
                waiter_cancel(&w);
            }
            (void)ouro_scope_leave(&scope);
            must(w.ended);
            must(ouro_done(&b.timer.future));
            must(w.result == 0 || w.result == -ETIMEDOUT ||
                 (k >= STYLES && w.result == -ECANCELED));
            must(w.result != 0 || ouro_result(&b.timer.future) == 0);
            if (i >= 0 && k < STYLES)
                must_be(w.result, 0); /* both in one turn: it was completed */
        }
    return 0;
}

/* An operation of the kernel that is complete when the deadline strikes. */
static int operations_main(void *arg)
{
    uint64_t one = 1;

    (void)arg;
    for (unsigned i = 0; i < 100; i++) {
        enum style style = i % STYLES;
        struct both b = {.fd = eventfd(0, EFD_CLOEXEC)};
        struct waiter w = {.start = start_poll, .arg = &b, .deadline_ns = ouro_after_ns(300 * US)};
        struct ouro_scope scope;

        must_be(ouro_scope_enter(&scope, 0), 0);
        waiter_spawn(&w, style, &scope);
        until(w.started);
        for (unsigned n = 0; n < i % 3; n++)
            must_be(ouro_yield(), 0);
        must_be(write(b.fd, &one, sizeof one), sizeof one);
        hold_until(w.deadline_ns + (i % 5) * 50 * US);
        (void)ouro_scope_leave(&scope);
        must(w.ended);
        must(ouro_done(&b.poll.op.future));
        if (w.result != POLLIN) { /* the deadline came a turn before the completion */
            must_be(w.result, -ETIMEDOUT);
            must_be(ouro_result(&b.poll.op.future), -ECANCELED);
        }
        must_be(ouro_poll(b.fd, POLLIN), POLLIN);
        must_be(close(b.fd), 0);
    }
    return 0;
}

ON_ONE_SHARD(timers)
ON_ONE_SHARD(operations)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(timers), cmocka_unit_test(operations)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
