/* SPDX-License-Identifier: MIT */
/* Closing with anything in flight, from another task: what was in flight ends, is awaited, and
 * nobody writes afterwards; only then has the close returned. In both styles of close. */
#include "support/net_support.h"

static char in[256], much[1 << 20];

struct all {
    struct ouro_recv recv[3];
    struct ouro_msg recvv;
    struct ouro_send send;
    struct ouro_send_all send_all;
    struct ouro_sendv_all sendv_all;
    struct ouro_send_zc zc;
    struct ouro_recv_source source;
    struct iovec iov[2];
};

static void start_all(struct all *a, ouro_conn conn, bool tcp)
{
    a->iov[0] = (struct iovec){in + 200, 10};
    a->iov[1] = (struct iovec){much, sizeof much};
    ouro_recv_start(&a->recv[0], conn, in, 50);
    ouro_recv_start(&a->recv[1], conn, in + 50, 50);
    ouro_recvv_start(&a->recvv, conn, a->iov, 1);
    ouro_send_start(&a->send, conn, much, sizeof much);
    ouro_send_all_start(&a->send_all, conn, much, sizeof much);
    ouro_sendv_all_start(&a->sendv_all, conn, a->iov + 1, 1);
    if (tcp)
        ouro_send_zc_start(&a->zc, conn, much, sizeof much);
    must_be(ouro_recv_source_open(&a->source, conn, 0), 0);
}

static void ended(const struct ouro_future *f)
{
    must(ouro_done(f));
    must(ouro_result(f) == -ECANCELED || ouro_result(f) == -EPIPE || ouro_result(f) == -EBADF);
}

/* A probe of the closed window may have let a little through before. */
static void send_ended(const struct ouro_future *f)
{
    if (ouro_result(f) <= 0)
        ended(f);
}

static void all_ended(struct all *a, bool tcp)
{
    ended(&a->recv[0].op.future);
    ended(&a->recv[1].op.future);
    ended(&a->recvv.op.future);
    send_ended(&a->send.op.future);
    ended(&a->source.op.future);
    if (tcp) {
        send_ended(&a->zc.op.future);
        must(ouro_done(&a->zc.released));
    }
    /* Calls of several steps end in the turn after. */
    must(ouro_await(&a->send_all.op.future) < 0);
    must(ouro_await(&a->sendv_all.op.future) < 0);
}

struct closer {
    struct waiter waiter;
    struct ouro_close close;
    ouro_conn conn;
};

static struct ouro_future *start_close(void *arg)
{
    struct closer *c = arg;

    ouro_close_start(&c->close, c->conn);
    return &c->close.op.future;
}

static int everything_main(void *arg)
{
    enum family f = *(enum family *)arg;
    static struct all a;

    for (int i = 0; i < 3; i++)
        for (enum style style = 0; style < STYLES; style++) {
            struct closer c = {.waiter = {.start = start_close, .arg = &c}};
            struct ouro_buf buf;
            struct outside o;

            outside_open_small(&o, f);
            clog_up(o.conn);
            memset(in, '.', sizeof in);
            start_all(&a, o.conn, f != UNIX);
            turns((unsigned)i); /* 0: nothing of it has reached the kernel yet */
            c.conn = o.conn;
            waiter_spawn(&c.waiter, style, NULL);
            until(c.waiter.ended);
            must_be(c.waiter.result, 0);
            all_ended(&a, f != UNIX);
            must_be(ouro_recv_take(&a.source, &buf), -ECANCELED);
            must_be(ouro_recv_source_close(&a.source), 0);
            must_be(ouro_recv(o.conn, in, 1), -EBADF);
            for (size_t k = 0; k < sizeof in; k++)
                must_be(in[k], '.');
            close(o.fd);
        }
    return 0;
}

/* A peer writes while it is closed: the buffer holds what the result says, and is quiet afterwards.
 */
static int while_data_come_main(void *arg)
{
    static char copy[sizeof in];

    for (int i = 0; i < 200; i++) {
        struct ouro_recv r;
        struct ouro_close c;
        struct outside o;
        int n;

        outside_open(&o, *(enum family *)arg);
        memset(in, '.', sizeof in);
        ouro_recv_start(&r, o.conn, in, sizeof in);
        turns((unsigned)i % 3);
        ouro_close_start(&c, o.conn);
        plain_send(o.fd, "0123456789", 10);
        must_be(ouro_await(&c.op.future), 0);
        must(ouro_done(&r.op.future));
        n = ouro_result(&r.op.future);
        if (n != 10)
            must_be(n, -ECANCELED);
        must(memcmp(in, n == 10 ? "0123456789." : "...........", 11) == 0);
        memcpy(copy, in, sizeof in);
        turns(2);
        must(memcmp(copy, in, sizeof in) == 0);
        close(o.fd);
    }
    return 0;
}

static int wait_for_data(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    char byte;
    int n = (int)ouro_recv(conn, &byte, 1);

    return n == -ECANCELED && !ouro_cancelled() ? 0 : -EINVAL;
}

/* The waiting task is told, without being cancelled itself. */
static int waiter_hears_main(void *arg)
{
    struct pair p;
    ouro_fiber f[5];

    pair_open(&p, *(enum family *)arg);
    for (int i = 0; i < 5; i++)
        must_be(ouro_spawn_joinable(NULL, wait_for_data, &p.near, sizeof p.near, &f[i]), 0);
    turns(3);
    must_be(ouro_close(p.near), 0);
    for (int i = 0; i < 5; i++) {
        int value = -1;

        must_be(ouro_join(f[i], &value), OURO_END_RETURNED);
        must_be(value, 0);
    }
    must_be(ouro_recv(p.far, in, 1), 0);
    must_be(ouro_close(p.far), 0);
    return 0;
}

static int close_task(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;

    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    return ouro_close(conn); /* a release: not cut short */
}

static int cancelled_close_main(void *arg)
{
    struct ouro_recv r;
    struct pair p;
    ouro_fiber f;
    int value = -1;

    pair_open(&p, *(enum family *)arg);
    ouro_recv_start(&r, p.near, in, 10);
    must_be(ouro_spawn_joinable(NULL, close_task, &p.near, sizeof p.near, &f), 0);
    turns(2);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 0);
    must(ouro_done(&r.op.future));
    must_be(ouro_result(&r.op.future), -ECANCELED);
    must_be(ouro_close(p.far), 0);
    return 0;
}

/* A time-out on the close itself changes nothing either. */
static int impatient_close_main(void *arg)
{
    struct ouro_recv r;
    struct ouro_close c;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    ouro_recv_start(&r, p.near, in, 10);
    turns(2);
    ouro_close_start(&c, p.near);
    must_be(ouro_await_until(&c.op.future, 0), 0);
    must(ouro_done(&r.op.future));
    must_be(ouro_close(p.far), 0);
    return 0;
}

/* A close without anything in flight does not wait, also from a stackless task. */
static int at_once_main(void *arg)
{
    struct ouro_close c;
    struct pair p;
    uint64_t turn;

    pair_open(&p, *(enum family *)arg);
    turn = counters_now().turns;
    must_be(ouro_close(p.near), 0);
    must_be(counters_now().turns, turn);
    ouro_close_start(&c, p.far);
    must_be(ouro_await(&c.op.future), 0);
    return 0;
}

ON_EACH_FAMILY(everything)
ON_EACH_FAMILY(while_data_come)
ON_EACH_FAMILY(waiter_hears)
ON_EACH_FAMILY(cancelled_close)
ON_EACH_FAMILY(impatient_close)
ON_EACH_FAMILY(at_once)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything),      cmocka_unit_test(while_data_come),
        cmocka_unit_test(waiter_hears),    cmocka_unit_test(cancelled_close),
        cmocka_unit_test(impatient_close), cmocka_unit_test(at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
