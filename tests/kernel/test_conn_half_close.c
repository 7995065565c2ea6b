/* SPDX-License-Identifier: MIT */
/* Each direction ends by itself: half-close, what shutdown refuses, and writing into a connection
 * whose reader has gone, which is an error and never a signal. */
#include "support/net_support.h"

#include <signal.h>

static char in[64];

static int half_close_main(void *arg)
{
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_send(p.near, "question", 8), 8);
    must_be(ouro_shutdown(p.near, SHUT_WR), 0);
    must_be(ouro_recv(p.far, in, sizeof in), 8);
    must_be(ouro_recv(p.far, in, sizeof in), 0);
    must_be(ouro_send(p.far, "answer", 6), 6); /* the other way is open */
    must_be(ouro_recv(p.near, in, sizeof in), 6);
    must_be(ouro_send(p.near, "x", 1), -EPIPE);
    must_be(ouro_send_all(p.near, "x", 1), -EPIPE);
    must_be(ouro_shutdown(p.far, SHUT_WR), 0);
    must_be(ouro_recv(p.near, in, sizeof in), 0);
    pair_close(&p);
    return 0;
}

static int shutdown_read_main(void *arg)
{
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_shutdown(p.near, SHUT_RD), 0);
    must_be(ouro_recv(p.near, in, sizeof in), 0);
    must_be(ouro_send(p.near, "out", 3), 3);
    must_be(ouro_recv(p.far, in, sizeof in), 3);
    pair_close(&p);
    return 0;
}

/* Who waits for data hears of the end. */
static int wakes_the_reader_main(void *arg)
{
    struct ouro_recv near, far;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    ouro_recv_start(&near, p.near, in, sizeof in);
    ouro_recv_start(&far, p.far, in, sizeof in); /* [LOAN-4]: into the same memory */
    turns(2);
    must_be(ouro_shutdown(p.near, SHUT_RDWR), 0);
    must_be(ouro_await(&near.op.future), 0);
    must_be(ouro_await(&far.op.future), 0);
    pair_close(&p);
    return 0;
}

static int twice_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct pair p;
    int again;

    pair_open(&p, f);
    must_be(ouro_shutdown(p.near, SHUT_RDWR), 0);
    must_be(ouro_shutdown(p.far, SHUT_RDWR), 0);
    again = ouro_shutdown(p.near, SHUT_RDWR);
    must(f == UNIX ? again == 0 : again == -ENOTCONN);
    pair_close(&p);
    return 0;
}

/* SIGPIPE keeps its default disposition, which would end the process; and none is left pending for
 * the time after the runtime. Every way to send. */
static int no_signal_main(void *arg)
{
    char data[] = "data";
    struct iovec iov = {data, 4};
    struct ouro_send_zc zc;
    struct outside o;
    sigset_t pending;

    outside_open(&o, *(enum family *)arg);
    close(o.fd);
    while (ouro_send(o.conn, data, 4) > 0) /* TCP tells on the second write */
        turns(1);
    must_be(ouro_send(o.conn, data, 4), -EPIPE);
    must_be(ouro_send_all(o.conn, data, 4), -EPIPE);
    must_be(ouro_sendv(o.conn, &iov, 1), -EPIPE);
    must_be(ouro_sendv_all(o.conn, &iov, 1), -EPIPE);
    ouro_send_zc_start(&zc, o.conn, data, 4);
    if (*(enum family *)arg != UNIX)
        must_be(ouro_await(&zc.op.future), -EPIPE);
    must(ouro_await(&zc.op.future) < 0);
    (void)ouro_await(&zc.released);
    must_be(sigpending(&pending), 0);
    must_be(sigismember(&pending, SIGPIPE), 0);
    o.fd = -1;
    outside_close(&o);
    return 0;
}

ON_EACH_FAMILY(half_close)
ON_EACH_FAMILY(shutdown_read)
ON_EACH_FAMILY(wakes_the_reader)
ON_EACH_FAMILY(twice)
ON_EACH_FAMILY(no_signal)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_close),       cmocka_unit_test(shutdown_read),
        cmocka_unit_test(wakes_the_reader), cmocka_unit_test(twice),
        cmocka_unit_test(no_signal),
    };

    signal(SIGPIPE, SIG_DFL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
