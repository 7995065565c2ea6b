/* SPDX-License-Identifier: MIT */
/* A receive is cancelled while a peer floods the connection, so that often the kernel is just
 * writing the buffer: when the wait returns, the result is exactly what moved, and nobody writes
 * there any more. */
#include "support/net_support.h"

#include <pthread.h>

#define BUFFER 4096

struct flood {
    int fd;
    uint64_t sent, random;
};

static void *flood_thread(void *arg)
{
    struct flood *f = arg;
    static uint8_t chunk[512];
    ssize_t n;

    for (;;) {
        uint64_t r = random_next(&f->random), gap_ns = r % 16000;
        uint64_t end = ouro_now_precise_ns() + gap_ns;
        size_t len = 1 + (r >> 32) % sizeof chunk;

        pattern_fill(chunk, len, 9, f->sent);
        n = send(f->fd, chunk, len, MSG_NOSIGNAL);
        if (n <= 0)
            return NULL;
        f->sent += (uint64_t)n;
        while (ouro_now_precise_ns() < end) /* so that the receiver waits, as often as not */
            ;
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
    }
    printf("%u of %u receives were cut short\n", cut, rounds);
    must(cut > 0 && cut < rounds);
    must_be(ouro_close(o.conn), 0);
    turns(2); /* the close has reached the kernel before this thread blocks */
    must_be(pthread_join(thread, NULL), 0);
    must(flood.sent >= at);
    close(o.fd);
    return 0;
}

ON_EACH_FAMILY(flood)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(flood)};

    seed = test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
