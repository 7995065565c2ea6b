/* SPDX-License-Identifier: MIT */
/* A connection can be made from a local address: which one the peer sees, what is wrong with it,
 * and that nothing is left of one that failed or was cut short. With sockets from the table of
 * direct descriptors, and with ordinary ones. */
#include "support/net_kernel.h"
#include "support/net_support.h"

#include <sys/stat.h>

#include "shard/shard.h"

static struct ouro_connect_options from(const char *text)
{
    return (struct ouro_connect_options){.size = sizeof(struct ouro_connect_options),
                                         .source = parsed(text)};
}

static bool nothing_open(void)
{
    return shard_self->slots.open[SLOT_CONN] == 0;
}

static bool is_direct(ouro_conn conn)
{
    return slots_find(&shard_self->slots, conn.id, SLOT_CONN)->direct;
}

/* Connects with `o`, and gives the address that the peer sees. */
static struct ouro_addr seen_by_peer(const struct ouro_addr *to, ouro_listener l,
                                     const struct ouro_connect_options *o)
{
    struct ouro_addr seen, local;
    struct pair p;
    char byte;

    must_be(ouro_connect_with(&p.near, to, o, 10 * SEC), 0);
    must_be(is_direct(p.near),
            shard_self->ring.caps.direct_sockets && ring_has_op(&shard_self->ring, IORING_OP_BIND));
    must_be(ouro_accept(l, &p.far), 0);
    must_be(ouro_peer_addr(p.far, &seen), 0);
    must_be(ouro_local_addr(p.near, &local), 0);
    must(ouro_addr_equal(&seen, &local));
    must_be(ouro_send(p.near, "x", 1), 1);
    must_be(ouro_recv(p.far, &byte, 1), 1);
    must_be(ouro_close_reset(p.near), 0); /* no port waits for its time */
    must_be(ouro_close(p.far), 0);
    return seen;
}

/* A port of the loopback that was free a moment ago. */
static uint16_t free_port(const char *text)
{
    struct ouro_addr a = parsed(text);
    socklen_t len = a.len;
    int fd = socket(ouro_addr_family(&a), SOCK_STREAM | SOCK_CLOEXEC, 0);

    must_be(bind(fd, &a.sa, a.len), 0);
    must_be(getsockname(fd, &a.sa, &len), 0);
    close(fd);
    return (uint16_t)ouro_addr_port(&a);
}

static int address_main(void *arg)
{
    struct ouro_connect_options o = from("127.0.0.7:0");
    struct ouro_addr bound, seen;
    ouro_listener l = listen_on(V4, &bound);

    (void)arg;
    seen = seen_by_peer(&bound, l, &o);
    must_be(ntohl(seen.in4.sin_addr.s_addr), 0x7f000007);
    must(ouro_addr_port(&seen) > 0);
    must_be(ouro_listener_close(l), 0);
    until(nothing_open());
    return 0;
}

static int port_main(void *arg)
{
    struct ouro_connect_options o = from("127.0.0.8:0");
    struct ouro_addr bound, seen;
    ouro_listener l = listen_on(V4, &bound);

    (void)arg;
    must_be(ouro_addr_set_port(&o.source, free_port("127.0.0.8:0")), 0);
    seen = seen_by_peer(&bound, l, &o);
    must(ouro_addr_equal(&seen, &o.source));
    must_be(ouro_listener_close(l), 0);
    until(nothing_open());
    return 0;
}

static int six_main(void *arg)
{
    struct ouro_connect_options o = from("[::1]:0");
    struct ouro_addr bound, seen;
    ouro_listener l = listen_on(V6, &bound);
    ouro_conn conn;
    int value = 0;
    socklen_t len = sizeof value;

    (void)arg;
    seen = seen_by_peer(&bound, l, &o);
    must_be(ouro_addr_family(&seen), AF_INET6);
    must_be(ouro_connect_with(&conn, &bound, &o, 10 * SEC), 0);
    must_be(ouro_getsockopt(conn, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &value, &len), 0);
    must_be(value, 1);
    must_be(ouro_close(conn), 0);
    must_be(ouro_listener_close(l), 0);
    until(nothing_open());
    return 0;
}

/* Options of the socket go with it; a port that is asked for is taken at once. */
static int options_main(void *arg)
{
    struct ouro_connect_options o = from("127.0.0.9:0");
    struct ouro_addr bound;
    ouro_listener l = listen_on(V4, &bound);
    ouro_conn conn;
    int value = 0;
    socklen_t len = sizeof value;

    (void)arg;
    o.socket.size = sizeof o.socket;
    o.socket.keepalive = true;
    must_be(ouro_addr_set_port(&o.source, free_port("127.0.0.9:0")), 0);
    must_be(ouro_connect_with(&conn, &bound, &o, 10 * SEC), 0);
    must_be(ouro_getsockopt(conn, SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
    must_be(value, 1);
    must_be(ouro_getsockopt(conn, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &value, &len), 0);
    must_be(value, 0);
    must_be(ouro_close_reset(conn), 0);
    must_be(ouro_listener_close(l), 0);
    until(nothing_open());
    return 0;
}

static int unix_main(void *arg)
{
    struct ouro_connect_options o = {.size = sizeof o};
    struct ouro_addr bound, seen;
    ouro_listener l = listen_on(UNIX, &bound);
    struct stat st;

    (void)arg;
    o.source = any_addr(UNIX);
    seen = seen_by_peer(&bound, l, &o);
    must(ouro_addr_equal(&seen, &o.source));
    must_be(stat(o.source.un.sun_path, &st), 0); /* left there, and so in the way */
    {
        ouro_conn conn = {9};

        must_be(ouro_connect_with(&conn, &bound, &o, 10 * SEC), -EADDRINUSE);
        must_be(conn.id, 0);
    }
    must_be(unlink(o.source.un.sun_path), 0);
    must_be(ouro_listener_close(l), 0);
    until(nothing_open());
    return 0;
}

/* No options, no source, a source that is empty: the kernel's choice. */
static int none_main(void *arg)
{
    struct ouro_connect_options o = {.size = sizeof o};
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    ouro_conn conn[2];

    must_be(ouro_connect_with(&conn[0], &bound, NULL, 10 * SEC), 0);
    must_be(ouro_connect_with(&conn[1], &bound, &o, 10 * SEC), 0);
    must_be(is_direct(conn[1]), shard_self->ring.caps.direct_sockets);
    must_be(ouro_close(conn[0]), 0);
    must_be(ouro_close(conn[1]), 0);
    must_be(ouro_listener_close(l), 0);
    until(nothing_open());
    return 0;
}

static void fails(const struct ouro_addr *to, const struct ouro_connect_options *o, int error)
{
    uint32_t promised = shard_self->slots.promised;
    ouro_conn conn = {99};

    must_be(ouro_connect_with(&conn, to, o, 10 * SEC), error);
    must_be(conn.id, 0);
    until(nothing_open());
    must_be(shard_self->slots.promised, promised);
}

static int refused_main(void *arg)
{
    struct ouro_connect_options o = from("127.0.0.1:0"), six = from("[::1]:0"),
                                far = from("192.0.2.1:0");
    struct ouro_addr bound, missing = parsed("unix:/nonexistent/x");
    ouro_listener l = listen_on(V4, &bound), taken;
    struct ouro_addr at;

    (void)arg;
    fails(&bound, &far, -EADDRNOTAVAIL); /* a net that is for books */
    fails(&bound, &six, -EINVAL);
    o.source.len = 3;
    fails(&bound, &o, -EINVAL);
    taken = listen_on(V4, &at);
    o.source = at;
    fails(&bound, &o, -EADDRINUSE);
    must_be(ouro_listener_close(taken), 0);
    o = from("127.0.0.1:0");
    o.socket.size = 3;
    fails(&bound, &o, -EINVAL);
    o.socket.size = 0;
    o.size--;
    fails(&bound, &o, -EINVAL);
    o.size++;
    fails(NULL, &o, -EINVAL);
    must_be(ouro_connect_with(NULL, &bound, &o, SEC), -EINVAL);
    must_be(ouro_listener_close(l), 0);
    fails(&bound, &o, -ECONNREFUSED);
    l = listen_on(UNIX, &bound);
    o.source = missing;
    fails(&bound, &o, -ENOENT);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

struct trial {
    struct ouro_connect_options o;
    struct ouro_addr to;
    int result;
};

static int connect_task(void *arg)
{
    struct trial *t = *(struct trial **)arg;
    ouro_conn conn;

    t->result = ouro_connect_with(&conn, &t->to, &t->o, OURO_FOREVER);
    if (t->result == 0)
        must_be(ouro_close(conn), 0);
    return 0;
}

/* Cancelled after 0, 1, 2, … turns, against a listener that does not answer. */
static int cancel_main(void *arg)
{
    struct trial t = {.o = from("127.0.0.1:0")}, *pt = &t;
    int listener = plain_listen(V4, 0, &t.to), fill[8];
    ouro_fiber f;

    (void)arg;
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        must(connect(fill[i], &t.to.sa, t.to.len) == 0 || errno == EINPROGRESS);
    }
    for (unsigned after = 0; after < 12; after++) {
        must_be(ouro_spawn_joinable(NULL, connect_task, &pt, sizeof pt, &f), 0);
        turns(after);
        must_be(ouro_fiber_cancel(f), 0);
        (void)ouro_join(f, NULL);
        must(t.result == -ECANCELED || t.result == 0);
        until(nothing_open());
    }
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(listener);
    return 0;
}

static void off_a_shard(void **state)
{
    struct ouro_connect_options o = from("127.0.0.1:0");
    struct ouro_addr a = parsed("127.0.0.1:1");
    ouro_conn conn = {7};

    (void)state;
    assert_int_equal(ouro_connect_with(&conn, &a, &o, SEC), -OURO_ENOSHARD);
    assert_int_equal(conn.id, 0);
}

static int each_main(void *arg)
{
    enum family four = V4, local = UNIX;

    address_main(arg);
    port_main(arg);
    if (family_there(V6))
        six_main(arg);
    options_main(arg);
    unix_main(arg);
    none_main(&four);
    none_main(&local);
    refused_main(arg);
    cancel_main(arg);
    return 0;
}

ON_ONE_SHARD(each)

static void with(const struct kernel *kernel)
{
    kernel_default = kernel;
    assert_int_equal(run_on(1, each_main, NULL), 0);
    kernel_default = &kernel_linux;
}

static void ordinary_sockets(void **state)
{
    (void)state;
    with(&kernel_without_direct_sockets);
}

static void without_bind(void **state)
{
    (void)state;
    with(&kernel_without_bind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each),
        cmocka_unit_test(ordinary_sockets),
        cmocka_unit_test(without_bind),
        cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
