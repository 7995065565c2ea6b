/* SPDX-License-Identifier: MIT */
/* Whatever waits on a connection can be cut short: by cancelling its future, its task, or by a
 * deadline. Nothing has moved then, and the connection goes on. In both styles of task. */
#include "support/net_support.h"

static char in[64];
static char *much; /* more than any socket takes */
#define MUCH ((size_t)64 << 20)

enum what { RECV, RECVV, SEND, SENDV, SEND_ALL, SENDV_ALL, WHATS };

struct job {
    struct waiter waiter;
    enum what what;
    ouro_conn conn;
    struct iovec iov[2];
    union {
        struct ouro_recv recv;
        struct ouro_send send;
        struct ouro_msg msg;
        struct ouro_send_all send_all;
        struct ouro_sendv_all sendv_all;
    } op;
};

static struct ouro_future *start(void *arg)
{
    struct job *j = arg;

    switch (j->what) {
    case RECV:
        ouro_recv_start(&j->op.recv, j->conn, in, sizeof in);
        return &j->op.recv.op.future;
    case RECVV:
        ouro_recvv_start(&j->op.msg, j->conn, j->iov, 2);
        return &j->op.msg.op.future;
    case SEND:
        ouro_send_start(&j->op.send, j->conn, much, MUCH);
        return &j->op.send.op.future;
    case SENDV:
        ouro_sendv_start(&j->op.msg, j->conn, j->iov, 2);
        return &j->op.msg.op.future;
    case SEND_ALL:
        ouro_send_all_start(&j->op.send_all, j->conn, much, MUCH);
        return &j->op.send_all.op.future;
    default:
        ouro_sendv_all_start(&j->op.sendv_all, j->conn, j->iov, 2);
        return &j->op.sendv_all.op.future;
    }
}

static bool receives(enum what what)
{
    return what == RECV || what == RECVV;
}

static void prepare(struct job *j, enum what what, ouro_conn conn)
{
    *j = (struct job){.waiter = {.start = start, .arg = j}, .what = what, .conn = conn};
    j->iov[0] = receives(what) ? (struct iovec){in, 1} : (struct iovec){much, 1 << 20};
    j->iov[1] = receives(what) ? (struct iovec){in + 1, sizeof in - 1}
                               : (struct iovec){much, MUCH - (1 << 20)};
}

enum how { FUTURE, TASK, DEADLINE, HOWS };

/* Returns the bytes that moved after all: a probe of the closed window lets a little through at
 * times, and that is never hidden. */
static size_t end_early(struct job *j, enum how how)
{
    turns(3);
    must(!j->waiter.ended || !receives(j->what));
    if (how == FUTURE)
        ouro_cancel(j->waiter.future);
    else if (how == TASK)
        waiter_cancel(&j->waiter);
    until(j->waiter.ended);
    if (j->waiter.result > 0 && (j->what == SEND || j->what == SENDV))
        return (size_t)j->waiter.result;
    must_be(j->waiter.result, how == DEADLINE ? -ETIMEDOUT : -ECANCELED);
    return j->what == SEND_ALL    ? j->op.send_all.sent
           : j->what == SENDV_ALL ? j->op.sendv_all.sent
                                  : 0;
}

/* A blocked sender's end: a write that fits goes through again once the reader has read. */
static void still_sends(struct outside *o, size_t unread)
{
    char *sink = malloc(1 << 20);

    while (unread != 0) {
        ssize_t n = plain_read(o->fd, sink, unread < 1 << 20 ? unread : 1 << 20);

        must(n > 0);
        unread -= (size_t)n;
    }
    free(sink);
    must_be(recv(o->fd, in, 1, MSG_DONTWAIT), -1); /* nothing else had been sent */
    must_be(errno, EAGAIN);
    must_be(ouro_send(o->conn, "go on", 5), 5);
    plain_recv(o->fd, in, 5);
    must(memcmp(in, "go on", 5) == 0);
}

static void still_receives(struct outside *o)
{
    char untouched[sizeof in];

    memset(untouched, '.', sizeof untouched);
    must(memcmp(in, untouched, sizeof in) == 0);
    plain_send(o->fd, "data", 4);
    must_be(ouro_recv(o->conn, in, sizeof in), 4);
    must(memcmp(in, "data", 4) == 0);
}

static void one(enum family f, enum what what, enum style style, enum how how)
{
    struct outside o;
    struct job j;
    size_t unread = 0;

    outside_open_small(&o, f);
    memset(in, '.', sizeof in);
    if (!receives(what))
        unread = clog_up(o.conn);
    prepare(&j, what, o.conn);
    j.waiter.deadline_ns = how == DEADLINE ? ouro_after_ns(20 * MS) : 0;
    waiter_spawn(&j.waiter, style, NULL);
    unread += end_early(&j, how);
    if (receives(what))
        still_receives(&o);
    else
        still_sends(&o, unread);
    outside_close(&o);
}

static int cut_short_main(void *arg)
{
    much = calloc(1, MUCH);
    must(much != NULL);
    for (enum what what = 0; what < WHATS; what++)
        for (enum style style = 0; style < STYLES; style++)
            for (enum how how = 0; how < HOWS; how++)
                one(*(enum family *)arg, what, style, how);
    free(much);
    return 0;
}

/* Cancelling twice, cancelling what is done, and what never was, changes nothing. */
static int cancel_is_idempotent_main(void *arg)
{
    struct ouro_recv r = {0};
    struct pair p;
    uint64_t cancels;

    pair_open(&p, *(enum family *)arg);
    ouro_cancel(NULL);
    ouro_cancel(&r.op.future);
    ouro_recv_start(&r, p.near, in, sizeof in);
    cancels = counters_now().cancels;
    ouro_cancel(&r.op.future);
    ouro_cancel(&r.op.future);
    must_be(counters_now().cancels, cancels + 1);
    must_be(ouro_await(&r.op.future), -ECANCELED);
    ouro_cancel(&r.op.future);
    must_be(ouro_result(&r.op.future), -ECANCELED);
    must_be(counters_now().cancels, cancels + 1);
    pair_close(&p);
    return 0;
}

/* A start and its cancellation in one batch, with data there: either nothing moved, or the data
 * did. */
static int in_one_batch_main(void *arg)
{
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    for (int i = 0; i < 100; i++) {
        struct ouro_recv r;
        int n;

        must_be(ouro_send(p.far, "12345", 5), 5);
        ouro_recv_start(&r, p.near, in, sizeof in);
        ouro_cancel(&r.op.future);
        n = ouro_await(&r.op.future);
        must(n == 5 || n == -ECANCELED);
        if (n == -ECANCELED)
            must_be(ouro_recv(p.near, in, sizeof in), 5);
    }
    pair_close(&p);
    return 0;
}

/* A memory address is used again at once for the next operation: the cancellation of the first must
 * not meet the second. */
static int same_place_again_main(void *arg)
{
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    for (int i = 0; i < 100; i++) {
        struct ouro_recv r;
        int n;

        ouro_recv_start(&r, p.near, in, sizeof in);
        must_be(ouro_send(p.far, "a", 1), 1);
        ouro_cancel(&r.op.future);
        n = ouro_await(&r.op.future);
        if (n == 1)
            must_be(ouro_send(p.far, "b", 1), 1);
        ouro_recv_start(&r, p.near, in, sizeof in);
        must_be(ouro_await(&r.op.future), 1);
    }
    pair_close(&p);
    return 0;
}

/* OURO_OP: leaving the block cancels and drains. */
static int leave_the_block_main(void *arg)
{
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    memset(in, '.', sizeof in);
    {
        OURO_OP(struct ouro_recv, r);
        OURO_OP(struct ouro_recv, never_started);

        ouro_recv_start(&r, p.near, in, sizeof in);
        must(never_started.op.future.state == OURO_IDLE);
    }
    must_be(ouro_send(p.far, "abc", 3), 3);
    turns(3);
    must_be(in[0], '.');
    must_be(ouro_recv(p.near, in, sizeof in), 3);
    pair_close(&p);
    return 0;
}

ON_EACH_FAMILY(cut_short)
ON_EACH_FAMILY(cancel_is_idempotent)
ON_EACH_FAMILY(in_one_batch)
ON_EACH_FAMILY(same_place_again)
ON_EACH_FAMILY(leave_the_block)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_short),       cmocka_unit_test(cancel_is_idempotent),
        cmocka_unit_test(in_one_batch),    cmocka_unit_test(same_place_again),
        cmocka_unit_test(leave_the_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
