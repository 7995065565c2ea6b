/* SPDX-License-Identifier: MIT */
/* Level boundaries and jumps: for starts and distances around every power of 512 ticks, alone and
 * together, a timer fires in its tick whether time creeps or jumps ([WHEEL-3], [WHEEL-6]). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shard/wheel.h"

#define TICK      WHEEL_TICK_NS
#define LAST_TICK (UINT64_MAX >> WHEEL_TICK_SHIFT)

enum { OFFSETS = 5, EDGES = WHEEL_LEVELS * OFFSETS };

static struct wheel wheel;

/* 512^level + {-2 .. 2}, level 0 to 5; the first ones wrap below zero and mean 1. */
static uint64_t edge(unsigned i)
{
    int64_t ticks = (INT64_C(1) << (i / OFFSETS * WHEEL_LEVEL_BITS)) + (int)(i % OFFSETS) - 2;

    return ticks < 1 ? 1 : (uint64_t)ticks;
}

/* A timer is moved at most once per level below its first one [WHEEL-6]. */
static unsigned follow_next(struct ouro_wheel_node *node, uint64_t fires)
{
    unsigned wakes = 0;
    uint64_t now;

    do {
        now = wheel_next(&wheel);
        assert_true(now <= fires);
        wakes++;
        assert_true(wakes <= WHEEL_LEVELS);
    } while (wheel_expire(&wheel, now) != node);
    assert_true(now == fires);
    return wakes;
}

static void one_timer_at_every_edge(void **state)
{
    (void)state;
    for (unsigned s = 0; s < EDGES; s++)
        for (unsigned d = 0; d < EDGES; d++) {
            uint64_t start = edge(s) * TICK, fires = start + edge(d) * TICK;
            struct ouro_wheel_node node = {0};

            wheel_init(&wheel, start);
            wheel_insert(&wheel, &node, fires);
            assert_int_equal(wheel_check(&wheel), 0);
            assert_null(wheel_expire(&wheel, fires - 1));
            assert_int_equal(wheel_check(&wheel), 0);
            assert_ptr_equal(wheel_expire(&wheel, fires), &node);

            wheel_init(&wheel, start);
            wheel_insert(&wheel, &node, fires - TICK + 1);
            assert_true(follow_next(&node, fires) >= 1);
        }
}

/* All edges at once: whatever the step, they come out in order, each in its tick. */
static void all_edges_together(uint64_t start, uint64_t step)
{
    struct ouro_wheel_node nodes[EDGES] = {0}, *node;
    uint64_t now = start, before = 0;
    unsigned fired = 0;

    wheel_init(&wheel, start);
    for (unsigned i = EDGES; i-- > 0;)
        wheel_insert(&wheel, &nodes[i], start + edge(i) * TICK);
    assert_int_equal(wheel_check(&wheel), 0);
    while (wheel_pending(&wheel)) {
        uint64_t last = now;

        now = wheel_next(&wheel) > now + step ? wheel_next(&wheel) : now + step;
        while ((node = wheel_expire(&wheel, now))) {
            assert_true(node->deadline_ns <= now && node->deadline_ns > last - TICK);
            assert_true(node->deadline_ns >= before);
            before = node->deadline_ns;
            fired++;
        }
        assert_int_equal(wheel_check(&wheel), 0);
    }
    assert_int_equal(fired, EDGES);
}

static void any_step(void **state)
{
    (void)state;
    for (unsigned s = 0; s < EDGES; s++)
        for (unsigned step = 0; step <= 46; step += 2)
            all_edges_together(edge(s) * TICK, TICK << step);
}

/* Inserted one by one while time stands at every offset around a slot's start. */
static void slot_one_turn_ahead(void **state)
{
    (void)state;
    for (unsigned level = 0; level < WHEEL_LEVELS - 1; level++) {
        uint64_t width = TICK << (level * WHEEL_LEVEL_BITS), turn = width * WHEEL_SLOTS;

        for (int64_t offset = -2; offset <= 2; offset++) {
            uint64_t start = 3 * turn + 7 * width + (uint64_t)offset * TICK;
            uint64_t half = (width / TICK / 2 + 1) * TICK; /* level 0: the next tick */
            struct ouro_wheel_node near = {0}, ahead = {0};

            wheel_init(&wheel, start);
            wheel_insert(&wheel, &ahead, start + turn - TICK);
            wheel_insert(&wheel, &near, start + half);
            assert_int_equal(wheel_check(&wheel), 0);
            assert_null(wheel_expire(&wheel, start + half - 1));
            assert_ptr_equal(wheel_expire(&wheel, start + half), &near);
            assert_null(wheel_expire(&wheel, start + turn - TICK - 1));
            assert_ptr_equal(wheel_expire(&wheel, start + turn - TICK), &ahead);
        }
    }
}

/* From the first tick to the last in one call, and a node at the far end of the clock. */
static void the_whole_clock(void **state)
{
    struct ouro_wheel_node soon = {0}, century = {0}, end = {0};
    uint64_t hundred_years = UINT64_C(100) * 365 * 86400 * 1000000000;

    (void)state;
    wheel_init(&wheel, 0);
    wheel_insert(&wheel, &end, LAST_TICK * TICK);
    wheel_insert(&wheel, &century, hundred_years);
    wheel_insert(&wheel, &soon, 1);
    assert_int_equal(wheel_check(&wheel), 0);
    assert_ptr_equal(wheel_expire(&wheel, UINT64_MAX), &soon);
    assert_int_equal(wheel_check(&wheel), 0);
    assert_ptr_equal(wheel_expire(&wheel, UINT64_MAX), &century);
    assert_ptr_equal(wheel_expire(&wheel, UINT64_MAX), &end);
    assert_null(wheel_expire(&wheel, UINT64_MAX));
    wheel_insert(&wheel, &soon, UINT64_MAX);
    assert_ptr_equal(wheel_expire(&wheel, UINT64_MAX), &soon); /* not after the wheel's time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_timer_at_every_edge),
        cmocka_unit_test(any_step),
        cmocka_unit_test(slot_one_turn_ahead),
        cmocka_unit_test(the_whole_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
