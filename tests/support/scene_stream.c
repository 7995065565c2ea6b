/* SPDX-License-Identifier: MIT */
#include "support/net_scene.h"

#define BYTES 6000

/* --- echo ------------------------------------------------------------------------------------- */

/* Receives `len` bytes of the pattern from `at` on; true if they came. False: the service met the
 * error, and what did come was right. */
static bool receive_pattern(const struct scene_call *c, ouro_conn conn, size_t at, size_t len)
{
    uint8_t in[2000];
    size_t got = 0;

    while (got < len) {
        ssize_t n = ouro_recv(conn, in, sizeof in);

        if (injected(c, n))
            continue;
        if (n <= 0) {
            must(other_side_gave_up(c, n));
            return false;
        }
        pattern_check(in, (size_t)n, 7, at + got);
        got += (size_t)n;
        must(got <= len);
    }
    return true;
}

/* Sends a pattern and receives it back, piece by piece. */
static void exchange_pattern(const struct scene_call *c, ouro_conn conn)
{
    static uint8_t out[BYTES];
    size_t at = 0;

    pattern_fill(out, BYTES, 7, 0);
    while (at < BYTES) {
        ssize_t n = ouro_send(conn, out + at, BYTES - at < 1500 ? BYTES - at : 1500);

        if (injected(c, n))
            continue;
        if (n <= 0) {
            must(other_side_gave_up(c, n));
            return;
        }
        if (!receive_pattern(c, conn, at, (size_t)n))
            return;
        at += (size_t)n;
    }
}

int scene_echo(void *arg)
{
    const struct scene_call *c = arg;
    struct echo e;
    ouro_conn conn[2];
    int error;

    echo_start(&e, c->form, c->family);
    for (int i = 0; i < 2; i++)
        scene_connect(c, &conn[i], &e.bound);
    for (int i = 0; i < 2; i++)
        exchange_pattern(c, conn[i]);
    again_while_injected(c, error, ouro_shutdown(conn[0], SHUT_WR));
    must(error == 0 || error == -ENOTCONN);
    for (int i = 0; i < 2; i++)
        must_be(ouro_close(conn[i]), 0);
    until(e.served + e.failed == 2);
    must(c->fault->where == FAULT_OPERATION || e.failed == 0);
    echo_stop(&e);
    until(pools_whole());
    return 0;
}

/* Whole calls: send_all and its parts end with an error or with everything, and `sent` is the
 * truth. */
int scene_send_all(void *arg)
{
    enum { SOME = 200 }; /* few enough for the socket to take, three bytes at a time */
    const struct scene_call *c = arg;
    static uint8_t out[SOME], in[3 * SOME];
    struct ouro_send_all all;
    struct ouro_sendv_all vall;
    struct iovec iov[3] = {{out, 100}, {out + 100, 0}, {out + 100, SOME - 100}};
    struct outside o;
    size_t sent, got = 0;
    ssize_t n;

    pattern_fill(out, SOME, 8, 0);
    outside_open(&o, c->family);
    ouro_send_all_start(&all, o.conn, out, SOME);
    n = ouro_await(&all.op.future);
    must(n == SOME || injected(c, n));
    must(n == SOME ? all.sent == SOME : all.sent < SOME);
    sent = all.sent;
    ouro_sendv_all_start(&vall, o.conn, iov, 3);
    n = ouro_await(&vall.op.future);
    must(n == SOME || injected(c, n));
    must_be(ouro_close(o.conn), 0);
    turns(2);
    while ((n = plain_read(o.fd, in + got, sizeof in - got)) > 0)
        got += (size_t)n;
    must_be(got, sent + vall.sent);
    pattern_check(in, sent, 8, 0);
    pattern_check(in + sent, vall.sent, 8, 0);
    close(o.fd);
    return 0;
}

/* --- what sockets are asked ------------------------------------------------------------------- */

int scene_ask(void *arg)
{
    const struct scene_call *c = arg;
    struct ouro_addr bound, peer;
    int error, fd, value = 0;
    socklen_t len = sizeof value;
    ouro_listener l = listen_on(c->family, &bound);
    struct pair p;

    scene_connect(c, &p.near, &bound);
    must_be(ouro_accept(l, &p.far), 0);
    again_while_injected(c, error, ouro_peer_addr(p.near, &peer));
    must_be(error, 0);
    must(ouro_addr_equal(&peer, &bound));
    again_while_injected(c, error, ouro_getsockopt(p.near, SOL_SOCKET, SO_TYPE, &value, &len));
    must_be(error, 0);
    must_be(value, SOCK_STREAM);
    again_while_injected(c, fd, ouro_conn_give_out(p.near));
    must(fd >= 0);
    plain_send(fd, "out", 3);
    close(fd);
    must_be(ouro_close_reset(p.far), 0);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* --- zero copy -------------------------------------------------------------------------------- */

/* Both futures complete in every case, and the peer gets what was reported. */
int scene_zero_copy(void *arg)
{
    const struct scene_call *c = arg;
    static uint8_t out[BYTES], in[BYTES];
    struct ouro_send_zc z;
    struct outside o;
    size_t sent = 0;

    pattern_fill(out, BYTES, 6, 0);
    outside_open(&o, c->family);
    while (sent < BYTES) {
        int n;

        ouro_send_zc_start(&z, o.conn, out + sent, BYTES - sent < 900 ? BYTES - sent : 900);
        n = ouro_await(&z.op.future);
        if (n > 0) {
            plain_recv(o.fd, in + sent, (size_t)n); /* or the peer holds its acknowledgement back */
            sent += (size_t)n;
        }
        must(ouro_await(&z.released) >= 0 || n < 0);
        if (n == -EOPNOTSUPP && c->family == UNIX) /* where the kernel has no such send */
            break;
        must(n > 0 || injected(c, n));
    }
    pattern_check(in, sent, 6, 0);
    outside_close(&o);
    return 0;
}

/* --- no buffers ------------------------------------------------------------------------------- */

/* One connection's owner keeps every provided buffer; another one receives all the same, into a
 * spare one. A source ends with an error that was injected, or goes on. */
int scene_starved(void *arg)
{
    const struct scene_call *c = arg;
    struct ouro_buf kept[SCENE_BUFFERS] = {0}, one = {0};
    struct ouro_recv_source greedy, other;
    struct outside a, b;
    int n = 1;

    outside_open(&a, c->family);
    outside_open(&b, c->family);
    must_be(ouro_recv_source_open(&greedy, a.conn, 2 * SCENE_BUFFERS), 0);
    for (unsigned i = 0; i < SCENE_BUFFERS && n == 1; i++) {
        plain_send(a.fd, "a", 1);
        n = ouro_recv_next(&greedy, &kept[i]);
        must(n == 1 || injected(c, n));
    }
    must_be(ouro_recv_source_open(&other, b.conn, 0), 0);
    turns(2);
    for (unsigned i = 0; i < 2 && n == 1; i++) {
        plain_send(b.fd, "b", 1);
        n = ouro_recv_next(&other, &one);
        must(n == 1 ? one.data[0] == 'b' : injected(c, n));
        ouro_buf_release(&one);
    }
    for (unsigned i = 0; i < SCENE_BUFFERS; i++)
        ouro_buf_release(&kept[i]);
    turns(2);
    must_be(ouro_recv_source_close(&greedy), 0);
    must_be(ouro_recv_source_close(&other), 0);
    outside_close(&a);
    outside_close(&b);
    return 0;
}
