/* SPDX-License-Identifier: MIT */
/* The lane: in order, full and empty to the last cell, also where its numbers wrap ([LANE-1]), by
 * batches that become visible at once, and between two threads ([LANE-2]). */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shard/lane.h"

static struct lane lane;
static struct lane_end out; /* the sender's */
static uint32_t at;         /* the receiver's */

/* As if `start` messages had passed through. */
static void start_at(uint32_t start)
{
    memset(&lane, 0, sizeof lane);
    for (uint32_t i = 0; i < LANE_MESSAGES; i++) /* of the last lap */
        lane.cell[(start + i) % LANE_MESSAGES].mark = start + i + 1 - LANE_MESSAGES;
    store_relaxed(&lane.head, start);
    out = (struct lane_end){.lane = &lane,
                            .tail = start,
                            .published = start,
                            .head_seen = start,
                            .capacity = LANE_MESSAGES};
    at = start;
}

static bool push(uint64_t n)
{
    struct lane_cell *c = lane_room(&out);

    if (c == NULL)
        return false;
    for (int i = 0; i < LANE_WORDS; i++)
        c->word[i] = n + (uint64_t)i;
    lane_filled(&out, c);
    return true;
}

static bool send(uint64_t n)
{
    bool room = push(n);

    lane_publish(&out);
    return room;
}

/* Takes the next, which must be n; false: there is none. */
static bool take(uint64_t n)
{
    struct lane_cell *c = lane_first(&lane, at);

    if (c == NULL)
        return false;
    for (int i = 0; i < LANE_WORDS; i++)
        assert_int_equal(c->word[i], n + (uint64_t)i);
    lane_passed(&lane, ++at);
    return true;
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
        assert_false(take(0));
        for (uint64_t round = 0; round < 3; round++) {
            for (uint64_t n = 0; n < LANE_MESSAGES; n++)
                assert_true(send(n));
            assert_false(send(0));
            assert_false(send(0));
            for (uint64_t n = 0; n < LANE_MESSAGES; n++)
                assert_true(take(n));
            assert_false(take(0));
        }
    }
}

/* Every fill level, one in and one out, across the wrap. */
static void every_level(void **state)
{
    (void)state;
    for (uint64_t level = 1; level <= LANE_MESSAGES; level++) {
        uint64_t in = 0, taken = 0;

        start_at(UINT32_MAX - LANE_MESSAGES / 2);
        while (in < level)
            assert_true(send(in++));
        for (unsigned i = 0; i < 3 * LANE_MESSAGES; i++) {
            assert_int_equal(send(in), level < LANE_MESSAGES);
            in += level < LANE_MESSAGES;
            assert_true(take(taken++));
            if (level == LANE_MESSAGES)
                assert_true(send(in++));
        }
        while (taken < in)
            assert_true(take(taken++));
        assert_false(take(0));
    }
}

/* Nothing of a batch is seen before it is published, all of it afterwards. */
static void batches(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= LANE_MESSAGES; size++) {
        uint64_t in = 0, taken = 0;

        start_at(UINT32_MAX - 2 * LANE_MESSAGES);
        for (unsigned round = 0; round < 5; round++) {
            for (uint64_t i = 0; i < size; i++)
                assert_true(push(in++));
            assert_false(take(taken));
            lane_publish(&out);
            lane_publish(&out); /* again is harmless */
            while (taken < in)
                assert_true(take(taken++));
            assert_false(take(taken));
        }
    }
}

#define MANY 2000000u

static void *produce(void *arg)
{
    (void)arg;
    for (uint64_t n = 0; n < MANY; n++) {
        while (!push(n)) {
            lane_publish(&out);
            sched_yield();
        }
        if (n % 7 == 0)
            lane_publish(&out);
    }
    lane_publish(&out);
    return NULL;
}

static void between_threads(void **state)
{
    pthread_t producer;

    (void)state;
    start_at(UINT32_MAX - MANY / 2);
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    for (uint64_t n = 0; n < MANY; n++)
        while (!take(n))
            sched_yield();
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_false(take(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_empties),
        cmocka_unit_test(every_level),
        cmocka_unit_test(batches),
        cmocka_unit_test(between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
