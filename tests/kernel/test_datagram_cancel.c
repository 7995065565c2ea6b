/* SPDX-License-Identifier: MIT */
/* A receive with nothing to receive and a send to a Unix socket whose queue is full block their
 * task only. They can be cut short: by the future, the task, a deadline, or a close. Nothing has
 * moved then and the socket goes on. In both styles of task. */
#include "support/net_support.h"

enum how { FUTURE, TASK, DEADLINE, CLOSE, HOWS };

struct job {
    struct waiter waiter;
    bool sends;
    ouro_conn conn;
    struct ouro_addr *to;
    struct ouro_send_to send;
    struct ouro_recv_from recv;
    char buf[16];
};

static struct ouro_future *start(void *arg)
{
    struct job *j = arg;

    if (j->sends)
        ouro_send_to_start(&j->send, j->conn, "blocked", 7, j->to);
    else
        ouro_recv_from_start(&j->recv, j->conn, j->buf, sizeof j->buf);
    return j->sends ? &j->send.op.future : &j->recv.op.future;
}

static void cut_short(struct job *j, enum how how)
{
    turns(5);
    must(how == DEADLINE || !j->waiter.ended);
    if (how == FUTURE)
        ouro_cancel(j->waiter.future);
    else if (how == TASK)
        waiter_cancel(&j->waiter);
    else if (how == CLOSE)
        must_be(ouro_close(j->conn), 0);
    until(j->waiter.ended);
    must_be(j->waiter.result, how == DEADLINE ? -ETIMEDOUT : -ECANCELED);
}

static ouro_conn bound_socket(enum family f, struct ouro_addr *addr)
{
    struct ouro_addr any = any_addr(f);
    ouro_conn c;

    must_be(ouro_datagram_bind(&c, &any, NULL), 0);
    must_be(ouro_local_addr(c, addr), 0);
    return c;
}

static int receive_main(void *arg)
{
    enum family f = *(enum family *)arg;

    for (enum style style = 0; style < STYLES; style++)
        for (enum how how = 0; how < HOWS; how++) {
            struct ouro_addr a;
            struct job j = {.waiter = {.start = start, .arg = &j}, .conn = bound_socket(f, &a)};
            ouro_conn x;

            if (how == DEADLINE)
                j.waiter.deadline_ns = ouro_after_ns(5 * MS);
            memset(j.buf, 0x11, sizeof j.buf);
            waiter_spawn(&j.waiter, style, NULL);
            cut_short(&j, how);
            for (size_t i = 0; i < sizeof j.buf; i++)
                must_be(j.buf[i], 0x11);
            if (how == CLOSE)
                continue;
            x = bound_socket(f, &a);
            must_be(ouro_local_addr(j.conn, &a), 0);
            must_be(ouro_send_to(x, "later", 5, &a), 5);
            must_be(ouro_recv_from(j.conn, j.buf, sizeof j.buf, NULL), 5);
            must_be(ouro_close(x), 0);
            must_be(ouro_close(j.conn), 0);
        }
    return 0;
}

/* Fills the receiver's queue; how many it took. */
static int fill(ouro_conn conn, const struct ouro_addr *to)
{
    int n = 0, result;

    do {
        struct ouro_send_to s;

        ouro_send_to_start(&s, conn, "filling", 7, to);
        result = ouro_await_for(&s.op.future, 50 * MS);
        must(result == 7 || result == -ETIMEDOUT);
        n += result == 7;
    } while (result == 7);
    return n;
}

static int drain(ouro_conn conn, int n)
{
    char buf[16];

    for (int i = 0; i < n; i++) {
        must_be(ouro_recv(conn, buf, sizeof buf), 7);
        must(memcmp(buf, "filling", 7) == 0); /* what was cut short never came */
    }
    return 0;
}

/* `peer`: the receiver is the default peer, for which the kernel can poll. */
static void full_queue(enum style style, enum how how, bool peer)
{
    struct ouro_addr a, b;
    struct job j = {.waiter = {.start = start, .arg = &j}, .sends = true};
    ouro_conn far = bound_socket(UNIX, &a), other = bound_socket(UNIX, &b), near;
    char buf[16];
    int n;

    must_be(ouro_datagram_open(&near, AF_UNIX, NULL), 0);
    if (peer)
        must_be(ouro_datagram_connect(near, &a), 0);
    n = fill(near, &a);
    must(n > 0);
    if (how == DEADLINE)
        j.waiter.deadline_ns = ouro_after_ns(20 * MS);
    j.conn = near;
    j.to = peer ? NULL : &a;
    waiter_spawn(&j.waiter, style, NULL);
    turns(5);
    if (!peer) { /* the same socket still reaches others */
        must_be(ouro_send_to(near, "beside", 6, &b), 6);
        must_be(ouro_recv(other, buf, sizeof buf), 6);
    }
    cut_short(&j, how);
    drain(far, n);
    if (how != CLOSE) {
        must_be(ouro_send_to(near, "later", 5, peer ? NULL : &a), 5);
        must_be(ouro_recv(far, buf, sizeof buf), 5);
        must_be(ouro_close(near), 0);
    }
    must_be(ouro_close(far), 0);
    must_be(ouro_close(other), 0);
}

static int blocked_send_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++)
        for (enum how how = 0; how < HOWS; how++) {
            full_queue(style, how, false);
            full_queue(style, how, true);
        }
    return 0;
}

/* It goes on by itself when the receiver takes something. */
static int goes_on_main(void *arg)
{
    (void)arg;
    for (int peer = 0; peer < 2; peer++) {
        struct ouro_addr a;
        struct job j = {.waiter = {.start = start, .arg = &j}, .sends = true, .to = &a};
        ouro_conn far = bound_socket(UNIX, &a);
        char buf[16];
        int n;

        must_be(ouro_datagram_open(&j.conn, AF_UNIX, NULL), 0);
        if (peer)
            must_be(ouro_datagram_connect(j.conn, &a), 0);
        n = fill(j.conn, &a);
        waiter_spawn(&j.waiter, FIBER, NULL);
        turns(5);
        must(!j.waiter.ended);
        if (peer) /* these do not wait */
            must_be(ouro_send(j.conn, "more", 4), -EAGAIN);
        drain(far, n);
        until(j.waiter.ended);
        must_be(j.waiter.result, 7);
        must_be(ouro_recv(far, buf, sizeof buf), 7);
        must(memcmp(buf, "blocked", 7) == 0);
        must_be(ouro_close(j.conn), 0);
        must_be(ouro_close(far), 0);
    }
    return 0;
}

ON_EACH_FAMILY(receive)
ON_ONE_SHARD(blocked_send)
ON_ONE_SHARD(goes_on)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receive),
        cmocka_unit_test(blocked_send),
        cmocka_unit_test(goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
