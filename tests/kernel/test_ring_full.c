/* SPDX-License-Identifier: MIT */
/* Queues of the ring that are too small for what goes on: nothing is refused, nothing is lost, and
 * the order of starts is kept. */
#include "support/net_support.h"

#include <poll.h>
#include <ouro/file.h>

#include "shard/shard.h"

/* --- the submission queue -------------------------------------------------------------------- */

#define MANY 700

/* [RING-2], [RING-4]: hundreds of operations in one turn through a queue of eight. */
static int submissions_main(void *arg)
{
    enum { SOME = 200 }; /* what a socket takes without a reader */
    static struct ouro_send s[SOME];
    static uint8_t out[SOME], in[SOME];
    uint64_t spills = counters_now().sq_spills;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    for (int i = 0; i < SOME; i++) {
        out[i] = pattern_at(1, (uint64_t)i);
        ouro_send_start(&s[i], p.near, &out[i], 1);
        must(!ouro_done(&s[i].op.future));
    }
    must(counters_now().sq_spills >= spills + SOME - 8);
    for (int i = 0; i < SOME; i++)
        must_be(ouro_await(&s[i].op.future), 1);
    for (size_t got = 0; got < SOME;) {
        ssize_t n = ouro_recv(p.far, in + got, SOME - got);

        must(n > 0);
        got += (size_t)n;
    }
    pattern_check(in, SOME, 1, 0); /* in the order of the starts */
    pair_close(&p);
    return 0;
}

/* [RING-1]: cancellations wait behind what they cancel, and do not meet what was started later at
 * the same place. */
static int cancellations_main(void *arg)
{
    static struct ouro_recv r[MANY];
    static char in[MANY];
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    for (int i = 0; i < MANY; i++) {
        ouro_recv_start(&r[i], p.near, &in[i], 1);
        if (i % 2)
            ouro_cancel(&r[i].op.future);
    }
    for (int i = 1; i < MANY; i += 2)
        must_be(ouro_await(&r[i].op.future), -ECANCELED);
    turns(3);
    for (int i = 0; i < MANY; i += 2)
        must(!ouro_done(&r[i].op.future));
    must_be(ouro_close(p.near), 0); /* ends hundreds at once */
    for (int i = 0; i < MANY; i += 2) {
        must(ouro_done(&r[i].op.future));
        must_be(ouro_result(&r[i].op.future), -ECANCELED);
    }
    must_be(ouro_close(p.far), 0);
    return 0;
}

/* Several turns of it, with reads of a file, which complete at once. */
static int files_main(void *arg)
{
    static struct ouro_rw rw[MANY];
    static uint8_t in[MANY];
    const char *path = temp_path("numbers");
    ouro_file f;

    (void)arg;
    must_be(ouro_open(&f, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
    pattern_fill(in, MANY, 2, 0);
    must_be(ouro_write(f, in, MANY, 0), MANY);
    for (int round = 0; round < 5; round++) {
        memset(in, 0, sizeof in);
        for (int i = 0; i < MANY; i++)
            ouro_read_start(&rw[i], f, &in[i], 1, (uint64_t)i);
        for (int i = 0; i < MANY; i++)
            must_be(ouro_await(&rw[i].op.future), 1);
        pattern_check(in, MANY, 2, 0);
    }
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* --- the completion queue -------------------------------------------------------------------- */

/* Thousands complete while nobody reaps: the kernel keeps those for which there was no room. The
 * sends are all in the kernel before the first answer is looked at, because one enter takes them
 * eight at a time. */
#define FLOOD 4000

static int completions_main(void *arg)
{
    static struct ouro_recv r[FLOOD];
    static uint8_t in[FLOOD], out[FLOOD];
    struct outside o;
    uint64_t overflows;

    outside_open(&o, *(enum family *)arg);
    for (int i = 0; i < FLOOD; i++)
        ouro_recv_start(&r[i], o.conn, &in[i], 1);
    turns(5); /* all of them wait in the kernel */
    overflows = counters_now().cq_overflows;
    pattern_fill(out, FLOOD, 4, 0);
    plain_send(o.fd, out, FLOOD);
    for (int i = 0; i < FLOOD; i++)
        must_be(ouro_await(&r[i].op.future), 1);
    printf("%s: the queue overflowed %llu times\n", family_name[*(enum family *)arg],
           (unsigned long long)(counters_now().cq_overflows - overflows));
    {
        unsigned want[256] = {0}, got[256] = {0};

        /* Which waiter gets which byte is the kernel's choice; each byte came once. */
        for (int i = 0; i < FLOOD; i++) {
            want[out[i]]++;
            got[in[i]]++;
        }
        must(memcmp(want, got, sizeof want) == 0);
    }
    outside_close(&o);
    return 0;
}

/* Operations that complete as they are submitted: polls of what is always ready. */
static int instant_main(void *arg)
{
    static struct ouro_poll p[FLOOD];
    uint64_t overflows = counters_now().cq_overflows;

    (void)arg;
    for (int i = 0; i < FLOOD; i++)
        ouro_poll_start(&p[i], 1, POLLOUT);
    for (int i = 0; i < FLOOD; i++)
        must(ouro_await(&p[i].op.future) >= 0);
    must(counters_now().cq_overflows > overflows);
    return 0;
}

/* The shard has other work all the time and never blocks: what overflowed is fetched all the same.
 */
static int busy_main(void *arg)
{
    static struct ouro_poll p[FLOOD];
    uint64_t end = ouro_after_ns(20 * SEC);

    (void)arg;
    for (int i = 0; i < FLOOD; i++)
        ouro_poll_start(&p[i], 1, POLLOUT);
    for (int i = 0; i < FLOOD; i++)
        while (!ouro_done(&p[i].op.future)) {
            must_be(ouro_yield(), 0);
            must(ouro_now_precise_ns() < end);
        }
    return 0;
}

/* A multishot source overflows it, too: every byte arrives once and in order. */
static int source_main(void *arg)
{
    enum { SOURCES = 40, EACH = 4000 };
    static struct ouro_recv_source source[SOURCES];
    static uint8_t out[EACH];
    static uint64_t at[SOURCES];
    struct outside o[SOURCES];

    memset(at, 0, sizeof at);
    pattern_fill(out, EACH, 6, 0);
    for (int i = 0; i < SOURCES; i++) {
        outside_open(&o[i], *(enum family *)arg);
        must_be(ouro_recv_source_open(&source[i], o[i].conn, 32), 0);
    }
    turns(3);
    for (int i = 0; i < SOURCES; i++)
        plain_send(o[i].fd, out, EACH);
    for (int i = 0; i < SOURCES; i++) {
        while (at[i] < EACH) {
            struct ouro_buf buf;
            int n = ouro_recv_next(&source[i], &buf);

            must(n > 0);
            pattern_check(buf.data, buf.len, 6, at[i]);
            at[i] += buf.len;
            ouro_buf_release(&buf);
        }
        must_be(ouro_recv_source_close(&source[i]), 0);
        outside_close(&o[i]);
    }
    until(pools_whole());
    return 0;
}

static struct ouro_options small_queues(uint32_t sq, uint32_t cq)
{
    struct ouro_options o = small_options(1);

    o.sq_entries = sq;
    o.cq_entries = cq;
    o.buffer_bytes = o.large_buffer_bytes = 256;
    o.buffers = o.buffers_max = 2048;
    return o;
}

#define WITH_QUEUES(name, sq, cq)                                                                  \
    static void name(void **state)                                                                 \
    {                                                                                              \
        struct ouro_options o = small_queues(sq, cq);                                              \
                                                                                                   \
        (void)state;                                                                               \
        for (enum family f = 0; f < FAMILIES; f++)                                                 \
            if (family_there(f))                                                                   \
                assert_int_equal(run_with(&o, name##_main, &f), 0);                                \
    }

WITH_QUEUES(submissions, 8, 64)
WITH_QUEUES(cancellations, 8, 64)
WITH_QUEUES(files, 8, 8)
WITH_QUEUES(completions, 8, 16)
WITH_QUEUES(instant, 1024, 1024)
WITH_QUEUES(busy, 1024, 1024)
WITH_QUEUES(source, 8, 8)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submissions), cmocka_unit_test(cancellations), cmocka_unit_test(files),
        cmocka_unit_test(completions), cmocka_unit_test(instant),       cmocka_unit_test(busy),
        cmocka_unit_test(source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
