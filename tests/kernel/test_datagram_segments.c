/* SPDX-License-Identifier: MIT */
/* One send that the kernel cuts into datagrams, one receive that it joined from several, and both
 * together; where it does not grant them the socket says so. */
#include "support/net_support.h"

#define SEED    11
#define TOTAL   12345
#define SEGMENT 1000

static uint8_t out[65536], in[65536];

static ouro_conn bound_socket(enum family f, bool gro, struct ouro_addr *addr)
{
    struct ouro_datagram_options o = {.size = sizeof o, .gro = gro};
    struct ouro_addr any = any_addr(f);
    ouro_conn c;

    must_be(ouro_datagram_bind(&c, &any, &o), 0);
    must_be(ouro_local_addr(c, addr), 0);
    return c;
}

static struct ouro_datagram_info info_of(ouro_conn c)
{
    struct ouro_datagram_info i = {.size = sizeof i};

    must_be(ouro_datagram_info(c, &i), 0);
    return i;
}

/* Cut and not joined: each arrives by itself. */
static int cut_main(void *arg)
{
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(*(enum family *)arg, false, &a),
              y = bound_socket(*(enum family *)arg, false, &b);
    size_t at = 0;

    must(!info_of(y).gro);
    if (!info_of(x).gso) {
        must_be(ouro_send_segments(x, out, TOTAL, SEGMENT, &b), -EOPNOTSUPP);
    } else {
        pattern_fill(out, TOTAL, SEED, 0);
        must_be(ouro_send_segments(x, out, TOTAL, SEGMENT, &b), TOTAL);
        for (; at < TOTAL; at += SEGMENT) {
            size_t n = TOTAL - at < SEGMENT ? TOTAL - at : SEGMENT;

            must_be(ouro_recv_from(y, in, sizeof in, NULL), n);
            pattern_check(in, n, SEED, at);
        }
        must_be(ouro_send_segments(x, out, 10, SEGMENT, &b), 10); /* less than one */
        must_be(ouro_recv_from(y, in, sizeof in, NULL), 10);
        must_be(ouro_datagram_connect(x, &b), 0);
        must_be(ouro_send_segments(x, out, 2 * SEGMENT, SEGMENT, NULL), 2 * SEGMENT);
        must_be(ouro_recv(y, in, sizeof in), SEGMENT);
        must_be(ouro_recv(y, in, sizeof in), SEGMENT);
        must_be(ouro_send_segments(x, out, 65536, 30000, NULL), -EMSGSIZE);
        must_be(ouro_send_segments(x, out, 60000, 1, NULL), -EINVAL); /* too many */
    }
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

/* Takes TOTAL bytes, joined or not, from a source or by single receives: how many were joined. */
static unsigned take_all(ouro_conn c, struct ouro_datagram_source *source)
{
    unsigned joined = 0;
    size_t at = 0;

    while (at < TOTAL) {
        struct ouro_recv_from r;
        struct ouro_datagram d;

        if (source != NULL) {
            must(ouro_datagram_next(source, &d) > 0);
        } else {
            ouro_recv_from_start(&r, c, in, sizeof in);
            must(ouro_await(&r.op.future) > 0);
            must(ouro_recv_from_read(&r, &d) > 0);
        }
        must(!d.truncated);
        must(d.segment_bytes == 0 || d.segment_bytes == SEGMENT);
        must(d.segment_bytes != 0 || d.len <= SEGMENT);
        must(at % SEGMENT == 0);
        joined += d.len > SEGMENT;
        pattern_check(d.data, d.len, SEED, at);
        at += d.len;
        ouro_buf_release(&d.buf);
    }
    must_be(at, TOTAL);
    return joined;
}

static int joined_main(void *arg)
{
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(*(enum family *)arg, false, &a),
              y = bound_socket(*(enum family *)arg, true, &b);
    struct ouro_datagram_source source;
    unsigned joined;

    pattern_fill(out, TOTAL, SEED, 0);
    if (!info_of(y).gro || !info_of(x).gso) {
        print_message("skipped: the kernel grants no segments here\n");
    } else {
        must_be(ouro_send_segments(x, out, TOTAL, SEGMENT, &b), TOTAL);
        joined = take_all(y, NULL);
        must_be(ouro_datagram_source_open(&source, y, 0, 0), 0);
        must_be(ouro_send_segments(x, out, TOTAL, SEGMENT, &b), TOTAL);
        joined += take_all(y, &source);
        must(joined > 0);
        must_be(ouro_datagram_source_close(&source), 0);
    }
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

/* With the buffers as they are by default a joined one would not fit. */
static int no_room_main(void *arg)
{
    struct ouro_datagram_source source;
    struct ouro_addr a;
    ouro_conn c = bound_socket(*(enum family *)arg, true, &a);
    int yes = 0;

    if (info_of(c).gro) {
        must_be(ouro_datagram_source_open(&source, c, 0, 0), -EMSGSIZE);
        must_be(ouro_setsockopt(c, IPPROTO_UDP, 104 /* UDP_GRO */, &yes, sizeof yes), 0);
        must(!info_of(c).gro);
    }
    must_be(ouro_datagram_source_open(&source, c, 0, 0), 0);
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_close(c), 0);
    return 0;
}

/* A wish that is not granted, and no error. */
static int unix_main(void *arg)
{
    struct ouro_addr a;
    ouro_conn c = bound_socket(UNIX, true, &a);

    (void)arg;
    must(!info_of(c).gro && !info_of(c).gso && info_of(c).dropped == 0);
    must_be(ouro_send_segments(c, "x", 1, 1, &a), -EOPNOTSUPP);
    must_be(ouro_close(c), 0);
    return 0;
}

static void with_large_buffers(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.large_buffer_bytes = 128 << 10;
    for (enum family f = V4; f <= V6; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, joined_main, &f), 0);
}

#define ON_EACH_IP(name)                                                                           \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        for (enum family f = V4; f <= V6; f++)                                                     \
            if (family_there(f))                                                                   \
                assert_int_equal(run_on(1, name##_main, &f), 0);                                   \
    }

ON_EACH_IP(cut)
ON_EACH_IP(no_room)

static void over_unix(void **state)
{
    (void)state;
    assert_int_equal(run_on(1, unix_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut),
        cmocka_unit_test(with_large_buffers),
        cmocka_unit_test(no_room),
        cmocka_unit_test(over_unix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
