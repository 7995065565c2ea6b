/* SPDX-License-Identifier: MIT */
/* Who sleeps until wheel_next() is woken seldom, never too late, and never for nothing: each wake
 * fires a timer or moves one down a level ([WHEEL-6]). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "shard/wheel.h"

#define SECOND UINT64_C(1000000000)

static struct wheel wheel;

/* Sleeps and wakes until nothing is pending; how often. Every timer fires in its own tick. */
static unsigned wakes_until_empty(uint64_t start)
{
    uint64_t now = start;
    unsigned wakes = 0;

    while (wheel_pending(&wheel)) {
        uint64_t next = wheel_next(&wheel);
        struct ouro_wheel_node *node;

        assert_true(next > now && next != WHEEL_NEVER);
        now = next;
        wakes++;
        while ((node = wheel_expire(&wheel, now))) {
            assert_true(node->deadline_ns <= now);
            assert_true(now - node->deadline_ns < WHEEL_TICK_NS);
        }
    }
    return wakes;
}

static void one_timer_wakes_once_per_level(void **state)
{
    static const struct {
        uint64_t delay;
        unsigned wakes;
    } cases[] = {
        {SECOND / 1000, 1},  {SECOND / 100, 1},         {SECOND, 2},
        {10 * SECOND, 2},    {60 * SECOND, 3},          {3600 * SECOND, 3},
        {86400 * SECOND, 4}, {100 * 86400 * SECOND, 5}, {UINT64_C(100) * 365 * 86400 * SECOND, 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint64_t start = 0; start < 50 * SECOND; start += SECOND / 3) {
            struct ouro_wheel_node node = {0};

            wheel_init(&wheel, start);
            wheel_insert(&wheel, &node, start + cases[i].delay);
            assert_in_range(wakes_until_empty(start), 1, cases[i].wakes);
        }
}

static void many_timers_share_their_wakes(void **state)
{
    enum { COUNT = 20000 };
    static struct ouro_wheel_node nodes[COUNT];
    unsigned wakes;

    (void)state;
    wheel_init(&wheel, SECOND);
    for (uint64_t i = 0; i < COUNT; i++)
        wheel_insert(&wheel, &nodes[i], SECOND + 1 + (i * UINT64_C(2654435761)) % (3600 * SECOND));
    wakes = wakes_until_empty(SECOND);
    printf("%u wakes for %d timers within an hour\n", wakes, COUNT);
    assert_in_range(wakes, COUNT / 2, 3 * COUNT);
}

/* Cancelled timers leave no wake behind. */
static void cancelled_timers_wake_nobody(void **state)
{
    enum { COUNT = 1000 };
    static struct ouro_wheel_node nodes[COUNT];
    struct ouro_wheel_node last = {0};

    (void)state;
    wheel_init(&wheel, 0);
    for (uint64_t i = 0; i < COUNT; i++)
        wheel_insert(&wheel, &nodes[i], (i + 1) * SECOND);
    wheel_insert(&wheel, &last, 3600 * SECOND);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(wheel_cancel(&wheel, &nodes[i]));
    assert_in_range(wakes_until_empty(0), 1, 3);
}

/* Woken long before and long after the proposed time: nothing is lost by it. */
static void other_wakes_do_no_harm(void **state)
{
    struct ouro_wheel_node node = {0};
    uint64_t deadline = 3600 * SECOND;

    (void)state;
    wheel_init(&wheel, 0);
    wheel_insert(&wheel, &node, deadline);
    for (uint64_t now = 0; now < deadline; now += SECOND / 7) {
        assert_null(wheel_expire(&wheel, now));
        assert_true(wheel_next(&wheel) > now);
        assert_true(wheel_next(&wheel) < deadline + WHEEL_TICK_NS);
    }
    assert_ptr_equal(wheel_expire(&wheel, deadline + 86400 * SECOND), &node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_timer_wakes_once_per_level),
        cmocka_unit_test(many_timers_share_their_wakes),
        cmocka_unit_test(cancelled_timers_wake_nobody),
        cmocka_unit_test(other_wakes_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
