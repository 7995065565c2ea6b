/* SPDX-License-Identifier: MIT */
/* A deadline and a completion that meet: what had moved is never hidden, and what was not received
 * is still there. */
#include "support/net_support.h"

static uint64_t seed;
static char in[16];

static void busy_until(uint64_t ns)
{
    while (ouro_now_precise_ns() <= ns)
        ;
}

struct other {
    int fd;
    uint64_t deadline_ns;
};

/* Runs in the turn in which the deadline passes, and sends in it. */
static int send_late(void *arg)
{
    struct other *o = *(struct other **)arg;

    busy_until(o->deadline_ns);
    plain_send(o->fd, "abc", 3);
    return 0;
}

/* Both are ready when the shard next looks: completions come first. */
static int same_turn_main(void *arg)
{
    for (int i = 0; i < 50; i++) {
        struct other other, *po = &other;
        struct ouro_recv r;
        struct outside o;

        outside_open(&o, *(enum family *)arg);
        ouro_recv_start(&r, o.conn, in, sizeof in);
        turns(2); /* it waits in the kernel */
        other = (struct other){o.fd, ouro_after_ns(100 * US)};
        must_be(ouro_spawn(NULL, send_late, &po, sizeof po), 0);
        must_be(ouro_await_until(&r.op.future, other.deadline_ns), 3);
        outside_close(&o);
    }
    return 0;
}

/* The deadline was there first: cancellation has been asked for, and data come before it is carried
 * out. */
static int cancel_meets_data_main(void *arg)
{
    unsigned moved = 0;

    for (int i = 0; i < 200; i++) {
        struct ouro_recv r;
        struct outside o;
        int n;

        outside_open(&o, *(enum family *)arg);
        ouro_recv_start(&r, o.conn, in, sizeof in);
        turns(i % 3);
        ouro_cancel(&r.op.future);
        plain_send(o.fd, "abc", 3);
        n = ouro_await(&r.op.future);
        must(n == 3 || n == -ECANCELED);
        moved += n == 3;
        if (n < 0)
            must_be(ouro_recv(o.conn, in, sizeof in), 3);
        outside_close(&o);
    }
    printf("%u of 200 had moved\n", moved);
    return 0;
}

static int late(void *arg)
{
    struct other *o = *(struct other **)arg;

    must_be(ouro_sleep_until(o->deadline_ns), 0);
    plain_send(o->fd, "abc", 3);
    return 0;
}

/* At random distances, through timers alone. */
static int around_main(void *arg)
{
    unsigned moved = 0, rounds = 200;
    uint64_t r = seed;
    struct outside o;

    outside_open(&o, *(enum family *)arg);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t base = ouro_after_ns(300 * US), jitter = random_next(&r) % (200 * US);
        struct other other = {o.fd, base + jitter}, *po = &other;
        struct ouro_recv recv;
        ouro_fiber f;
        int n;

        must_be(ouro_spawn_joinable(NULL, late, &po, sizeof po, &f), 0);
        ouro_recv_start(&recv, o.conn, in, sizeof in);
        n = ouro_await_until(&recv.op.future, base + 100 * US);
        must(n == 3 || n == -ETIMEDOUT);
        moved += n == 3;
        must_be(ouro_join(f, NULL), OURO_END_RETURNED);
        if (n < 0)
            must_be(ouro_recv(o.conn, in, sizeof in), 3);
    }
    printf("%u of %u came in time\n", moved, rounds);
    outside_close(&o);
    return 0;
}

/* Deadlines in the past: the kernel is asked all the same. */
static int past_main(void *arg)
{
    struct pair p;
    struct ouro_recv r;

    pair_open(&p, *(enum family *)arg);
    ouro_recv_start(&r, p.near, in, sizeof in);
    must_be(ouro_await_until(&r.op.future, 0), -ETIMEDOUT);
    ouro_recv_start(&r, p.near, in, sizeof in);
    must_be(ouro_await_for(&r.op.future, 0), -ETIMEDOUT);
    must_be(ouro_send(p.far, "x", 1), 1);
    must_be(ouro_recv(p.near, in, sizeof in), 1);
    pair_close(&p);
    return 0;
}

ON_EACH_FAMILY(same_turn)
ON_EACH_FAMILY(cancel_meets_data)
ON_EACH_FAMILY(around)
ON_EACH_FAMILY(past)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_turn),
        cmocka_unit_test(cancel_meets_data),
        cmocka_unit_test(around),
        cmocka_unit_test(past),
    };

    seed = test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
