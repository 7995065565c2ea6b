/* SPDX-License-Identifier: MIT */
/* Cancellation that meets a completion: what moved is reported, never hidden, and nothing is
 * written after the wait has returned. Both styles; whole and half-way. */
#include "support/support.h"

#include <sys/socket.h>

struct receive {
    struct ouro_recv r;
    ouro_conn conn;
    char buf[64];
};

static struct ouro_future *receive(void *arg)
{
    struct receive *x = arg;

    ouro_recv_start(&x->r, x->conn, x->buf, sizeof x->buf);
    return &x->r.op.future;
}

static int peer;

static void open_pair(struct receive *x)
{
    int fd[2];

    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    must_be(ouro_conn_adopt(&x->conn, fd[0]), 0);
    peer = fd[1];
}

/* The bytes arrive and the task is cancelled in one turn, in either order: either both sides agree
 * that they were received, or they are still there to be received. */
static int race_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 200; i++) {
        enum style style = i % STYLES;
        struct receive x = {0};
        struct waiter w = {.start = receive, .arg = &x};
        struct ouro_scope scope;

        open_pair(&x);
        must_be(ouro_scope_enter(&scope, 0), 0);
        waiter_spawn(&w, style, &scope);
        until(w.started);
        for (unsigned n = 0; n < i % 5; n++)
            must_be(ouro_yield(), 0);
        if (i % 4 < 2)
            waiter_cancel(&w);
        must_be(send(peer, "12345", 5, 0), 5);
        waiter_cancel(&w);
        (void)ouro_scope_leave(&scope);
        must(w.ended);
        if (w.result == 5) {
            must_be(memcmp(x.buf, "12345", 5), 0);
        } else {
            must_be(w.result, -ECANCELED);
            must_be(x.buf[0], 0);
            must_be(ouro_recv(x.conn, x.buf, sizeof x.buf), 5);
        }
        must_be(ouro_close(x.conn), 0);
        must_be(close(peer), 0);
    }
    return 0;
}

/* It had completed before the cancellation was asked for: its result stands. */
static int completed_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++) {
        struct receive x = {0};
        struct waiter w = {.start = receive, .arg = &x};
        struct ouro_scope scope;

        open_pair(&x);
        must_be(send(peer, "abc", 3, 0), 3);
        must_be(ouro_scope_enter(&scope, 0), 0);
        waiter_spawn(&w, style, &scope);
        until(w.future != NULL &&
              ouro_done(w.future)); /* taken in this turn, the waiter is ready */
        waiter_cancel(&w);
        must_be(ouro_scope_leave(&scope), 0);
        must_be(w.result, 3);
        must_be(ouro_close(x.conn), 0);
        must_be(close(peer), 0);
    }
    return 0;
}

/* Nothing arrives: the wait ends with the kernel's completion, and the buffer is the caller's
 * again. */
static int nothing_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++) {
        struct receive x = {0};
        struct waiter w = {.start = receive, .arg = &x};
        struct ouro_scope scope;

        open_pair(&x);
        must_be(ouro_scope_enter(&scope, 0), 0);
        waiter_spawn(&w, style, &scope);
        until(w.started);
        must_be(ouro_sleep(MS), 0); /* the kernel has it */
        waiter_cancel(&w);
        must_be(ouro_scope_leave(&scope), -ECANCELED); /* its value */
        must_be(w.result, -ECANCELED);
        must_be(send(peer, "late", 4, 0), 4);
        must_be(ouro_sleep(MS), 0);
        must_be(x.buf[0], 0); /* nobody writes there any more */
        must_be(ouro_recv(x.conn, x.buf, sizeof x.buf), 4);
        must_be(ouro_close(x.conn), 0);
        must_be(close(peer), 0);
    }
    return 0;
}

ON_ONE_SHARD(race)
ON_ONE_SHARD(completed)
ON_ONE_SHARD(nothing)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(race),
        cmocka_unit_test(completed),
        cmocka_unit_test(nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
