/* SPDX-License-Identifier: MIT */
/* Sending all of it: through readers that are slow, in parts, until somebody cuts it short or the
 * peer goes; `sent` then says how much had gone. */
#include "support/net_support.h"

#include <pthread.h>

#define BIG ((size_t)(slow_build() ? 16 : 64) << 20) /* more than the socket buffers hold */

struct reader {
    int fd;
    size_t upto; /* then it stops */
    uint64_t got;
    size_t piece;
};

/* An ordinary slow thread: small pieces, and a rest between them now and then. */
static void *reader_thread(void *arg)
{
    struct reader *r = arg;
    uint8_t *in = malloc(r->piece);
    ssize_t n;

    while (r->got < r->upto && (n = plain_read(r->fd, in, r->piece)) > 0) {
        pattern_check(in, (size_t)n, 3, r->got);
        r->got += (uint64_t)n;
    }
    free(in);
    return NULL;
}

static uint8_t *pattern_of(size_t len)
{
    uint8_t *p = malloc(len);

    must(p != NULL);
    pattern_fill(p, len, 3, 0);
    return p;
}

static int slow_reader_main(void *arg)
{
    uint8_t *out = pattern_of(BIG);
    struct reader r = {.upto = SIZE_MAX, .piece = 30000};
    struct ouro_send_all all;
    struct outside o;
    pthread_t thread;

    outside_open(&o, *(enum family *)arg);
    r.fd = o.fd;
    must_be(pthread_create(&thread, NULL, reader_thread, &r), 0);
    ouro_send_all_start(&all, o.conn, out, BIG);
    must(!ouro_done(&all.op.future));
    must_be(ouro_await(&all.op.future), BIG);
    must_be(all.sent, BIG);
    must_be(ouro_close(o.conn), 0);
    turns(2);
    must_be(pthread_join(thread, NULL), 0);
    must_be(r.got, BIG);
    close(o.fd);
    free(out);
    return 0;
}

/* Parts of every size, among them empty ones, more of them than one call takes. */
static int parts_main(void *arg)
{
    enum { N = 3000 };
    static struct iovec iov[N], was[N];
    size_t sum = 0, len = 8 << 20;
    uint8_t *out = pattern_of(len);
    struct reader r = {.upto = SIZE_MAX, .piece = 5000};
    struct ouro_sendv_all all;
    struct outside o;
    pthread_t thread;

    for (int i = 0; i < N; i++) {
        size_t n = i % 7 == 0 ? 0 : i % 50 == 1 ? 100000 : (size_t)i % 900;

        n = n < len - sum ? n : len - sum;
        iov[i] = (struct iovec){out + sum, n};
        sum += n;
    }
    memcpy(was, iov, sizeof iov);
    outside_open(&o, *(enum family *)arg);
    r.fd = o.fd;
    must_be(pthread_create(&thread, NULL, reader_thread, &r), 0);
    ouro_sendv_all_start(&all, o.conn, iov, N);
    must_be(ouro_await(&all.op.future), sum);
    must_be(all.sent, sum);
    must_be(ouro_close(o.conn), 0);
    turns(2);
    must_be(pthread_join(thread, NULL), 0);
    must_be(r.got, sum);
    close(o.fd);
    free(out);
    return 0;
}

/* Cut short after some of it has gone: the peer got exactly `sent`. */
static int cancel_main(void *arg)
{
    uint8_t *out = pattern_of(BIG);

    for (int vectored = 0; vectored < 2; vectored++) {
        struct iovec iov[2] = {{out, 777}, {out + 777, BIG - 777}};
        struct ouro_send_all all;
        struct ouro_sendv_all vall;
        struct reader r = {.upto = SIZE_MAX, .piece = 10000};
        struct outside o;
        pthread_t thread;
        size_t sent;

        outside_open(&o, *(enum family *)arg);
        if (vectored)
            ouro_sendv_all_start(&vall, o.conn, iov, 2);
        else
            ouro_send_all_start(&all, o.conn, out, BIG);
        turns(3);
        ouro_cancel(vectored ? &vall.op.future : &all.op.future);
        must_be(ouro_await(vectored ? &vall.op.future : &all.op.future), -ECANCELED);
        sent = vectored ? vall.sent : all.sent;
        must(sent > 0 && sent < BIG);
        must_be(ouro_close(o.conn), 0);
        turns(2);
        r.fd = o.fd;
        must_be(pthread_create(&thread, NULL, reader_thread, &r), 0);
        must_be(pthread_join(thread, NULL), 0);
        must_be(r.got, sent);
        close(o.fd);
    }
    free(out);
    return 0;
}

/* The peer goes in the middle of it. */
static int peer_goes_main(void *arg)
{
    uint8_t *out = pattern_of(BIG);
    struct ouro_send_all all;
    struct outside o;
    int n;

    outside_open(&o, *(enum family *)arg);
    ouro_send_all_start(&all, o.conn, out, BIG);
    turns(3);
    must(!ouro_done(&all.op.future));
    close(o.fd); /* with data unread: a reset */
    n = ouro_await(&all.op.future);
    must(n == -ECONNRESET || n == -EPIPE);
    must(all.sent > 0 && all.sent < BIG);
    must_be(ouro_send_all(o.conn, out, 1), -EPIPE);
    must_be(ouro_close(o.conn), 0);
    free(out);
    return 0;
}

/* Several connections at once, each through little buffers: every one gets all of its own. */
static int several_at_once_main(void *arg)
{
    enum { N = 8 };
    struct ouro_send_all all[N];
    struct reader r[N];
    struct outside o[N];
    pthread_t thread[N];
    size_t len = 4 << 20;
    uint8_t *out = pattern_of(len);

    for (int i = 0; i < N; i++) {
        outside_open_small(&o[i], *(enum family *)arg);
        r[i] = (struct reader){.fd = o[i].fd, .upto = SIZE_MAX, .piece = 4000};
        must_be(pthread_create(&thread[i], NULL, reader_thread, &r[i]), 0);
        ouro_send_all_start(&all[i], o[i].conn, out, len);
    }
    for (int i = 0; i < N; i++)
        must_be(ouro_await(&all[i].op.future), len);
    for (int i = 0; i < N; i++)
        must_be(ouro_close(o[i].conn), 0);
    turns(2);
    for (int i = 0; i < N; i++) {
        must_be(pthread_join(thread[i], NULL), 0);
        must_be(r[i].got, len);
        close(o[i].fd);
    }
    free(out);
    return 0;
}

ON_EACH_FAMILY(slow_reader)
ON_EACH_FAMILY(parts)
ON_EACH_FAMILY(cancel)
ON_EACH_FAMILY(peer_goes)
ON_EACH_FAMILY(several_at_once)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_reader), cmocka_unit_test(parts),           cmocka_unit_test(cancel),
        cmocka_unit_test(peer_goes),   cmocka_unit_test(several_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
