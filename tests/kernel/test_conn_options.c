/* SPDX-License-Identifier: MIT */
/* Any option of a socket can be set and read by level and number, with the kernel's own errors; and
 * both ends know each other's addresses. */
#include "support/net_support.h"

#include <netinet/tcp.h>

static int any_option_main(void *arg)
{
    enum family f = *(enum family *)arg;
    int value, big = 1 << 30;
    socklen_t len;
    struct linger linger = {.l_onoff = 1, .l_linger = 7}, got = {0};
    struct timeval tv = {.tv_sec = 3}, tv_got = {0};
    struct pair p;

    pair_open(&p, f);
    must_be(ouro_setsockopt(p.near, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    len = sizeof got;
    must_be(ouro_getsockopt(p.near, SOL_SOCKET, SO_LINGER, &got, &len), 0);
    must(len == sizeof got && got.l_onoff == 1 && got.l_linger == 7);

    must_be(ouro_setsockopt(p.near, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv), 0);
    len = sizeof tv_got;
    must_be(ouro_getsockopt(p.near, SOL_SOCKET, SO_SNDTIMEO, &tv_got, &len), 0);
    must_be(tv_got.tv_sec, 3);

    len = sizeof value;
    must_be(ouro_getsockopt(p.near, SOL_SOCKET, SO_TYPE, &value, &len), 0);
    must_be(value, SOCK_STREAM);
    must_be(ouro_getsockopt(p.far, SOL_SOCKET, SO_DOMAIN, &value, &len), 0);
    must_be(value, f == V4 ? AF_INET : f == V6 ? AF_INET6 : AF_UNIX);

    must_be(ouro_setsockopt(p.near, SOL_SOCKET, SO_TYPE, &big, sizeof big), -ENOPROTOOPT);
    must_be(ouro_setsockopt(p.near, SOL_SOCKET, SO_KEEPALIVE, &big, 1), -EINVAL);
    must_be(ouro_getsockopt(p.near, SOL_SOCKET, 9999, &value, &len), -ENOPROTOOPT);
    if (f != UNIX) {
        value = 5;
        must_be(ouro_setsockopt(p.near, IPPROTO_TCP, TCP_KEEPCNT, &value, sizeof value), 0);
        value = 0;
        must_be(ouro_getsockopt(p.near, IPPROTO_TCP, TCP_KEEPCNT, &value, &len), 0);
        must_be(value, 5);
    }
    pair_close(&p);
    must_be(ouro_setsockopt(p.near, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), -EBADF);
    must_be(ouro_getsockopt(p.near, SOL_SOCKET, SO_LINGER, &got, &len), -EBADF);
    return 0;
}

/* Operations in flight do not mind. */
static int in_flight_main(void *arg)
{
    struct ouro_recv r;
    struct pair p;
    char in[4];
    int on = 1;

    pair_open(&p, *(enum family *)arg);
    ouro_recv_start(&r, p.near, in, sizeof in);
    must_be(ouro_setsockopt(p.near, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), 0);
    must_be(ouro_send(p.far, "ok", 2), 2);
    must_be(ouro_await(&r.op.future), 2);
    pair_close(&p);
    return 0;
}

static int addresses_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_addr bound, near_peer, near_local, far_peer, far_local;
    ouro_listener l = listen_on(f, &bound);
    struct pair p;

    must_be(ouro_connect(&p.near, &bound, NULL, 20 * SEC), 0);
    must_be(ouro_accept(l, &p.far), 0);
    must_be(ouro_peer_addr(p.near, &near_peer), 0);
    must_be(ouro_local_addr(p.near, &near_local), 0);
    must_be(ouro_peer_addr(p.far, &far_peer), 0);
    must_be(ouro_local_addr(p.far, &far_local), 0);
    must(ouro_addr_equal(&near_peer, &bound));
    must(ouro_addr_equal(&far_local, &bound));
    must(ouro_addr_equal(&far_peer, &near_local));
    if (f == UNIX) /* who connects has no name */
        must_be(near_local.len, sizeof(sa_family_t));
    else
        must(ouro_addr_port(&near_local) > 0);
    pair_close(&p);
    must_be(ouro_listener_close(l), 0);
    must_be(ouro_peer_addr(p.near, &near_peer), -EBADF);
    must_be(ouro_local_addr(p.near, &near_peer), -EBADF);
    return 0;
}

/* After the peer has gone there is none. */
static int gone_main(void *arg)
{
    struct ouro_addr a;
    struct outside o;
    char in[4];

    outside_open(&o, *(enum family *)arg);
    must_be(ouro_close_reset((ouro_conn){0}), -EBADF);
    close(o.fd);
    o.fd = -1;
    must_be(ouro_recv(o.conn, in, sizeof in), 0);
    must_be(ouro_local_addr(o.conn, &a), 0);
    outside_close(&o);
    return 0;
}

static int abstract_main(void *arg)
{
    struct ouro_addr a, bound, peer;
    char text[64];
    ouro_listener l;
    struct pair p;

    (void)arg;
    snprintf(text, sizeof text, "unix:@ouro-test-%d", (int)getpid());
    a = parsed(text);
    must_be(ouro_listen(&l, &a, NULL), 0);
    must_be(ouro_listener_addr(l, &bound), 0);
    must(ouro_addr_equal(&a, &bound));
    must_be(ouro_connect(&p.near, &a, NULL, 20 * SEC), 0);
    must_be(ouro_accept(l, &p.far), 0);
    must_be(ouro_peer_addr(p.near, &peer), 0);
    must(ouro_addr_equal(&a, &peer));
    pair_close(&p);
    must_be(ouro_listener_close(l), 0);
    must_be(ouro_connect(&p.near, &a, NULL, SEC), -ECONNREFUSED);
    return 0;
}

ON_EACH_FAMILY(any_option)
ON_EACH_FAMILY(in_flight)
ON_EACH_FAMILY(addresses)
ON_EACH_FAMILY(gone)
ON_ONE_SHARD(abstract)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_option), cmocka_unit_test(in_flight), cmocka_unit_test(addresses),
        cmocka_unit_test(gone),       cmocka_unit_test(abstract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
