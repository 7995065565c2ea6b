/* SPDX-License-Identifier: MIT */
/* Limits of receive sources: what one holds, and what the pool has. Above them receiving stops, the
 * peer is held back, and it goes on by itself; nothing is lost and nobody starves. */
#include "support/net_support.h"

#include "shard/shard.h"

#define SEED 5

static uint8_t stream[1 << 20];

static struct ouro_options tiny_pool(uint32_t most)
{
    struct ouro_options o = small_options(1);

    o.buffer_bytes = o.large_buffer_bytes = 256;
    o.buffers = o.large_buffers = 16;
    o.buffers_max = o.large_buffers_max = most;
    return o;
}

static uint64_t take_all(struct ouro_recv_source *source, uint64_t at, uint64_t upto)
{
    while (at < upto) {
        struct ouro_buf buf;
        int n = ouro_recv_next(source, &buf);

        must(n > 0);
        pattern_check(buf.data, buf.len, SEED, at);
        at += buf.len;
        ouro_buf_release(&buf);
    }
    return at;
}

/* Nobody takes: the queue stays near hold_max, and the rest stays with the peer. */
static int hold_main(void *arg)
{
    static const uint32_t holds[] = {1, 2, 16, 64};
    enum family f = *(enum family *)arg;

    for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++) {
        uint64_t paused = counters_now().receives_paused;
        struct ouro_recv_source source;
        struct ouro_send_all all;
        struct outside o;
        struct ouro_conn conn;
        uint32_t queued;

        outside_open_small(&o, f);
        must_be(ouro_conn_adopt(&conn, o.fd), 0);
        pattern_fill(stream, sizeof stream, SEED, 0);
        must_be(ouro_recv_source_open(&source, o.conn, holds[i]), 0);
        ouro_send_all_start(&all, conn, stream, sizeof stream);
        until(source.queued >= holds[i]);
        must_be(counters_now().receives_paused, paused + 1);
        for (int k = 0; k < 20; k++)
            turns(1);
        queued = source.queued;
        turns(20);
        must_be(source.queued, queued);
        must(queued < holds[i] + 64); /* what came before the kernel had stopped */
        must(!ouro_done(&all.op.future));
        must_be(take_all(&source, 0, sizeof stream), sizeof stream);
        must_be(ouro_await(&all.op.future), sizeof stream);
        must_be(ouro_recv_source_close(&source), 0);
        must_be(ouro_close(conn), 0);
        must_be(ouro_close(o.conn), 0);
        until(pools_whole());
    }
    return 0;
}

/* One source after the other holds everything there is; when it lets go, all the others get theirs,
 * though most of them have no traffic at the moment the buffers come back. */
static int starved_main(void *arg)
{
    enum { N = 40, HOG = 64 };
    static struct ouro_recv_source source[N];
    static struct ouro_buf kept[HOG];
    struct pair p[N], hog;
    struct ouro_recv_source greedy;
    struct ouro_buf buf;
    int held = 0;

    pair_open(&hog, *(enum family *)arg);
    must_be(ouro_recv_source_open(&greedy, hog.far, HOG), 0);
    while (!pool_is_dry(&shard_self->pools[0])) {
        must_be(ouro_send(hog.near, "x", 1), 1);
        must_be(ouro_recv_next(&greedy, &kept[held++]), 1);
        must(held < HOG);
    }
    for (int i = 0; i < N; i++) {
        pair_open(&p[i], *(enum family *)arg);
        must_be(ouro_recv_source_open(&source[i], p[i].far, 4), 0);
    }
    turns(3);
    must(counters_now().buffers_dry > 0);
    for (int i = 0; i < held; i++)
        ouro_buf_release(&kept[i]);
    turns(3);
    for (int i = N - 1; i >= 0; i--) { /* the last in the queue first, and one at a time */
        must_be(ouro_send(p[i].near, "hello", 5), 5);
        must_be(ouro_recv_next(&source[i], &buf), 5);
        ouro_buf_release(&buf);
    }
    for (int i = 0; i < N; i++) {
        must_be(ouro_recv_source_close(&source[i]), 0);
        pair_close(&p[i]);
    }
    must_be(ouro_recv_source_close(&greedy), 0);
    pair_close(&hog);
    until(pools_whole());
    return 0;
}

/* More sources with traffic than there are buffers, all at once. */
struct reader {
    struct ouro_recv_source source;
    ouro_conn conn;
    uint64_t at;
};

#define PER_READER 20000

static int read_stream(void *arg)
{
    struct reader *r = *(struct reader **)arg;

    must_be(ouro_recv_source_open(&r->source, r->conn, 4), 0);
    while (r->at < PER_READER) {
        struct ouro_buf buf;
        int n = ouro_recv_next(&r->source, &buf);

        must(n > 0);
        pattern_check(buf.data, buf.len, SEED, r->at);
        r->at += buf.len;
        if (r->at % 3 == 0)
            must_be(ouro_sleep_until(0), 0); /* holds the lease over a turn */
        ouro_buf_release(&buf);
    }
    must_be(ouro_recv_source_close(&r->source), 0);
    return 0;
}

static int crowd_main(void *arg)
{
    enum { N = 60 };
    static struct reader reader[N];
    static struct ouro_send_all all[N];
    struct pair p[N];
    ouro_fiber f[N];

    memset(reader, 0, sizeof reader);
    pattern_fill(stream, PER_READER, SEED, 0);
    for (int i = 0; i < N; i++) {
        struct reader *r = &reader[i];

        pair_open(&p[i], *(enum family *)arg);
        r->conn = p[i].far;
        ouro_send_all_start(&all[i], p[i].near, stream, PER_READER);
        must_be(ouro_spawn_joinable(NULL, read_stream, &r, sizeof r, &f[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        must_be(ouro_await(&all[i].op.future), PER_READER);
        must_be(ouro_join(f[i], NULL), OURO_END_RETURNED);
        must_be(reader[i].at, PER_READER);
        pair_close(&p[i]);
    }
    must(counters_now().buffers_dry > 0);
    until(pools_whole());
    return 0;
}

static void in_tiny_pools(int (*fn)(void *))
{
    for (uint32_t most = 16; most <= 32; most *= 2) {
        struct ouro_options o = tiny_pool(most);

        for (enum family f = 0; f < FAMILIES; f++)
            if (family_there(f))
                assert_int_equal(run_with(&o, fn, &f), 0);
    }
}

static void hold(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.buffers = 1024;
    o.buffer_bytes = o.large_buffer_bytes = 512;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, hold_main, &f), 0);
}

static void starved(void **state)
{
    (void)state;
    in_tiny_pools(starved_main);
}

static void crowd(void **state)
{
    (void)state;
    in_tiny_pools(crowd_main);
}

/* The pool grows by doubling to its maximum, and not before it has to. */
static int grow_main(void *arg)
{
    static struct ouro_buf kept[256];
    struct ouro_recv_source source;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_recv_source_open(&source, p.far, 0), 0);
    must_be(shard_self->pools[0].live, 16);
    for (int i = 0; i < 256; i++) {
        must_be(ouro_send(p.near, "x", 1), 1);
        must_be(ouro_recv_next(&source, &kept[i]), 1);
        must(shard_self->pools[0].live >= 16 && shard_self->pools[0].live <= 256);
        if (i < 15)
            must_be(shard_self->pools[0].live, 16);
    }
    must_be(shard_self->pools[0].live, 256);
    must_be(counters_now().buffers_grown, 4);
    for (int i = 0; i < 256; i++)
        for (int k = 0; k < i; k++)
            must(kept[i].data != kept[k].data);
    for (int i = 0; i < 256; i++)
        ouro_buf_release(&kept[i]);
    must_be(ouro_recv_source_close(&source), 0);
    pair_close(&p);
    must_be(shard_self->pools[0].live, 256);
    until(pools_whole());
    return 0;
}

static void grow(void **state)
{
    struct ouro_options o = tiny_pool(256);

    (void)state;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, grow_main, &f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hold),
        cmocka_unit_test(starved),
        cmocka_unit_test(crowd),
        cmocka_unit_test(grow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
