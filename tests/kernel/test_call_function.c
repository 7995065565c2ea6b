/* SPDX-License-Identifier: MIT */
/* Functions on another shard: the value, the bytes there and back, the order, oneself, floods that
 * overrun the lanes in both directions, at every capacity; and every error. */
#include "support/support.h"

#include <ouro/call.h>
#include <stdatomic.h>

#define SHARDS 3

struct pair_of {
    uint64_t a, b, sum;
    int32_t shard;
};

static int add(void *arg)
{
    struct pair_of *p = arg;

    p->sum = p->a + p->b;
    p->shard = ouro_current_shard();
    return (int)(p->a % 1000);
}

static int touch(void *arg)
{
    *(int *)arg = ouro_current_shard();
    return -EDOM;
}

static int values_main(void *arg)
{
    (void)arg;
    for (unsigned to = 0; to < SHARDS; to++)
        for (uint64_t i = 0; i < 300; i++) {
            struct pair_of p = {.a = i, .b = ~i};
            int where = -1;

            must_be(ouro_call(to, add, &p, sizeof p), (int)(i % 1000));
            must_be(p.sum, UINT64_MAX);
            must_be(p.shard, to);
            must_be(ouro_call(to, touch, &where, 0), -EDOM);
            must_be(where, to);
        }
    return 0;
}

/* --- floods ------------------------------------------------------------------------------------
 */

#define FLOOD 3000

static int in_order(void *arg)
{
    uint64_t *p = arg;
    static uint64_t next[SHARDS][SHARDS]; /* [receiver][sender], each written by its receiver */
    uint64_t *n = &next[ouro_current_shard()][p[0]];

    must_be(p[1], *n);
    *n = p[1] == FLOOD - 1 ? 0 : *n + 1;
    p[2] = p[1] * 3;
    return (int)p[1];
}

struct flood {
    struct ouro_call call;
    uint64_t arg[3];
};

/* All of them started in one turn, to every shard in turn. */
static int flood_all(void *arg)
{
    struct flood *f = calloc(FLOOD, sizeof *f);

    (void)arg;
    must(f != NULL);
    for (unsigned to = 0; to < SHARDS; to++) {
        for (uint64_t i = 0; i < FLOOD; i++) {
            f[i].arg[0] = (uint64_t)ouro_current_shard();
            f[i].arg[1] = i;
            ouro_call_start(&f[i].call, to, in_order, f[i].arg, sizeof f[i].arg);
        }
        for (uint64_t i = 0; i < FLOOD; i++) {
            must_be(ouro_await(&f[i].call.op.future), i);
            must_be(f[i].arg[2], 3 * i);
        }
    }
    free(f);
    return 0;
}

static int floods_main(void *arg)
{
    (void)arg;
    must_be(ouro_on_each_shard(flood_all, NULL, "flood", NULL), 0);
    return 0;
}

/* --- no answer ---------------------------------------------------------------------------------
 */

static atomic_uint posted;

static int count(void *arg)
{
    posted += *(unsigned *)arg;
    return 0;
}

static int posts_main(void *arg)
{
    unsigned one = 1, sent = 0, refused = 0;

    (void)arg;
    posted = 0;
    for (unsigned i = 0; i < 5000; i++)
        must_be(ouro_post(i % SHARDS, count, &one, sizeof one), 0);
    until(posted == 5000);
    posted = 0;
    for (unsigned i = 0; i < 5000; i++) {
        int error = ouro_try_post(1, count, &one, sizeof one);

        must(error == 0 || error == -EAGAIN);
        sent += error == 0;
        refused += error != 0;
    }
    must(sent > 0 && refused > 0); /* nothing was taken meanwhile beyond a lane */
    until(posted == sent);
    return 0;
}

/* --- all ---------------------------------------------------------------------------------------
 */

static int where(void *arg)
{
    uint64_t *p = arg;

    p[0] += (uint64_t)ouro_current_shard();
    return p[1] == (uint64_t)ouro_current_shard() ? -EIO : ouro_current_shard();
}

static void collect(void *sum, const void *part)
{
    uint64_t *s = sum;

    *s = *s * 100 + *(const uint64_t *)part;
}

static int all_main(void *arg)
{
    uint64_t in[2] = {10, 99}, sum = 0;
    int results[SHARDS];

    (void)arg;
    must_be(ouro_call_all(where, in, sizeof in, results), 0);
    for (int i = 0; i < SHARDS; i++)
        must_be(results[i], i);
    must_be(in[0], 10); /* each had its own copy */
    must_be(ouro_map_reduce(where, in, sizeof in, collect, &sum), 0);
    must_be(sum, 101112);
    in[1] = 1;
    must_be(ouro_call_all(where, in, sizeof in, results), -EIO);
    must_be(results[1], -EIO);
    must_be(results[2], 2);
    sum = 0;
    must_be(ouro_map_reduce(where, in, sizeof in, collect, &sum), -EIO);
    must_be(sum, 1012);
    return 0;
}

/* --- errors ------------------------------------------------------------------------------------
 */

static int wrong_main(void *arg)
{
    uint64_t word = 0;
    struct ouro_call c;

    (void)arg;
    must_be(ouro_call(SHARDS, count, &word, 8), -EINVAL);
    must_be(ouro_call(0, NULL, &word, 8), -EINVAL);
    must_be(ouro_call(0, count, NULL, 8), -EINVAL);
    must_be(ouro_call(0, count, &word, OURO_CALL_ARG_MAX + 1), -EINVAL);
    must_be(ouro_post(SHARDS, count, &word, 8), -EINVAL);
    must_be(ouro_try_post(0, NULL, &word, 8), -EINVAL);
    must_be(ouro_call_all(NULL, &word, 8, NULL), -EINVAL);
    must_be(ouro_map_reduce(count, &word, 8, NULL, NULL), -EINVAL);
    must_be(ouro_call_task(SHARDS, count, &word, 8, NULL), -EINVAL);
    ouro_call_start(&c, 0, NULL, NULL, 0);
    must(ouro_done(&c.op.future));
    return 0;
}

static void off_a_shard(void **state)
{
    uint64_t word = 0;

    (void)state;
    assert_int_equal(ouro_call(0, count, &word, 8), -OURO_ENOSHARD);
    assert_int_equal(ouro_call_task(0, count, &word, 8, NULL), -OURO_ENOSHARD);
    assert_int_equal(ouro_post(0, count, &word, 8), -OURO_ENOSHARD);
    assert_int_equal(ouro_try_post(0, count, &word, 8), -OURO_ENOSHARD);
    assert_int_equal(ouro_call_all(count, &word, 8, NULL), -OURO_ENOSHARD);
    assert_int_equal(ouro_map_reduce(count, &word, 8, collect, &word), -OURO_ENOSHARD);
}

/* By each way of waking, and with lanes of every small size: of one message, too. */
static void in_every_way(int (*main_fn)(void *))
{
    static const uint32_t lanes[] = {1, 2, 3, 17, 0};

    for (unsigned wake = OURO_WAKE_TRIED; wake <= OURO_WAKE_RING; wake++)
        for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
            struct ouro_options o = small_options(SHARDS);

            o.wake = wake;
            o.lane_messages = lanes[i];
            assert_int_equal(run_with(&o, main_fn, NULL), 0);
        }
}

static void values(void **state)
{
    (void)state;
    in_every_way(values_main);
}

static void floods(void **state)
{
    (void)state;
    in_every_way(floods_main);
}

static void posts(void **state)
{
    (void)state;
    in_every_way(posts_main);
}

static void all(void **state)
{
    (void)state;
    in_every_way(all_main);
}

static void wrong(void **state)
{
    (void)state;
    assert_int_equal(run_on(SHARDS, wrong_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(floods), cmocka_unit_test(posts),
        cmocka_unit_test(all),    cmocka_unit_test(wrong),  cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
