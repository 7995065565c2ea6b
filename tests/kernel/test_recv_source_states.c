/* SPDX-License-Identifier: MIT */
/* A receive source can be stopped and closed in every state, its connection can be closed under it
 * in every state, and its owner cancelled; afterwards everything it held is back. */
#include "support/net_support.h"

#include "shard/shard.h"

/* States by number: what has happened before the end. */
enum state { FRESH, RECEIVING, QUEUED, PAUSED, PARKED, ENDED, STATES };
static const char *const state_name[] = {"fresh",  "receiving", "queued",
                                         "paused", "parked",    "ended"};

struct scene {
    struct ouro_recv_source source, hog;
    struct ouro_buf kept[64];
    unsigned held;
    struct outside o, other;
    bool hogged;
};

static void take_every_buffer(struct scene *s, enum family f)
{
    outside_open(&s->other, f);
    s->hogged = true;
    s->held = 0;
    must_be(ouro_recv_source_open(&s->hog, s->other.conn, 64), 0);
    while (!pool_is_dry(&shard_self->pools[0])) {
        plain_send(s->other.fd, "x", 1);
        must_be(ouro_recv_next(&s->hog, &s->kept[s->held++]), 1);
    }
}

static void reach(struct scene *s, enum state state, enum family f)
{
    s->hogged = false;
    if (state == PARKED)
        take_every_buffer(s, f);
    outside_open(&s->o, f);
    if (state == ENDED) {
        plain_send(s->o.fd, "last", 4);
        must_be(shutdown(s->o.fd, SHUT_WR), 0);
    }
    must_be(ouro_recv_source_open(&s->source, s->o.conn, 2), 0);
    if (state == FRESH)
        return;
    turns(2);
    if (state == QUEUED || state == PAUSED || state == PARKED)
        for (int i = 0; i < (state == QUEUED ? 1 : 6); i++) {
            plain_send(s->o.fd, "data", 4);
            turns(1);
        }
    turns(2);
}

static void let_go(struct scene *s)
{
    if (s->o.fd >= 0)
        close(s->o.fd);
    if (!s->hogged)
        return;
    while (s->held > 0)
        ouro_buf_release(&s->kept[--s->held]);
    must_be(ouro_recv_source_close(&s->hog), 0);
    outside_close(&s->other);
}

static int close_it_main(void *arg)
{
    enum family f = *(enum family *)arg;
    static struct scene s;

    for (enum state state = 0; state < STATES; state++) {
        struct ouro_buf buf;

        reach(&s, state, f);
        must_be(ouro_recv_source_close(&s.source), 0);
        must_be(ouro_recv_source_close(&s.source), 0);
        must_be(ouro_recv_take(&s.source, &buf), -EBADF);
        ouro_recv_source_stop(&s.source);
        must_be(ouro_close(s.o.conn), 0);
        let_go(&s);
        until(pools_whole());
    }
    return 0;
}

/* Stopped, it gives what it had, and then says that it was stopped. */
static int stop_main(void *arg)
{
    enum family f = *(enum family *)arg;
    static struct scene s;

    for (enum state state = 0; state < STATES; state++) {
        struct ouro_buf buf;
        int n;

        reach(&s, state, f);
        ouro_recv_source_stop(&s.source);
        ouro_recv_source_stop(&s.source);
        (void)ouro_await(&s.source.op.future);
        must(ouro_done(&s.source.ready));
        while ((n = ouro_recv_take(&s.source, &buf)) > 0)
            ouro_buf_release(&buf);
        if (n != (state == ENDED ? 0 : -ECANCELED)) {
            fprintf(stderr, "state %s: %d\n", state_name[state], n);
            must_fail(__FILE__, __LINE__, "the end is the stop");
        }
        must_be(ouro_recv_source_close(&s.source), 0);
        must_be(ouro_close(s.o.conn), 0);
        let_go(&s);
        until(pools_whole());
    }
    return 0;
}

/* Closing the connection first ends it too, for whoever waits. */
static int wait_for_end(void *arg)
{
    struct ouro_recv_source *source = *(struct ouro_recv_source **)arg;
    struct ouro_buf buf;
    int n;

    while ((n = ouro_recv_next(source, &buf)) > 0)
        ouro_buf_release(&buf);
    return n;
}

static int connection_first_main(void *arg)
{
    enum family f = *(enum family *)arg;
    static struct scene s;

    for (enum state state = 0; state < STATES; state++) {
        struct ouro_recv_source *source = &s.source;
        ouro_fiber reader;
        int value = 1;

        reach(&s, state, f);
        must_be(ouro_close(s.o.conn), 0);
        must_be(ouro_spawn_joinable(NULL, wait_for_end, &source, sizeof source, &reader), 0);
        must_be(ouro_join(reader, &value), OURO_END_RETURNED);
        if (value != (state == ENDED ? 0 : -ECANCELED)) {
            fprintf(stderr, "state %s: %d\n", state_name[state], value);
            must_fail(__FILE__, __LINE__, "the end is the close");
        }
        must(ouro_done(&s.source.op.future));
        must_be(ouro_recv_source_close(&s.source), 0);
        let_go(&s);
        until(pools_whole());
    }
    return 0;
}

/* The reader is there before the connection is closed. */
static int reader_waits_main(void *arg)
{
    enum family f = *(enum family *)arg;
    static struct scene s;

    for (int parked = 0; parked < 2; parked++) {
        struct ouro_recv_source *source = &s.source;
        ouro_fiber reader;
        int value = 1;

        reach(&s, parked ? PARKED : RECEIVING, f);
        must_be(ouro_spawn_joinable(NULL, wait_for_end, &source, sizeof source, &reader), 0);
        turns(3);
        must_be(ouro_close(s.o.conn), 0);
        must_be(ouro_join(reader, &value), OURO_END_RETURNED);
        must_be(value, -ECANCELED);
        must_be(ouro_recv_source_close(&s.source), 0);
        let_go(&s);
        until(pools_whole());
    }
    return 0;
}

/* A cancelled reader: the wait ends, what is queued stays queued, and the block takes care of the
 * rest. */
static int owner(void *arg)
{
    struct outside *o = *(struct outside **)arg;
    OURO_RECV_SOURCE(source);
    struct ouro_buf buf;
    int n;

    must_be(ouro_recv_source_open(&source, o->conn, 4), 0);
    while ((n = ouro_recv_next(&source, &buf)) > 0)
        ouro_buf_release(&buf);
    must_be(n, -ECANCELED);
    must_be(ouro_shield_enter(), 0);
    plain_send(o->fd, "later", 5);
    must_be(ouro_recv_next(&source, &buf), 5); /* it had gone on */
    ouro_buf_release(&buf);
    must_be(ouro_shield_leave(), 0);
    plain_send(o->fd, "unread", 6);
    return n;
}

static int cancelled_owner_main(void *arg)
{
    struct outside o, *po = &o;
    ouro_fiber f;
    int value = 0;

    outside_open(&o, *(enum family *)arg);
    must_be(ouro_spawn_joinable(NULL, owner, &po, sizeof po, &f), 0);
    turns(2);
    plain_send(o.fd, "data", 4);
    turns(3);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, -ECANCELED);
    outside_close(&o);
    until(pools_whole());
    return 0;
}

/* Deadlines on `ready` leave the source alone. */
static int deadline_main(void *arg)
{
    struct ouro_recv_source source;
    struct ouro_buf buf;
    struct outside o;

    outside_open(&o, *(enum family *)arg);
    must_be(ouro_recv_source_open(&source, o.conn, 0), 0);
    must_be(ouro_await_for(&source.ready, MS), -ETIMEDOUT);
    must_be(ouro_recv_take(&source, &buf), -EAGAIN);
    plain_send(o.fd, "data", 4);
    must(ouro_await_for(&source.ready, 10 * SEC) >= 0);
    must_be(ouro_recv_take(&source, &buf), 4);
    ouro_buf_release(&buf);
    ouro_cancel(&source.op.future); /* as a stop */
    must_be(ouro_await(&source.op.future), -ECANCELED);
    must_be(ouro_recv_source_close(&source), 0);
    outside_close(&o);
    return 0;
}

/* [RECV-3]: errors of the connection come after the data that came before them. */
static int reset_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct linger now = {.l_onoff = 1};
    struct ouro_recv_source source;
    struct ouro_buf buf;
    struct outside o;

    outside_open(&o, f);
    must_be(ouro_recv_source_open(&source, o.conn, 0), 0);
    plain_send(o.fd, "data", 4);
    turns(3);
    must_be(setsockopt(o.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(o.fd);
    o.fd = -1;
    must_be(ouro_recv_next(&source, &buf), 4);
    ouro_buf_release(&buf);
    must_be(ouro_recv_next(&source, &buf), f == UNIX ? 0 : -ECONNRESET);
    must_be(ouro_recv_next(&source, &buf), f == UNIX ? 0 : -ECONNRESET);
    must_be(ouro_recv_source_close(&source), 0);
    outside_close(&o);
    until(pools_whole());
    return 0;
}

/* [RECV-1], [RECV-4]: opened, stopped and closed at random moments under traffic, a thousand times;
 * it always ends. */
static uint64_t seed;

static int any_moment_main(void *arg)
{
    struct ouro_recv_source source;
    struct pair p;
    uint64_t r = seed;

    pair_open(&p, *(enum family *)arg);
    for (int i = 0; i < 1000; i++) {
        uint64_t bits = random_next(&r);
        struct ouro_buf buf;

        must_be(ouro_recv_source_open(&source, p.far, 1 + (uint32_t)(bits & 3)), 0);
        for (uint64_t k = 0; k < (bits >> 8) % 4; k++)
            must_be(ouro_send(p.near, "some data or other", 1 + (bits >> 16) % 18) > 0, true);
        turns((unsigned)(bits >> 24) % 3);
        while (bits >> 30 & 1 && ouro_recv_take(&source, &buf) > 0)
            ouro_buf_release(&buf);
        if (bits >> 31 & 1)
            ouro_recv_source_stop(&source);
        turns((unsigned)(bits >> 32) % 2);
        must_be(ouro_recv_source_close(&source), 0);
    }
    pair_close(&p);
    until(pools_whole());
    return 0;
}

/* Every state under tiny pools, so that PARKED can be reached. */
#define IN_A_TINY_POOL(name)                                                                       \
    static void name(void **state)                                                                 \
    {                                                                                              \
        struct ouro_options o = small_options(1);                                                  \
                                                                                                   \
        (void)state;                                                                               \
        o.buffer_bytes = o.large_buffer_bytes = 256;                                               \
        o.buffers = o.buffers_max = o.large_buffers = o.large_buffers_max = 16;                    \
        for (enum family f = 0; f < FAMILIES; f++)                                                 \
            if (family_there(f))                                                                   \
                assert_int_equal(run_with(&o, name##_main, &f), 0);                                \
    }

IN_A_TINY_POOL(close_it)
IN_A_TINY_POOL(stop)
IN_A_TINY_POOL(connection_first)
IN_A_TINY_POOL(reader_waits)
ON_EACH_FAMILY(cancelled_owner)
ON_EACH_FAMILY(deadline)
ON_EACH_FAMILY(reset)
IN_A_TINY_POOL(any_moment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_it),
        cmocka_unit_test(stop),
        cmocka_unit_test(connection_first),
        cmocka_unit_test(reader_waits),
        cmocka_unit_test(cancelled_owner),
        cmocka_unit_test(deadline),
        cmocka_unit_test(reset),
        cmocka_unit_test(any_moment),
    };

    seed = test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
