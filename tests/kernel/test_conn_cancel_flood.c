/* SPDX-License-Identifier: MIT */
/* A receive is cancelled while a peer floods the connection, so that often the kernel is just
 * writing the buffer: when the wait returns, the result is exactly what moved, and nobody writes
 * there any more. */
#include "support/net_support.h"

#include <pthread.h>

#include "base/atomic.h"

#define BUFFER 1024

struct flood {
    int fd;
    uint64_t sent, random;
    _Atomic uint64_t taken;
    _Atomic uint32_t stop;
};

/* Until the receiver has taken all but `ahead` bytes; then a little longer, so that it has to wait.
 */
static void let_catch_up(struct flood *f, uint64_t ahead, uint64_t gap_ns)
{
    uint64_t end;

    while (f->sent > load_relaxed(&f->taken) + ahead && !load_relaxed(&f->stop))
        ;
    end = ouro_now_precise_ns() + gap_ns;
    while (ouro_now_precise_ns() < end)
        ;
}

static void *flood_thread(void *arg)
{
    struct flood *f = arg;
    static uint8_t chunk[512];
    ssize_t n;

    for (;;) {
        uint64_t r = random_next(&f->random);
        size_t len = 1 + (r >> 32) % sizeof chunk;

        pattern_fill(chunk, len, 9, f->sent);
        n = send(f->fd, chunk, len, MSG_NOSIGNAL);
        if (n <= 0)
            return NULL;
        f->sent += (uint64_t)n;
        let_catch_up(f, r % 2 != 0 ? 600 : 0, (r >> 8) % (slow_build() ? 500 * US : 16 * US));
    }
}

static uint64_t seed;

/* How a receive is cut short: told by bits of a random number. */
static int receive(ouro_conn conn, uint8_t *buf, uint64_t r)
{
    struct ouro_recv recv;
    size_t len = 1 + (r >> 40) % 600; /* the rest of the buffer stays as it is */
    int n;

    ouro_recv_start(&recv, conn, buf, len);
    if (r & 1) {
        n = ouro_await_for(&recv.op.future, (r >> 8) % 20000);
    } else {
        turns((unsigned)(r >> 8) % 3);
        ouro_cancel(&recv.op.future);
        n = ouro_await(&recv.op.future);
    }
    must(n <= (int)len);
    return n;
}

static void check(const uint8_t *buf, int n, uint64_t at)
{
    pattern_check(buf, (size_t)n, 9, at);
    for (size_t i = (size_t)n; i < BUFFER; i++)
        must_be(buf[i], 0xa5);
}

static int flood_main(void *arg)
{
    static uint8_t buf[BUFFER], copy[BUFFER];
    unsigned cut = 0, rounds = slow_build() ? 500 : 2000;
    uint64_t at = 0, r = seed;
    struct flood flood = {.random = seed};
    struct outside o;
    pthread_t thread;

    outside_open(&o, *(enum family *)arg);
    flood.fd = o.fd;
    must_be(pthread_create(&thread, NULL, flood_thread, &flood), 0);
    for (unsigned i = 0; i < rounds; i++) {
        int n;

        memset(buf, 0xa5, sizeof buf);
        n = receive(o.conn, buf, random_next(&r));
        must(n > 0 || n == -ECANCELED || n == -ETIMEDOUT);
        cut += n < 0;
        memcpy(copy, buf, sizeof buf);
        check(buf, n > 0 ? n : 0, at);
        at += n > 0 ? (uint64_t)n : 0;
        store_relaxed(&flood.taken, at);
        if (i % 8 == 0)
            turns(2);
        must(memcmp(copy, buf, sizeof buf) == 0);
    }
    /* Not a byte was lost: what is left in the connection goes on where the receives stopped. */
    for (unsigned i = 0; i < 20; i++) {
        ssize_t n = ouro_recv(o.conn, buf, sizeof buf);

        must(n > 0);
        pattern_check(buf, (size_t)n, 9, at);
        at += (uint64_t)n;
        store_relaxed(&flood.taken, at);
    }
    printf("%u of %u receives were cut short\n", cut, rounds);
    must(cut > 0 && cut < rounds);
    store_relaxed(&flood.stop, 1);
    must_be(ouro_close(o.conn), 0);
    turns(2); /* the close has reached the kernel before this thread blocks */
    must_be(pthread_join(thread, NULL), 0);
    must(flood.sent >= at);
    close(o.fd);
    return 0;
}

static void flood(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.no_pinning = true; /* the thread would run on the shard's CPU, and never at the same time */
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            assert_int_equal(run_with(&o, flood_main, &f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(flood)};

    seed = test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
