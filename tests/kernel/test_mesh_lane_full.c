/* SPDX-License-Identifier: MIT */
/* A lane holds 256 messages; more of them in one turn wait in the sender's outbox and arrive all
 * the same, in the order in which they were sent ([MESH-2], [MESH-3]). */
#include "support/support.h"

#include <stdatomic.h>

#include "base/limits.h"

#define MANY 5000

static unsigned order[MANY];
static atomic_uint arrived;

static int note(void *arg)
{
    unsigned n = arrived; /* nobody else counts */

    order[n] = (unsigned)(uintptr_t)arg;
    arrived = n + 1;
    return 0;
}

/* Takes messages while they are being sent: a later one must not find room in the lane before those
 * that wait in the outbox. */
static atomic_bool asleep_again;

static int stays_awake(void *arg)
{
    (void)arg;
    while (!asleep_again)
        must_be(ouro_sleep(0), 0);
    return 0;
}

/* All in one turn of the sender. */
static int burst_main(void *arg)
{
    unsigned target = *(unsigned *)arg;
    struct ouro_counters c;

    asleep_again = false;
    must_be(ouro_spawn_remote(1, stays_awake, NULL, "stays awake"), 0);
    for (int round = 0; round < 20; round++) {
        arrived = 0;
        for (uintptr_t i = 0; i < MANY; i++)
            must_be(ouro_spawn_remote(target, note, (void *)i, "note"), 0);
        until(arrived == MANY);
        for (unsigned i = 0; i < MANY; i++)
            must_be(order[i], i);
    }
    must_be(ouro_counters(&c), 0);
    must(c.lanes_full >= MANY - LANE_MESSAGES);
    asleep_again = true;
    return 0;
}

static void to_another(void **state)
{
    unsigned target = 1;

    (void)state;
    assert_int_equal(run_on(2, burst_main, &target), 0);
}

static void to_oneself(void **state)
{
    unsigned target = 0;

    (void)state;
    assert_int_equal(run_on(2, burst_main, &target), 0);
}

/* The receiver does not take anything meanwhile: it is held until the sender's turn has long ended.
 */
static atomic_bool held, let_go;

static int hold(void *arg)
{
    (void)arg;
    held = true;
    while (!let_go)
        continue;
    return 0;
}

static int stuck_main(void *arg)
{
    (void)arg;
    arrived = 0;
    must_be(ouro_spawn_remote(1, hold, NULL, "hold"), 0);
    until(held);
    for (uintptr_t i = 0; i < MANY; i++) {
        must_be(ouro_spawn_remote(1, note, (void *)i, "note"), 0);
        if (i % 500 == 0)
            must_be(ouro_sleep(0), 0); /* several turns with the outbox full */
    }
    must_be(ouro_sleep(MS), 0);
    must_be(arrived, 0);
    let_go = true;
    until(arrived == MANY);
    for (unsigned i = 0; i < MANY; i++)
        must_be(order[i], i);
    return 0;
}

static void receiver_stuck(void **state)
{
    (void)state;
    assert_int_equal(run_on(2, stuck_main, NULL), 0);
}

/* A sender whose outbox is full stays awake for it; when it is empty it sleeps again. */
static int sleeps_again_main(void *arg)
{
    struct ouro_counters before, after;

    (void)arg;
    arrived = 0;
    for (uintptr_t i = 0; i < MANY; i++)
        must_be(ouro_spawn_remote(1, note, (void *)i, "note"), 0);
    until(arrived == MANY);
    must_be(ouro_sleep(MS), 0);
    must_be(ouro_counters(&before), 0);
    must_be(ouro_sleep(20 * MS), 0);
    must_be(ouro_counters(&after), 0);
    must(after.turns - before.turns <= 3);
    return 0;
}

static void sleeps_again(void **state)
{
    (void)state;
    assert_int_equal(run_on(2, sleeps_again_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_another),
        cmocka_unit_test(to_oneself),
        cmocka_unit_test(receiver_stuck),
        cmocka_unit_test(sleeps_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
