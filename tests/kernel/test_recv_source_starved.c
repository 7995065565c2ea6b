/* SPDX-License-Identifier: MIT */
/* Sources that hold every receive buffer, because nobody takes from them, do not stop the others.
 */
#include "support/support.h"

#include <sys/socket.h>

#define BUFFERS  16
#define BYTES    256
#define HOARDERS 8

struct pair {
    int peer;
    ouro_conn conn;
    struct ouro_recv_source source;
};

static void pair_open(struct pair *p)
{
    int fd[2];

    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    p->peer = fd[0];
    must_be(ouro_conn_adopt(&p->conn, fd[1]), 0);
    must_be(ouro_recv_source_open(&p->source, p->conn, 0), 0);
}

static void pair_close(struct pair *p)
{
    must_be(ouro_recv_source_close(&p->source), 0);
    must_be(ouro_close(p->conn), 0);
    close(p->peer);
}

static void feed(const struct pair *p, char byte, size_t n)
{
    char block[HOARDERS * BYTES];

    memset(block, byte, sizeof block);
    must(n <= sizeof block);
    must_be(write(p->peer, block, n), n);
}

/* Takes n bytes, all of them `byte`. */
static void take(struct pair *p, char byte, size_t n)
{
    struct ouro_buf buf;

    while (n != 0) {
        int got = ouro_recv_next(&p->source, &buf);

        must(got > 0 && (size_t)got <= n);
        for (int i = 0; i < got; i++)
            must(buf.data[i] == byte);
        n -= (size_t)got;
        ouro_buf_release(&buf);
    }
}

/* [RECV-2]: while the hoarders' bytes lie there, one more is served again and again; and nothing is
 * lost. */
static int starved_main(void *arg)
{
    static struct pair hoarder[HOARDERS], other;
    struct ouro_counters c;

    (void)arg;
    for (int i = 0; i < HOARDERS; i++) {
        pair_open(&hoarder[i]);
        feed(&hoarder[i], (char)('a' + i), 4 * BYTES);
    }
    pair_open(&other);
    until(hoarder[0].source.queued + hoarder[1].source.queued + hoarder[2].source.queued +
              hoarder[3].source.queued >=
          BUFFERS);
    /* The last receive that finds none may be a turn later. */
    until(ouro_counters(&c) == 0 && c.buffers_dry > 0 && c.receives_parked > 0);
    for (int i = 0; i < 100; i++) {
        feed(&other, 'z', 3 * BYTES + 7);
        take(&other, 'z', 3 * BYTES + 7);
    }
    for (int i = 0; i < HOARDERS; i++)
        take(&hoarder[i], (char)('a' + i), 4 * BYTES);
    for (int i = 0; i < HOARDERS; i++) /* and as if nothing had been */
        feed(&hoarder[i], (char)('A' + i), BYTES);
    for (int i = 0; i < HOARDERS; i++)
        take(&hoarder[i], (char)('A' + i), BYTES);
    for (int i = 0; i < HOARDERS; i++)
        pair_close(&hoarder[i]);
    pair_close(&other);
    return 0;
}

/* One that waits with a spare buffer is stopped, closed, or its peer leaves. */
static int ended_main(void *arg)
{
    static struct pair hoarder[HOARDERS], other[3];
    struct ouro_buf buf;

    (void)arg;
    for (int i = 0; i < HOARDERS; i++) {
        pair_open(&hoarder[i]);
        feed(&hoarder[i], 'h', 4 * BYTES);
    }
    for (int i = 0; i < 3; i++)
        pair_open(&other[i]);
    for (int i = 0; i < 3; i++) {
        feed(&other[i], 'o', 10);
        take(&other[i], 'o', 10);
    }
    ouro_recv_source_stop(&other[0].source);
    must_be(ouro_recv_next(&other[0].source, &buf), -ECANCELED);
    must_be(ouro_close(other[1].conn), 0);
    must_be(ouro_recv_next(&other[1].source, &buf), -ECANCELED);
    must_be(ouro_recv_source_close(&other[1].source), 0);
    close(other[1].peer);
    must_be(shutdown(other[2].peer, SHUT_WR), 0);
    must_be(ouro_recv_next(&other[2].source, &buf), 0);
    pair_close(&other[0]);
    pair_close(&other[2]);
    for (int i = 0; i < HOARDERS; i++)
        pair_close(&hoarder[i]);
    return 0;
}

static int run_with_few_buffers(ouro_task_fn *fn)
{
    struct ouro_options o = small_options(1);

    o.buffer_bytes = BYTES;
    o.buffers = o.buffers_max = BUFFERS;
    o.large_buffer_bytes = 2 * BYTES;
    o.large_buffers = o.large_buffers_max = BUFFERS;
    return run_with(&o, fn, NULL);
}

static void others_are_served(void **state)
{
    (void)state;
    assert_int_equal(run_with_few_buffers(starved_main), 0);
}

static void spare_buffers_go_home(void **state)
{
    (void)state;
    assert_int_equal(run_with_few_buffers(ended_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_served),
        cmocka_unit_test(spare_buffers_go_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
