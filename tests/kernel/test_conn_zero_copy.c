/* SPDX-License-Identifier: MIT */
/* Zero-copy send is a two-step: sent, then the buffer is free. Both futures complete in every case.
 */
#include "support/net_support.h"

static char out[32768], in[sizeof out];

static void receive_all(ouro_conn conn, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = ouro_recv(conn, in + got, len - got);

        must(n > 0);
        got += (size_t)n;
    }
}

static int two_steps_main(void *arg)
{
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    for (uint64_t round = 0; round < 20; round++) {
        struct ouro_send_zc z;
        int n, copied;

        pattern_fill(out, sizeof out, round, 0);
        ouro_send_zc_start(&z, p.near, out, sizeof out);
        n = ouro_await(&z.op.future);
        must(n > 0 && n <= (int)sizeof out);
        receive_all(p.far, (size_t)n);
        copied = ouro_await(&z.released);
        must(copied == 0 || copied == 1);
        pattern_check(in, (size_t)n, round, 0);
        memset(out, 0, sizeof out); /* ours again */
    }
    pair_close(&p);
    return 0;
}

/* Several may be in flight; the order is kept. */
static int several_main(void *arg)
{
    enum { N = 16, EACH = 1000 };
    struct ouro_send_zc z[N];
    struct pair p;

    pattern_fill(out, N * EACH, 5, 0);
    pair_open(&p, *(enum family *)arg);
    for (size_t i = 0; i < N; i++)
        ouro_send_zc_start(&z[i], p.near, out + i * EACH, EACH);
    for (size_t i = 0; i < N; i++)
        must_be(ouro_await(&z[i].op.future), EACH);
    receive_all(p.far, N * EACH);
    for (size_t i = 0; i < N; i++)
        must(ouro_await(&z[i].released) >= 0);
    pattern_check(in, N * EACH, 5, 0);
    pair_close(&p);
    return 0;
}

/* Sends until one blocks; its number. The others stay in flight: their buffers, all the same one,
 * are not released before the connection has gone. */
static struct ouro_send_zc many[64];

static int block(ouro_conn conn)
{
    for (int i = 0; i < 64; i++) {
        struct ouro_future *f = &many[i].op.future;

        ouro_send_zc_start(&many[i], conn, out, sizeof out);
        if (ouro_await_any(&f, 1, ouro_after_ns(60 * MS)) == -ETIMEDOUT)
            return i;
        must(ouro_result(f) > 0);
    }
    must_fail(__FILE__, __LINE__, "a peer that reads nothing blocks a sender");
}

static void released_up_to(int last)
{
    for (int i = 0; i <= last; i++)
        must(ouro_await_for(&many[i].released, 10 * SEC) >= 0);
}

/* A blocked one is cut short. */
static int cancel_main(void *arg)
{
    struct outside o;
    int last;

    outside_open_small(&o, *(enum family *)arg);
    last = block(o.conn);
    must(!ouro_done(&many[last].released));
    ouro_cancel(&many[last].op.future);
    must_be(ouro_await(&many[last].op.future), -ECANCELED);
    outside_close(&o);
    released_up_to(last);
    return 0;
}

/* A close ends it, and waits for that. */
static int close_in_flight_main(void *arg)
{
    struct outside o;
    int last;

    outside_open_small(&o, *(enum family *)arg);
    last = block(o.conn);
    must_be(ouro_close(o.conn), 0);
    must(ouro_done(&many[last].op.future));
    must_be(ouro_result(&many[last].op.future), -ECANCELED);
    close(o.fd);
    released_up_to(last);
    return 0;
}

/* Sends until something is sent, queued behind what the peer has not taken, and so not released. */
static void send_unreleased(struct ouro_send_zc *z, ouro_conn conn)
{
    for (int i = 0; i < 1000; i++) {
        ouro_send_zc_start(z, conn, out, sizeof out);
        must(ouro_await(&z->op.future) > 0);
        turns(2);
        if (!ouro_done(&z->released))
            return;
    }
    must_fail(__FILE__, __LINE__, "a peer that reads nothing keeps buffers from being released");
}

static int released_later_main(void *arg)
{
    struct ouro_send_zc z;
    struct outside o;

    outside_open(&o, *(enum family *)arg);
    send_unreleased(&z, o.conn);
    must_be(ouro_close(o.conn),
            0); /* at once: the peer, which reads nothing, does not hold it up */
    must(!ouro_done(&z.released));
    close(o.fd); /* a reset: nothing is left to send */
    must(ouro_await(&z.released) >= 0);
    return 0;
}

static int *give_way; /* drains the peer's end while another task waits */

static int drain_task(void *arg)
{
    int fd = *(int *)arg;

    turns(5);
    while (recv(fd, in, sizeof in, MSG_DONTWAIT) > 0 || errno == EAGAIN) {
        if (*give_way)
            return 0;
        turns(1);
    }
    return 0;
}

static int unreleased_in_a_block_main(void *arg)
{
    struct outside o;
    ouro_fiber f;
    int end = 0;

    give_way = &end;
    outside_open(&o, *(enum family *)arg);
    {
        OURO_OP(struct ouro_send_zc, z);

        send_unreleased(&z, o.conn);
        must_be(ouro_spawn_joinable(NULL, drain_task, &o.fd, sizeof o.fd, &f), 0);
    }
    end = 1;
    must_be(ouro_join(f, NULL), OURO_END_RETURNED);
    outside_close(&o);
    return 0;
}

/* OURO_OP covers both steps: the buffer is free when the block has been left, whether the first
 * step was awaited or not. */
static int leave_the_block_main(void *arg)
{
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    for (int awaited = 0; awaited < 2; awaited++) {
        size_t sent = sizeof out;
        {
            OURO_OP(struct ouro_send_zc, z);

            ouro_send_zc_start(&z, p.near, out, sizeof out);
            if (awaited)
                sent = (size_t)ouro_await(&z.op.future);
            else
                turns(1); /* sent by then, or it is cancelled */
            if (ouro_done(&z.op.future))
                sent = (size_t)ouro_result(&z.op.future);
        }
        receive_all(p.far, sent);
    }
    pair_close(&p);
    return 0;
}

/* The end of a task: what has not been released is something it is accountable for, so the release
 * is awaited; a cancelled task can do that in a shield. */
static int shielded_task(void *arg)
{
    struct outside *o = *(struct outside **)arg;
    struct ouro_send_zc z;
    int n;

    ouro_send_zc_start(&z, o->conn, out, sizeof out);
    n = ouro_await(&z.op.future); /* the task is cancelled here */
    must_be(n, -ECANCELED);
    must_be(ouro_shield_enter(), 0);
    must(ouro_await(&z.released) >= 0);
    must_be(ouro_shield_leave(), 0);
    return n;
}

static int cancelled_task_main(void *arg)
{
    struct outside o, *po = &o;
    ouro_fiber f;
    int value = 0, last;

    outside_open_small(&o, *(enum family *)arg);
    last = block(o.conn);
    must_be(ouro_spawn_joinable(NULL, shielded_task, &po, sizeof po, &f), 0);
    turns(3);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, -ECANCELED);
    ouro_cancel(&many[last].op.future);
    outside_close(&o);
    released_up_to(last);
    return 0;
}

/* A socket that cannot: the error is the first step's, and the buffer is free. */
static int unix_socket_main(void *arg)
{
    struct ouro_send_zc z;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    ouro_send_zc_start(&z, p.near, out, 100);
    must_be(ouro_await(&z.op.future), -EOPNOTSUPP);
    must(ouro_await(&z.released) >= 0);
    pair_close(&p);
    return 0;
}

static void on_tcp(int (*fn)(void *))
{
    for (enum family f = V4; f <= V6; f++)
        if (family_there(f))
            assert_int_equal(run_on(1, fn, &f), 0);
}

#define ON_TCP(name)                                                                               \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        on_tcp(name##_main);                                                                       \
    }

ON_TCP(two_steps)
ON_TCP(several)
ON_TCP(cancel)
ON_TCP(close_in_flight)
ON_TCP(leave_the_block)
ON_TCP(released_later)
ON_TCP(unreleased_in_a_block)
ON_TCP(cancelled_task)
ON_ONE_SHARD(unix_socket)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_steps),       cmocka_unit_test(several),
        cmocka_unit_test(cancel),          cmocka_unit_test(close_in_flight),
        cmocka_unit_test(leave_the_block), cmocka_unit_test(cancelled_task),
        cmocka_unit_test(released_later),  cmocka_unit_test(unreleased_in_a_block),
        cmocka_unit_test(unix_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
