/* SPDX-License-Identifier: MIT */
/* Sixty-four shards, each sends to each: nothing is lost, doubled, altered, or out of its lane's
 * order ([MESH-2], [MESH-3]); and when all is said nobody uses the CPU. */
#include "support/support.h"

#include <ouro/call.h>
#include <sys/resource.h>
#include <time.h>

#define SHARDS 64

static unsigned each; /* messages of every ordered pair */

/* One receiver's account of one sender. Touched by the receiver alone. */
static struct account {
    uint64_t next, sum;
} accounts[SHARDS][SHARDS];

struct letter {
    uint32_t from, to;
    uint64_t number, twice, sealed;
};

static uint64_t seal(const struct letter *l)
{
    return (l->number * UINT64_C(0x9e3779b97f4a7c15) ^ l->twice) + l->from * 64 + l->to;
}

static int receive(void *arg)
{
    const struct letter *l = arg;
    struct account *a = &accounts[l->to][l->from];

    must_be(l->to, ouro_current_shard());
    must_be(l->number, a->next);
    must(l->sealed == seal(l));
    a->next++;
    a->sum += l->number;
    return 0;
}

/* To all in turn, so that every lane is in use all the time. */
static int send_all(void *arg)
{
    (void)arg;
    for (uint64_t n = 0; n < each; n++)
        for (uint32_t to = 0; to < SHARDS; to++) {
            struct letter l = {.from = (uint32_t)ouro_current_shard(), .to = to, .number = n};

            l.twice = 2 * n;
            l.sealed = seal(&l);
            must_be(ouro_post(to, receive, &l, sizeof l), 0);
        }
    return 0;
}

/* Whether everything has come to the shard that is asked. */
static int complete(void *arg)
{
    const struct account *a = accounts[ouro_current_shard()];
    unsigned n = 0;

    (void)arg;
    while (n < SHARDS && a[n].next == each)
        n++;
    return n == SHARDS;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    must_be(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static int main_fn(void *arg)
{
    uint64_t used;

    (void)arg;
    must_be(ouro_on_each_shard(send_all, NULL, "sends", NULL), 0);
    for (unsigned to = 0; to < SHARDS; to++)
        until(ouro_call(to, complete, NULL, 0) == 1);
    must_be(ouro_sleep(100 * MS), 0); /* what is left of wake-ups */
    used = cpu_ns();
    must_be(ouro_sleep(500 * MS), 0);
    must(cpu_ns() - used < 5 * MS); /* one timer's worth */
    return 0;
}

static void nothing_is_lost(void **state)
{
    static const uint32_t lanes[] = {0, 1};

    (void)state;
    each = slow_build() ? 20 : 200;
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        struct ouro_options o = small_options(SHARDS);

        o.lane_messages = lanes[i];
        memset(accounts, 0, sizeof accounts);
        assert_int_equal(run_with(&o, main_fn, NULL), 0);
        for (unsigned to = 0; to < SHARDS; to++)
            for (unsigned from = 0; from < SHARDS; from++) {
                assert_int_equal(accounts[to][from].next, each);
                assert_int_equal(accounts[to][from].sum, (uint64_t)each * (each - 1) / 2);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
