/* SPDX-License-Identifier: MIT */
/* A receive source hands over a stream whole and in order, whatever the sizes in which it comes and
 * however often it changes between small and large buffers. In both styles of task. */
#include "support/net_support.h"

#include "shard/shard.h"

#define SEED 11

static uint64_t seed;

/* Writes a stream in pieces whose sizes change character, and ends it. */
struct writer {
    ouro_conn conn;
    uint64_t total, random, pieces;
};

static size_t piece(struct writer *w)
{
    static const size_t most[] = {60, 70000, 1500, 1, 5000};
    size_t phase = w->pieces++ / 100; /* the character changes along the stream */

    return 1 + (size_t)(random_next(&w->random) % most[phase % 5]);
}

static int write_stream(void *arg)
{
    struct writer w = *(struct writer *)arg;
    uint8_t *out = malloc(70000);
    uint64_t at = 0;

    must(out != NULL);
    while (at < w.total) {
        size_t n = piece(&w);

        n = n < w.total - at ? n : (size_t)(w.total - at);
        pattern_fill(out, n, SEED, at);
        must_be(ouro_send_all(w.conn, out, n), n);
        at += n;
        if (random_next(&w.random) % 4 == 0)
            must_be(ouro_sleep_until(0), 0); /* so that pieces come alone, too */
    }
    free(out);
    return ouro_shutdown(w.conn, SHUT_WR);
}

static uint64_t spawn_writer(ouro_conn conn, uint64_t total)
{
    struct writer w = {.conn = conn, .total = total, .random = seed};

    must_be(ouro_spawn(NULL, write_stream, &w, sizeof w), 0);
    return total;
}

static int whole_main(void *arg)
{
    struct ouro_recv_source source;
    struct ouro_buf buf;
    bool used[2] = {false, false};
    uint64_t at = 0, total;
    struct pair p;
    int n;

    pair_open(&p, *(enum family *)arg);
    total = spawn_writer(p.near, slow_build() ? 1 << 20 : 8 << 20);
    must_be(ouro_recv_source_open(&source, p.far, 0), 0);
    while ((n = ouro_recv_next(&source, &buf)) > 0) {
        must_be(n, buf.len);
        pattern_check(buf.data, buf.len, SEED, at);
        used[(buf.id - 1) >> 16] = true;
        at += buf.len;
        ouro_buf_release(&buf);
        must(buf.data == NULL && buf.len == 0 && buf.id == 0);
    }
    must_be(n, 0);
    must_be(at, total);
    must_be(ouro_recv_next(&source, &buf), 0); /* and it stays the end */
    must(used[0] && used[1]);
    must_be(ouro_recv_source_close(&source), 0);
    must_be(ouro_recv_next(&source, &buf), -EBADF);
    pair_close(&p);
    until(pools_whole());
    return 0;
}

/* The same as a state machine, several at once. */
struct machine {
    struct ouro_task task;
    struct ouro_recv_source source;
    struct ouro_close close;
    struct ouro_buf buf;
    ouro_conn conn;
    uint64_t at;
    int n;
    bool ended;
};

static void machine_resume(struct ouro_task *task)
{
    struct machine *m = OURO_FRAME(task, struct machine, task);

    OURO_BEGIN(task);
    must_be(ouro_recv_source_open(&m->source, m->conn, 4), 0);
    for (;;) {
        OURO_AWAIT(task, &m->source.ready);
        m->n = ouro_recv_take(&m->source, &m->buf);
        if (m->n == -EAGAIN)
            continue;
        if (m->n <= 0)
            break;
        pattern_check(m->buf.data, m->buf.len, SEED, m->at);
        m->at += m->buf.len;
        ouro_buf_release(&m->buf);
    }
    ouro_recv_source_stop(&m->source);
    OURO_AWAIT(task, &m->source.op.future);
    must_be(ouro_recv_source_close(&m->source), 0);
    ouro_close_start(&m->close, m->conn);
    OURO_AWAIT(task, &m->close.op.future);
    m->ended = true;
    OURO_END(task, m->n);
}

static int stackless_main(void *arg)
{
    enum { N = 8 };
    static struct machine m[N];
    struct pair p[N];
    uint64_t total = 0;

    memset(m, 0, sizeof m);
    for (int i = 0; i < N; i++) {
        pair_open(&p[i], *(enum family *)arg);
        total = spawn_writer(p[i].near, slow_build() ? 100000 : 1000000);
        m[i].conn = p[i].far;
        must_be(ouro_task_start(NULL, &m[i].task, machine_resume, "machine"), 0);
    }
    for (int i = 0; i < N; i++) {
        until(m[i].ended);
        must_be(m[i].n, 0);
        must_be(m[i].at, total);
        must_be(ouro_close(p[i].near), 0);
    }
    until(pools_whole());
    return 0;
}

/* Leases are kept and given back in another order; none is lost or mixed up. */
static int out_of_order_main(void *arg)
{
    enum { KEEP = 24 };
    struct ouro_buf kept[KEEP] = {{0}};
    uint64_t kept_at[KEEP] = {0}, at = 0, r = seed, total;
    struct ouro_recv_source source;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    total = spawn_writer(p.near, 500000);
    must_be(ouro_recv_source_open(&source, p.far, 32), 0);
    for (;;) {
        struct ouro_buf buf;
        size_t k = (size_t)(random_next(&r) % KEEP);
        int n = ouro_recv_next(&source, &buf);

        must(n >= 0);
        if (n == 0)
            break;
        if (kept[k].id != 0)
            pattern_check(kept[k].data, kept[k].len, SEED, kept_at[k]); /* untouched since */
        ouro_buf_release(&kept[k]);
        kept[k] = buf;
        kept_at[k] = at;
        at += (uint64_t)n;
    }
    must_be(at, total);
    must_be(ouro_recv_source_close(&source), 0);
    pair_close(&p);
    for (size_t k = 0; k < KEEP; k++) { /* leases outlive source and connection */
        if (kept[k].id != 0)
            pattern_check(kept[k].data, kept[k].len, SEED, kept_at[k]);
        ouro_buf_release(&kept[k]);
    }
    until(pools_whole());
    return 0;
}

/* What was received is sent on from the lease itself. */
static int send_lease_main(void *arg)
{
    struct ouro_recv_source source;
    struct ouro_buf buf;
    struct pair a, b;
    char in[64];

    pair_open(&a, *(enum family *)arg);
    pair_open(&b, *(enum family *)arg);
    must_be(ouro_recv_source_open(&source, a.far, 0), 0);
    for (int i = 0; i < 50; i++) {
        must_be(ouro_send(a.near, "pass it on", 10), 10);
        must_be(ouro_recv_next(&source, &buf), 10);
        must_be(ouro_send_all(b.near, buf.data, buf.len), 10);
        ouro_buf_release(&buf);
        must_be(ouro_recv(b.far, in, sizeof in), 10);
        must(memcmp(in, "pass it on", 10) == 0);
    }
    must_be(ouro_recv_source_close(&source), 0);
    pair_close(&a);
    pair_close(&b);
    until(pools_whole());
    return 0;
}

static void with_pool(int (*fn)(void *), uint32_t bytes, uint32_t buffers)
{
    struct ouro_options o = small_options(1);

    o.buffer_bytes = bytes;
    o.buffers = buffers;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, fn, &f), 0);
}

static void whole(void **state)
{
    (void)state;
    with_pool(whole_main, 0, 0);
    with_pool(whole_main, 256, 16);
}

static void stackless(void **state)
{
    (void)state;
    with_pool(stackless_main, 0, 0);
    with_pool(stackless_main, 512, 16);
}

ON_EACH_FAMILY(out_of_order)
ON_EACH_FAMILY(send_lease)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(stackless),
        cmocka_unit_test(out_of_order),
        cmocka_unit_test(send_lease),
    };

    seed = test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
