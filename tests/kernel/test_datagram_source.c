/* SPDX-License-Identifier: MIT */
/* A source of datagrams: each comes whole, with its sender, and in order; bounded in what it holds,
 * it goes on by itself after a full queue, a dry pool and the network's errors, and gives
 * everything back when it is closed in whatever state. */
#include "support/net_support.h"

#include "shard/shard.h"

#define HEAD 256 /* of each buffer, by the contract */

static ouro_conn bound_socket(enum family f, struct ouro_addr *addr)
{
    struct ouro_datagram_options o = {.size = sizeof o, .receive_buffer_bytes = 1 << 20};
    struct ouro_addr any = any_addr(f);
    ouro_conn c;

    must_be(ouro_datagram_bind(&c, &any, &o), 0);
    must_be(ouro_local_addr(c, addr), 0);
    return c;
}

static struct ouro_options tiny_pool(uint32_t most)
{
    struct ouro_options o = small_options(1);

    o.buffer_bytes = o.large_buffer_bytes = 512;
    o.buffers = o.large_buffers = 16;
    o.buffers_max = o.large_buffers_max = most;
    return o;
}

/* --- what a datagram says -------------------------------------------------------------------- */

static int contents_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(f, &a), y = bound_socket(f, &b), nameless;
    uint32_t room = shard_self->pools[0].bytes - HEAD;
    static uint8_t out[4096];
    struct ouro_datagram d;

    OURO_DATAGRAM_SOURCE(source);
    pattern_fill(out, sizeof out, 1, 0);
    must_be(ouro_datagram_source_open(&source, y, 0, 0), 0);
    must_be(ouro_datagram_take(&source, &d), -EAGAIN);
    for (uint32_t n = 0; n <= room + 1; n = n < 2 ? n + 1 : n < room - 1 ? room - 1 : n + 1) {
        must_be(ouro_send_to(x, out, n, &b), n);
        must_be(ouro_datagram_next(&source, &d), n <= room ? n : room);
        must(d.full_len == n && d.truncated == (n > room));
        must(d.len == (n <= room ? n : room) && d.buf.id != 0);
        must(ouro_addr_equal(&d.from, &a));
        must(d.segment_bytes == 0 && d.interface == 0 && d.to.len == 0);
        pattern_check(d.data, d.len, 1, 0);
        must_be(ouro_send_to(y, d.data, d.len, &d.from), d.len); /* a lease may be sent */
        must_be(ouro_recv(x, NULL, 0), 0);
        ouro_buf_release(&d.buf);
    }
    if (f == UNIX) {
        must_be(ouro_datagram_open(&nameless, AF_UNIX, NULL), 0);
        must_be(ouro_send_to(nameless, "who", 3, &b), 3);
        must_be(ouro_datagram_next(&source, &d), 3);
        must_be(ouro_addr_family(&d.from), AF_UNSPEC);
        ouro_buf_release(&d.buf);
        must_be(ouro_close(nameless), 0);
    }
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_datagram_take(&source, &d), -EBADF);
    must_be(ouro_datagram_source_close(&source), 0); /* harmless */
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

/* More than a small buffer holds: the large ones. */
static int large_main(void *arg)
{
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(*(enum family *)arg, &a), y = bound_socket(*(enum family *)arg, &b);
    uint32_t room = shard_self->pools[1].bytes - HEAD;
    struct ouro_datagram_source source;
    static uint8_t out[20000];
    struct ouro_datagram d;

    pattern_fill(out, sizeof out, 2, 0);
    must_be(ouro_datagram_source_open(&source, y, room + 1, 0), -EMSGSIZE);
    must_be(ouro_datagram_source_open(&source, y, room, 0), 0);
    for (int i = 0; i < 100; i++) { /* small ones do not change its mind */
        must_be(ouro_send_to(x, out, 1, &b), 1);
        must_be(ouro_datagram_next(&source, &d), 1);
        ouro_buf_release(&d.buf);
    }
    must_be(ouro_send_to(x, out, room, &b), room);
    must_be(ouro_datagram_next(&source, &d), room);
    pattern_check(d.data, d.len, 2, 0);
    ouro_buf_release(&d.buf);
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

/* --- many ------------------------------------------------------------------------------------ */

struct flood {
    ouro_conn conn;
    struct ouro_addr to;
    uint32_t count;
    uint32_t ahead_most; /* of the receiver; UDP would lose them */
    uint32_t received;
};

static int send_flood(void *arg)
{
    struct flood *f = *(struct flood **)arg;

    for (uint32_t i = 0; i < f->count; i++) {
        while (i - f->received >= f->ahead_most)
            must_be(ouro_yield(), 0);
        must_be(ouro_send_to(f->conn, &i, sizeof i, &f->to), sizeof i);
    }
    return 0;
}

static int flood_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(f, &a), y = bound_socket(f, &b);
    struct flood flood = {x, b, slow_build() ? 20000 : 100000, 64, 0}, *p = &flood;
    struct ouro_datagram_source source;
    struct ouro_datagram_info info = {.size = sizeof info};
    uint32_t live, value;

    must_be(ouro_datagram_source_open(&source, y, sizeof value, 8), 0);
    must_be(ouro_spawn(NULL, send_flood, &p, sizeof p), 0);
    for (uint32_t i = 0; i < flood.count; i++) {
        struct ouro_datagram d;

        must_be(ouro_datagram_next(&source, &d), sizeof value);
        memcpy(&value, d.data, sizeof value);
        must_be(value, i);
        must(source.recv.queued <= 8 + 64);
        ouro_buf_release(&d.buf);
        flood.received = i + 1;
    }
    live = shard_self->pools[0].live;
    must(live <= 32);
    must_be(ouro_datagram_info(y, &info), 0);
    must_be(info.dropped, 0);
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

static void flood(void **state)
{
    struct ouro_options o = tiny_pool(32);

    (void)state;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, flood_main, &f), 0);
}

/* Nobody takes: it holds a bounded number, the socket's queue the next, and UDP counts the rest. */
static int overflow_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_datagram_options small = {.size = sizeof small, .receive_buffer_bytes = 4096};
    struct ouro_addr a, b, any = any_addr(f);
    ouro_conn x = bound_socket(f, &a), y;
    struct ouro_datagram_source source;
    struct ouro_datagram_info info = {.size = sizeof info};
    struct ouro_datagram d;
    unsigned taken = 0;

    must_be(ouro_datagram_bind(&y, &any, &small), 0);
    must_be(ouro_local_addr(y, &b), 0);
    must_be(ouro_datagram_source_open(&source, y, 0, 4), 0);
    for (int i = 0; i < 1000; i++)
        must_be(ouro_send_to(x, "datagram", 8, &b), 8);
    turns(3);
    must(source.recv.queued >= 4 && source.recv.queued < 4 + 64);
    must_be(ouro_datagram_info(y, &info), 0);
    must(info.dropped > 0);
    while (taken + info.dropped < 1000) {
        must_be(ouro_datagram_next(&source, &d), 8);
        ouro_buf_release(&d.buf);
        taken++;
    }
    must_be(ouro_datagram_take(&source, &d), -EAGAIN); /* every one is accounted for */
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

static void overflow(void **state)
{
    (void)state;
    for (enum family f = V4; f <= V6; f++)
        if (family_there(f))
            assert_int_equal(run_on(1, overflow_main, &f), 0);
}

/* All buffers are on lease: it waits for one, says so in the counters, and loses nothing. */
static int dry_main(void *arg)
{
    enum { N = 16, MORE = 8 };
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(*(enum family *)arg, &a), y = bound_socket(*(enum family *)arg, &b);
    struct ouro_datagram_source source;
    struct ouro_counters before = counters_now();
    struct ouro_datagram kept[N], d;

    must_be(ouro_datagram_source_open(&source, y, 0, 64), 0);
    for (char i = 0; i < N; i++) {
        must_be(ouro_send_to(x, &i, 1, &b), 1);
        must_be(ouro_datagram_next(&source, &kept[(int)i]), 1);
    }
    for (char i = 0; i < MORE; i++)
        must_be(ouro_send_to(x, &i, 1, &b), 1);
    turns(5);
    must_be(ouro_datagram_take(&source, &d), -EAGAIN);
    must(counters_now().buffers_dry > before.buffers_dry);
    must(counters_now().receives_parked > before.receives_parked);
    for (int i = 0; i < N; i++) {
        must_be(kept[i].data[0], i); /* leases are whole */
        ouro_buf_release(&kept[i].buf);
    }
    for (int i = 0; i < MORE; i++) {
        must_be(ouro_datagram_next(&source, &d), 1);
        must_be(d.data[0], i);
        ouro_buf_release(&d.buf);
    }
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    until(pools_whole());
    return 0;
}

static void dry(void **state)
{
    struct ouro_options o = tiny_pool(16);

    (void)state;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, dry_main, &f), 0);
}

/* --- ends ------------------------------------------------------------------------------------ */

/* An ICMP error is told once, after what came before it, and the source goes on. */
static int network_error_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_datagram_options own = {.size = sizeof own, .private_port = true};
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(f, &a), y = bound_socket(f, &b);
    struct ouro_datagram_source source;
    struct ouro_datagram d;

    must_be(ouro_datagram_connect(y, &a), 0);
    must_be(ouro_datagram_source_open(&source, y, 0, 0), 0);
    must_be(ouro_send_to(x, "before", 6, &b), 6);
    must_be(ouro_close(x), 0);
    for (int i = 0; i < 3; i++) {
        turns(2);
        must_be(ouro_send(y, "nobody", 6), 6);
        turns(2);
        if (i == 0) {
            must_be(ouro_datagram_next(&source, &d), 6);
            ouro_buf_release(&d.buf);
        }
        must_be(ouro_datagram_next(&source, &d), -ECONNREFUSED);
        must_be(ouro_datagram_take(&source, &d), -EAGAIN);
        must(!ouro_done(&source.recv.ready));
    }
    must_be(ouro_datagram_bind(&x, &a, &own), 0);
    must_be(ouro_send_to(x, "after", 5, &b), 5);
    must_be(ouro_datagram_next(&source, &d), 5);
    ouro_buf_release(&d.buf);
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

static void network_error(void **state)
{
    (void)state;
    for (enum family f = V4; f <= V6; f++)
        if (family_there(f))
            assert_int_equal(run_on(1, network_error_main, &f), 0);
}

/* Closed with datagrams in its queue and the socket's, by either handle first. */
static int close_main(void *arg)
{
    for (int socket_first = 0; socket_first < 2; socket_first++)
        for (uint32_t hold = 1; hold < 64; hold += 20) {
            struct ouro_addr a, b;
            ouro_conn x = bound_socket(*(enum family *)arg, &a),
                      y = bound_socket(*(enum family *)arg, &b);
            struct ouro_datagram_source source;
            struct ouro_datagram d, kept;

            must_be(ouro_datagram_source_open(&source, y, 0, hold), 0);
            for (int i = 0; i < 10; i++)
                must_be(ouro_send_to(x, "left", 4, &b), 4);
            must_be(ouro_datagram_next(&source, &kept), 4);
            turns(2);
            must(source.recv.queued > 0);
            if (socket_first) {
                must_be(ouro_close(y), 0);
                while (ouro_datagram_take(&source, &d) >= 0)
                    ouro_buf_release(&d.buf);
                must_be(ouro_datagram_take(&source, &d), -ECANCELED);
                must_be(ouro_result(&source.recv.op.future), -ECANCELED);
            }
            must_be(ouro_datagram_source_close(&source), 0);
            must(memcmp(kept.data, "left", 4) == 0); /* a lease outlives the source */
            ouro_buf_release(&kept.buf);
            if (!socket_first)
                must_be(ouro_close(y), 0);
            must_be(ouro_close(x), 0);
            until(pools_whole());
        }
    return 0;
}

static void close_any(void **state)
{
    (void)state;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_on(1, close_main, &f), 0);
}

/* A waiting task is cancelled; another goes on with the source. */
static struct ouro_future *wait_ready(void *arg)
{
    return &((struct ouro_datagram_source *)arg)->recv.ready;
}

static int cancelled_main(void *arg)
{
    struct ouro_addr a, b;
    ouro_conn x = bound_socket(*(enum family *)arg, &a), y = bound_socket(*(enum family *)arg, &b);
    struct ouro_datagram_source source;
    struct ouro_datagram d;

    must_be(ouro_datagram_source_open(&source, y, 0, 0), 0);
    for (enum style style = 0; style < STYLES; style++) {
        struct waiter w = {.start = wait_ready, .arg = &source};

        waiter_spawn(&w, style, NULL);
        turns(2);
        must(!w.ended);
        waiter_cancel(&w);
        until(w.ended);
        must_be(ouro_datagram_take(&source, &d), -EAGAIN);
        must_be(ouro_send_to(x, "on", 2, &b), 2);
        must_be(ouro_datagram_next(&source, &d), 2);
        ouro_buf_release(&d.buf);
    }
    ouro_datagram_source_stop(&source);
    must_be(ouro_await(&source.recv.op.future), -ECANCELED);
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_close(x), 0);
    must_be(ouro_close(y), 0);
    return 0;
}

ON_EACH_FAMILY(contents)
ON_EACH_FAMILY(large)
ON_EACH_FAMILY(cancelled)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents),  cmocka_unit_test(large),     cmocka_unit_test(flood),
        cmocka_unit_test(overflow),  cmocka_unit_test(dry),       cmocka_unit_test(network_error),
        cmocka_unit_test(close_any), cmocka_unit_test(cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
