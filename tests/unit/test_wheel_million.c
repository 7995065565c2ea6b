/* SPDX-License-Identifier: MIT */
/* A million timers over an hour: half are cancelled, the rest fire in order, in their tick, and
 * again after a jump over the whole hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "shard/wheel.h"

#define SECOND UINT64_C(1000000000)
#define HOUR   (3600 * SECOND)

enum { COUNT = 1000000 };

static struct wheel wheel;
static struct ouro_wheel_node *nodes;

/* Spreads the index over the hour; odd, so that no two are alike. */
static uint64_t delay_of(uint64_t i)
{
    return 1 + (i * UINT64_C(2862933555777941757)) % HOUR;
}

static int setup(void **state)
{
    (void)state;
    nodes = calloc(COUNT, sizeof *nodes);
    return nodes == NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(nodes);
    return 0;
}

static void insert_all(uint64_t start)
{
    for (uint64_t i = 0; i < COUNT; i++)
        wheel_insert(&wheel, &nodes[i], start + delay_of(i));
    assert_int_equal(wheel_pending(&wheel), COUNT);
    assert_int_equal(wheel_check(&wheel), 0);
}

static size_t expire_round(uint64_t now, uint64_t *last_tick)
{
    struct ouro_wheel_node *node;
    size_t fired = 0;

    for (; (node = wheel_expire(&wheel, now)); fired++) {
        uint64_t tick = (node->deadline_ns + WHEEL_TICK_NS - 1) / WHEEL_TICK_NS;

        assert_true(node->deadline_ns <= now);
        assert_true(tick >= *last_tick);
        *last_tick = tick;
    }
    return fired;
}

static void half_cancelled_rest_in_order(void **state)
{
    uint64_t start = 12345 * SECOND, last = 0;
    size_t fired = 0;

    (void)state;
    wheel_init(&wheel, start);
    insert_all(start);
    for (size_t i = 0; i < COUNT; i += 2)
        assert_true(wheel_cancel(&wheel, &nodes[(i * 7919) % COUNT]));
    assert_int_equal(wheel_pending(&wheel), COUNT / 2);
    assert_int_equal(wheel_check(&wheel), 0);
    for (uint64_t now = start; now < start + HOUR + SECOND; now += SECOND / 20) {
        fired += expire_round(now, &last);
        assert_true(wheel_next(&wheel) > now);
    }
    assert_int_equal(fired, COUNT / 2);
    assert_int_equal(wheel_check(&wheel), 0);
}

static void all_in_one_jump(void **state)
{
    uint64_t start = 99 * HOUR, last = 0;

    (void)state;
    wheel_init(&wheel, start);
    insert_all(start);
    assert_int_equal(expire_round(start + 24 * HOUR, &last), COUNT);
    assert_int_equal(wheel_pending(&wheel), 0);
    assert_int_equal(wheel_check(&wheel), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_false(wheel_node_pending(&nodes[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_cancelled_rest_in_order),
        cmocka_unit_test(all_in_one_jump),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
