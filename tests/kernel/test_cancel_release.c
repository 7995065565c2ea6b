/* SPDX-License-Identifier: MIT */
/* Releases run to their end in a cancelled task: leaving a scope joins, draining an operation
 * awaits its completion, closing closes; and every way out of a block drains what OURO_OP declared
 * in it. */
#include "support/support.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <ouro/file.h>

static unsigned ended;

/* Takes its time to end, as long as its shield lasts. */
static int slow_to_end(void *arg)
{
    (void)arg;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(ouro_shield_enter(), 0);
    must_be(ouro_sleep(5 * MS), 0);
    must_be(ouro_shield_leave(), 0);
    ended++;
    return -EIO;
}

static int leaves_scope(void *arg)
{
    struct ouro_scope scope;

    must_be(ouro_scope_enter(&scope, 0), 0);
    for (int i = 0; i < 10; i++)
        must_be(ouro_spawn(&scope, slow_to_end, NULL, 0), 0);
    *(bool *)arg = true;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(ouro_scope_leave(&scope), -EIO);
    must_be(ended, 10);
    return 0;
}

static int scope_main(void *arg)
{
    bool ready = false;
    ouro_fiber f;

    (void)arg;
    ended = 0;
    must_be(ouro_spawn_joinable(NULL, leaves_scope, &ready, 0, &f), 0);
    until(ready);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    must_be(ended, 10);
    return 0;
}

/* Cancelled while it is leaving: the children are cancelled, and joined all the same. */
static int is_leaving(void *arg)
{
    struct ouro_scope scope;

    must_be(ouro_scope_enter(&scope, 0), 0);
    for (int i = 0; i < 10; i++)
        must_be(ouro_spawn(&scope, slow_to_end, NULL, 0), 0);
    *(bool *)arg = true;
    must_be(ouro_scope_leave(&scope), -EIO);
    return 0;
}

static int leaving_main(void *arg)
{
    bool ready = false;
    ouro_fiber f;

    (void)arg;
    ended = 0;
    must_be(ouro_spawn_joinable(NULL, is_leaving, &ready, 0, &f), 0);
    until(ready);
    must_be(ouro_sleep(MS), 0);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    must_be(ended, 10);
    return 0;
}

static int unread[2];

/* The receive lies in the frame of a function that returns while it is pending. */
static __attribute__((noinline)) int leaves_block(ouro_conn conn, int how)
{
    char buf[64];
    OURO_OP(struct ouro_recv, r);
    OURO_OP(struct ouro_poll, p);
    OURO_OP(struct ouro_recv, idle); /* never started */
    OURO_TIMER(timer);

    (void)idle;
    (void)ouro_sleep_start(&timer, 60 * SEC);
    ouro_recv_start(&r, conn, buf, sizeof buf);
    ouro_poll_start(&p, unread[1], POLLIN);
    switch (how) {
    case 0:
        return 1;
    case 1:
        for (int i = 0; i < 2; i++) {
            OURO_OP(struct ouro_poll, inner);

            ouro_poll_start(&inner, unread[1], POLLIN);
            if (i == 0)
                continue;
            break;
        }
        break;
    case 2:
        must_be(ouro_sleep(MS), 0);
        ouro_cancel(&r.op.future); /* asked for, not awaited */
        break;
    default:
        must_be(ouro_await_for(&r.op.future, MS), -ETIMEDOUT);
        break;
    }
    return 2;
}

static int blocks_main(void *arg)
{
    ouro_conn conn;
    struct ouro_counters before, after;

    (void)arg;
    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, unread), 0);
    must_be(ouro_conn_adopt(&conn, unread[0]), 0);
    for (int how = 0; how < 4; how++) {
        must_be(ouro_counters(&before), 0);
        must_be(leaves_block(conn, how), how == 0 ? 1 : 2);
        must_be(ouro_counters(&after), 0);
        must(after.cancels - before.cancels >= 2); /* or the drain was not needed */
        must_be(ouro_yield(), 0); /* checked builds look at what is pending in dead frames */
    }
    must_be(ouro_close(conn), 0);
    must_be(close(unread[1]), 0);
    return 0;
}

/* Draining and closing in a task that is cancelled. */
static int drains(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    char buf[64];
    struct ouro_recv r;
    struct ouro_poll p;

    ouro_recv_start(&r, conn, buf, sizeof buf);
    ouro_poll_start(&p, unread[1], POLLIN);
    must_be(ouro_sleep(MS), 0);
    ouro_task_cancel(ouro_current_task());
    ouro_op_drain(&r.op);
    must(ouro_done(&r.op.future));
    must_be(ouro_result(&r.op.future), -ECANCELED);
    ouro_op_drain(&r.op); /* DONE: nothing happens */
    ouro_op_drain(NULL);
    ouro_op_drain(&p.op);
    must_be(ouro_result(&p.op.future), -ECANCELED);
    must_be(ouro_close(conn), 0);
    must_be(ouro_close(conn), -EBADF);
    return 0;
}

static int drain_main(void *arg)
{
    ouro_conn conn;
    ouro_fiber f;
    char c;

    (void)arg;
    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, unread), 0);
    must_be(ouro_conn_adopt(&conn, unread[0]), 0);
    must_be(ouro_spawn_joinable(NULL, drains, &conn, sizeof conn, &f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    until(recv(unread[1], &c, 1, MSG_DONTWAIT) == 0); /* it is closed indeed */
    must_be(close(unread[1]), 0);
    return 0;
}

ON_ONE_SHARD(scope)
ON_ONE_SHARD(leaving)
ON_ONE_SHARD(blocks)
ON_ONE_SHARD(drain)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope),
        cmocka_unit_test(leaving),
        cmocka_unit_test(blocks),
        cmocka_unit_test(drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
