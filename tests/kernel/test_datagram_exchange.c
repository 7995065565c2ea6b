/* SPDX-License-Identifier: MIT */
/* Datagrams between sockets of each family: every one arrives whole with its sender's address, with
 * and without default peers, in both styles of task; one too long for the buffer says so, one too
 * long for the protocol is refused. */
#include "support/net_support.h"

#define SEED 3

static uint8_t out[70000], in[70000];

static ouro_conn bound_socket(enum family f, struct ouro_addr *addr)
{
    struct ouro_addr any = any_addr(f);
    ouro_conn c;

    must_be(ouro_datagram_bind(&c, &any, NULL), 0);
    must_be(ouro_local_addr(c, addr), 0);
    return c;
}

/* Sizes around everything, in both directions. */
static int sizes_main(void *arg)
{
    static const size_t sizes[] = {0, 1, 2, 1472, 1473, 2048, 9000, 65000};
    struct ouro_addr a, b, from;
    ouro_conn x = bound_socket(*(enum family *)arg, &a), y = bound_socket(*(enum family *)arg, &b);

    pattern_fill(out, sizeof out, SEED, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ssize_t n = (ssize_t)sizes[i];

        memset(in, 0xee, sizeof in);
        must_be(ouro_send_to(x, out, sizes[i], &b), n);
        must_be(ouro_recv_from(y, in, sizeof in, &from), n);
        pattern_check(in, sizes[i], SEED, 0);
        must_be(in[sizes[i]], 0xee);
        must(ouro_addr_equal(&from, &a));
        must_be(ouro_send_to(y, in, sizes[i], &from), n);
        must_be(ouro_recv_from(x, in, sizeof in, NULL), n);
    }
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

/* The true length is told, nothing is written beyond the buffer, and the next one is whole. */
static int truncated_main(void *arg)
{
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(*(enum family *)arg, &a), y = bound_socket(*(enum family *)arg, &b);
    struct ouro_recv_from r;
    struct ouro_datagram d;
    static const size_t rooms[] = {0, 1, 99, 100};

    pattern_fill(out, sizeof out, SEED, 0);
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        memset(in, 0xee, sizeof in);
        must_be(ouro_send_to(x, out, 100, &b), 100);
        must_be(ouro_send_to(x, "next", 4, &b), 4);
        ouro_recv_from_start(&r, y, in, rooms[i]);
        must_be(ouro_await(&r.op.future), 100);
        must_be(ouro_recv_from_read(&r, &d), 100);
        must(d.data == (char *)in && d.len == rooms[i] && d.full_len == 100);
        must_be(d.truncated, rooms[i] < 100);
        must(d.segment_bytes == 0 && d.interface == 0 && d.to.len == 0 && d.buf.id == 0);
        must(ouro_addr_equal(&d.from, &a));
        pattern_check(in, rooms[i], SEED, 0);
        must_be(in[rooms[i]], 0xee);
        must_be(ouro_recv_from(y, in, sizeof in, NULL), 4);
    }
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

static int too_long_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_datagram_options small = {.size = sizeof small, .send_buffer_bytes = 8192};
    struct ouro_addr a, any = any_addr(f);
    ouro_conn x = bound_socket(f, &a), y;

    must_be(ouro_datagram_bind(&y, &any, &small), 0);
    if (f == UNIX) { /* its limit is the send buffer */
        must_be(ouro_send_to(y, out, 65000, &a), -EMSGSIZE);
    } else {
        must_be(ouro_send_to(x, out, f == V4 ? 65508 : 65528, &a), -EMSGSIZE);
        must_be(ouro_send_to(x, out, 65507, &a), 65507);
        must_be(ouro_recv_from(x, in, sizeof in, NULL), 65507);
    }
    must_be(ouro_send_to(y, "x", 1, &a), 1);
    must_be(ouro_recv_from(x, in, sizeof in, NULL), 1);
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

/* The calls of connections, one datagram each; only the peer is heard. */
static int peers_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_addr a, b, c, peer;
    ouro_conn x = bound_socket(f, &a), y = bound_socket(f, &b), z = bound_socket(f, &c);
    struct iovec parts[2] = {{(char *)"ab", 2}, {(char *)"cde", 3}};
    char buf[8];

    must_be(ouro_datagram_connect(x, &b), 0);
    must_be(ouro_peer_addr(x, &peer), 0);
    must(ouro_addr_equal(&peer, &b));
    must_be(ouro_send(x, "one", 3), 3);
    must_be(ouro_sendv(x, parts, 2), 5);
    must_be(ouro_recv(y, buf, 2), 2); /* the rest is gone */
    must_be(ouro_recv(y, buf, sizeof buf), 5);
    must(memcmp(buf, "abcde", 5) == 0);

    if (f == UNIX) /* the kernel refuses the sender */
        must_be(ouro_send_to(z, "stranger", 8, &a), -EPERM);
    else
        must_be(ouro_send_to(z, "stranger", 8, &a), 8);
    must_be(ouro_send_to(y, "friend", 6, &a), 6);
    must_be(ouro_recv(x, buf, sizeof buf), 6);

    must_be(ouro_datagram_connect(x, &c), 0); /* another one */
    must_be(ouro_send_to(x, "two", 3, NULL), 3);
    must_be(ouro_recv_from(z, buf, sizeof buf, &peer), 3);
    must(ouro_addr_equal(&peer, &a));
    must_be(ouro_send_to(z, "hello", 5, &a), 5);
    must_be(ouro_recv_from(x, buf, sizeof buf, &peer), 5);
    must(ouro_addr_equal(&peer, &c));

    must_be(ouro_datagram_connect(x, NULL), 0); /* none */
    must_be(ouro_peer_addr(x, &peer), -ENOTCONN);
    must_be(ouro_send(x, "x", 1), f == UNIX ? -ENOTCONN : -EDESTADDRREQ);
    if (f == UNIX) { /* IP lets go of a port that the kernel chose */
        must_be(ouro_send_to(y, "any", 3, &a), 3);
        must_be(ouro_recv(x, buf, sizeof buf), 3);
    }
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    must_be(ouro_close(z), 0);
    return 0;
}

/* Senders without an address: IP gets one, a Unix sender has none. */
static int unbound_main(void *arg)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    enum family f = *(enum family *)arg;
    struct ouro_addr a, from;
    ouro_conn x = bound_socket(f, &a), y;
    char buf[8];

    must_be(ouro_datagram_open(&y, families[f], NULL), 0);
    must_be(ouro_send_to(y, "hi", 2, &a), 2);
    must_be(ouro_recv_from(x, buf, sizeof buf, &from), 2);
    must_be(ouro_addr_family(&from), f == UNIX ? AF_UNSPEC : families[f]);
    if (f != UNIX) {
        must_be(ouro_send_to(x, "back", 4, &from), 4);
        must_be(ouro_recv_from(y, buf, sizeof buf, NULL), 4);
    }
    must_be(ouro_close(y), 0);
    must_be(ouro_close(x), 0);
    return 0;
}

/* --- both styles ----------------------------------------------------------------------------- */

struct job {
    struct waiter waiter;
    bool sends;
    ouro_conn conn;
    struct ouro_addr to;
    struct ouro_send_to send;
    struct ouro_recv_from recv;
    char buf[16];
};

static struct ouro_future *start(void *arg)
{
    struct job *j = arg;

    if (j->sends)
        ouro_send_to_start(&j->send, j->conn, "round", 5, &j->to);
    else
        ouro_recv_from_start(&j->recv, j->conn, j->buf, sizeof j->buf);
    memset(&j->to, 0xff, sizeof j->to); /* it was copied */
    return j->sends ? &j->send.op.future : &j->recv.op.future;
}

static int styles_main(void *arg)
{
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(*(enum family *)arg, &a), y = bound_socket(*(enum family *)arg, &b);

    for (enum style style = 0; style < STYLES; style++) {
        struct job r = {.waiter = {.start = start, .arg = &r}, .conn = y};
        struct job s = {.waiter = {.start = start, .arg = &s}, .sends = true, .conn = x, .to = b};
        struct ouro_datagram d;

        waiter_spawn(&r.waiter, style, NULL);
        turns(3);
        must(!r.waiter.ended);
        must_be(ouro_recv_from_read(&r.recv, &d), -EINVAL); /* not yet */
        waiter_spawn(&s.waiter, style, NULL);
        until(r.waiter.ended && s.waiter.ended);
        must_be(s.waiter.result, 5);
        must_be(r.waiter.result, 5);
        must_be(ouro_recv_from_read(&r.recv, &d), 5);
        must(d.data == r.buf && memcmp(d.data, "round", 5) == 0);
        must(ouro_addr_equal(&d.from, &a));
    }
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

/* [::] also hears IPv4, unless it is told not to; the destination is told when asked for. */
static int destination_main(void *arg)
{
    struct ouro_datagram_options o = {.size = sizeof o, .destination = true};
    struct ouro_addr any = parsed("[::]:0"), to, here = parsed("127.0.0.1:0"), a;
    ouro_conn x, y = bound_socket(V4, &a);
    struct ouro_recv_from r;
    struct ouro_datagram d;
    char buf[8], text[OURO_ADDR_STRLEN];

    (void)arg;
    must_be(ouro_datagram_bind(&x, &any, &o), 0);
    must_be(ouro_local_addr(x, &any), 0);
    to = here;
    must_be(ouro_addr_set_port(&to, (uint16_t)ouro_addr_port(&any)), 0);
    must_be(ouro_send_to(y, "four", 4, &to), 4);
    ouro_recv_from_start(&r, x, buf, sizeof buf);
    must_be(ouro_await(&r.op.future), 4);
    must_be(ouro_recv_from_read(&r, &d), 4);
    must_be(d.interface, ouro_interface("lo"));
    must(ouro_addr_format(&d.to, text, sizeof text) > 0);
    must(strcmp(text, "[::ffff:127.0.0.1]:0") == 0);
    must_be(ouro_close(x), 0);

    o.v6only = true;
    must_be(ouro_datagram_bind(&x, &any, &o), 0);
    must_be(ouro_datagram_connect(y, &to), 0);
    must_be(ouro_send(y, "four", 4), 4);
    must_be(ouro_recv(y, buf, sizeof buf), -ECONNREFUSED);
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);

    must_be(ouro_datagram_bind(&x, &here, &o), 0); /* and IPv4 by itself */
    must_be(ouro_local_addr(x, &a), 0);
    must_be(ouro_send_to(x, "", 0, &a), 0);
    ouro_recv_from_start(&r, x, NULL, 0);
    must_be(ouro_await(&r.op.future), 0);
    must_be(ouro_recv_from_read(&r, &d), 0);
    must(ouro_addr_equal(&d.to, &here) && d.interface == (unsigned)ouro_interface("lo"));
    must_be(ouro_close(x), 0);
    return 0;
}

static void destination(void **state)
{
    (void)state;
    if (family_there(V6))
        assert_int_equal(run_on(1, destination_main, NULL), 0);
}

ON_EACH_FAMILY(sizes)
ON_EACH_FAMILY(truncated)
ON_EACH_FAMILY(too_long)
ON_EACH_FAMILY(peers)
ON_EACH_FAMILY(unbound)
ON_EACH_FAMILY(styles)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),       cmocka_unit_test(truncated), cmocka_unit_test(too_long),
        cmocka_unit_test(peers),       cmocka_unit_test(unbound),   cmocka_unit_test(styles),
        cmocka_unit_test(destination),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
