/* SPDX-License-Identifier: MIT */
/* Closing with a reset: the peer of a TCP connection sees ECONNRESET, and no end of the stream
 * before it, whatever is in flight. */
#include "support/net_support.h"
#include "support/net_kernel.h"

static char in[64];

static void peer_sees_reset(enum family f, int fd)
{
    ssize_t n = plain_read(fd, in, sizeof in);

    if (f == UNIX)
        must(n == -ECONNRESET || n == 0); /* Unix sockets know resets only with data unread */
    else
        must_be(n, -ECONNRESET);
}

static int quiet_main(void *arg)
{
    struct outside o;

    outside_open(&o, *(enum family *)arg);
    must_be(ouro_close_reset(o.conn), 0);
    must_be(ouro_close_reset(o.conn), -EBADF);
    turns(3);
    peer_sees_reset(*(enum family *)arg, o.fd);
    close(o.fd);
    return 0;
}

/* A receive and a blocked send are in flight: they end, and the peer must not take what it got for
 * all of it. */
static int in_flight_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_recv r;
    struct ouro_recv_source source;
    struct ouro_buf buf;
    struct outside o;

    outside_open(&o, f);
    ouro_recv_start(&r, o.conn, in, sizeof in);
    turns(2);
    must_be(ouro_close_reset(o.conn), 0);
    must(ouro_done(&r.op.future));
    must_be(ouro_result(&r.op.future), -ECANCELED);
    turns(3);
    peer_sees_reset(f, o.fd);
    close(o.fd);

    outside_open(&o, f);
    must_be(ouro_recv_source_open(&source, o.conn, 0), 0);
    turns(2);
    must_be(ouro_close_reset(o.conn), 0);
    must(ouro_recv_next(&source, &buf) < 0);
    must_be(ouro_recv_source_close(&source), 0);
    turns(3);
    peer_sees_reset(f, o.fd);
    close(o.fd);
    return 0;
}

static int watched_fd = -1;
static bool saw_an_end, saw_a_reset;

static void look_for_an_end(void)
{
    char byte;
    ssize_t n;

    if (watched_fd < 0)
        return;
    n = recv(watched_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    saw_an_end = saw_an_end || (n == 0 && !saw_a_reset);
    saw_a_reset = saw_a_reset || (n < 0 && errno == ECONNRESET); /* told once, to whoever looks */
}

/* The peer is looked at after every call into the kernel: at no time is there an end of the stream.
 */
static int never_an_end_main(void *arg)
{
    struct ouro_recv r;
    struct outside o;

    outside_open(&o, *(enum family *)arg);
    ouro_recv_start(&r, o.conn, in, sizeof in);
    turns(2);
    saw_an_end = saw_a_reset = false;
    watched_fd = o.fd;
    must_be(ouro_close_reset(o.conn), 0);
    turns(3);
    watched_fd = -1;
    must(!saw_an_end);
    if (!saw_a_reset)
        peer_sees_reset(*(enum family *)arg, o.fd);
    close(o.fd);

    outside_open(&o, *(enum family *)arg); /* what the look sees of an orderly close */
    ouro_recv_start(&r, o.conn, in, sizeof in);
    turns(2);
    saw_a_reset = false;
    watched_fd = o.fd;
    must_be(ouro_close(o.conn), 0);
    turns(3);
    watched_fd = -1;
    must(saw_an_end);
    close(o.fd);
    return 0;
}

static void never_an_end(void **state)
{
    (void)state;
    kernel_watch(look_for_an_end);
    for (enum family f = V4; f <= V6; f++)
        if (family_there(f))
            assert_int_equal(run_on(1, never_an_end_main, &f), 0);
    kernel_watch(NULL);
}

/* The peer is a task of this shard that waits when it happens: it must not be woken by an end. */
static int peer_waits_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_recv peer, own;
    struct pair p;
    int n;

    pair_open(&p, f);
    ouro_recv_start(&peer, p.far, in, sizeof in);
    ouro_recv_start(&own, p.near, in + 32, 1);
    turns(2);
    must_be(ouro_close_reset(p.near), 0);
    n = ouro_await(&peer.op.future);
    must(n == -ECONNRESET || (f == UNIX && n == 0));
    must_be(ouro_await(&own.op.future), -ECANCELED);
    must_be(ouro_close(p.far), 0);
    return 0;
}

/* What the peer has not read of ours is gone with it. */
static int blocked_send_main(void *arg)
{
    enum family f = *(enum family *)arg;
    static char much[4 << 20];
    struct ouro_send_all all;
    struct outside o;
    ssize_t n;

    outside_open_small(&o, f);
    ouro_send_all_start(&all, o.conn, much, sizeof much);
    turns(3);
    must(!ouro_done(&all.op.future));
    must_be(ouro_close_reset(o.conn), 0);
    must(ouro_result(&all.op.future) < 0);
    while ((n = plain_read(o.fd, in, sizeof in)) > 0)
        ;
    must(n == -ECONNRESET || (f == UNIX && n == 0));
    close(o.fd);
    return 0;
}

/* A cancelled task can still do it: it is a release. */
static int cancelled_task(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;

    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    return ouro_close_reset(conn);
}

static int cancelled_main(void *arg)
{
    struct outside o;
    ouro_fiber f;
    int value = -1;

    outside_open(&o, *(enum family *)arg);
    must_be(ouro_spawn_joinable(NULL, cancelled_task, &o.conn, sizeof o.conn, &f), 0);
    turns(1);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 0);
    turns(3);
    peer_sees_reset(*(enum family *)arg, o.fd);
    close(o.fd);
    return 0;
}

ON_EACH_FAMILY(quiet)
ON_EACH_FAMILY(in_flight)
ON_EACH_FAMILY(peer_waits)
ON_EACH_FAMILY(blocked_send)
ON_EACH_FAMILY(cancelled)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet),        cmocka_unit_test(in_flight), cmocka_unit_test(peer_waits),
        cmocka_unit_test(blocked_send), cmocka_unit_test(cancelled), cmocka_unit_test(never_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
