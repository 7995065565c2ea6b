/* SPDX-License-Identifier: MIT */
/* The lane: in order, full and empty to the last cell, also where its indices wrap ([SPSC-1]), and
 * between two threads ([SPSC-2]). */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/spsc.h"

static struct spsc q;

/* As if `start` messages had passed through. */
static void start_at(uint32_t start)
{
    memset(&q, 0, sizeof q);
    store_relaxed(&q.tail, start);
    store_relaxed(&q.head, start);
    q.head_seen = q.tail_seen = start;
}

static void *message(uintptr_t n)
{
    return (void *)(n + 1); /* NULL is none */
}

static const uint32_t starts[] = {0,
                                  1,
                                  LANE_MESSAGES - 1,
                                  UINT32_MAX / 2,
                                  UINT32_MAX - 3 * LANE_MESSAGES,
                                  UINT32_MAX - LANE_MESSAGES,
                                  UINT32_MAX - 1,
                                  UINT32_MAX};

static void fills_and_empties(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        start_at(starts[i]);
        assert_true(spsc_empty(&q));
        assert_null(spsc_pop(&q));
        for (int round = 0; round < 3; round++) {
            for (uintptr_t n = 0; n < LANE_MESSAGES; n++)
                assert_true(spsc_push(&q, message(n)));
            assert_false(spsc_push(&q, message(0)));
            assert_false(spsc_push(&q, message(0)));
            for (uintptr_t n = 0; n < LANE_MESSAGES; n++) {
                assert_false(spsc_empty(&q));
                assert_ptr_equal(spsc_pop(&q), message(n));
            }
            assert_null(spsc_pop(&q));
            assert_true(spsc_empty(&q));
        }
    }
}

/* Every fill level, one in and one out, across the wrap. */
static void every_level(void **state)
{
    (void)state;
    for (uintptr_t level = 1; level <= LANE_MESSAGES; level++) {
        uintptr_t in = 0, out = 0;

        start_at(UINT32_MAX - LANE_MESSAGES / 2);
        while (in < level)
            assert_true(spsc_push(&q, message(in++)));
        for (unsigned i = 0; i < 3 * LANE_MESSAGES; i++) {
            assert_int_equal(spsc_push(&q, message(in)), level < LANE_MESSAGES);
            in += level < LANE_MESSAGES;
            assert_ptr_equal(spsc_pop(&q), message(out++));
            if (level == LANE_MESSAGES)
                assert_true(spsc_push(&q, message(in++)));
        }
        while (out < in)
            assert_ptr_equal(spsc_pop(&q), message(out++));
        assert_null(spsc_pop(&q));
    }
}

#define MANY 2000000u

static void *produce(void *arg)
{
    (void)arg;
    for (uintptr_t n = 0; n < MANY; n++)
        while (!spsc_push(&q, message(n)))
            sched_yield();
    return NULL;
}

static void between_threads(void **state)
{
    pthread_t producer;
    void *p;

    (void)state;
    start_at(UINT32_MAX - MANY / 2);
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    for (uintptr_t n = 0; n < MANY; n++) {
        while ((p = spsc_pop(&q)) == NULL)
            sched_yield();
        assert_ptr_equal(p, message(n));
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_true(spsc_empty(&q));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_empties),
        cmocka_unit_test(every_level),
        cmocka_unit_test(between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
