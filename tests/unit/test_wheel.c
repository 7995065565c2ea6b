/* SPDX-License-Identifier: MIT */
/* The contract of the timer wheel, call by call: every state of a node, the edges of time, what a
 * caller may do within a round ([WHEEL-1], [WHEEL-4], [WHEEL-5], [WHEEL-7]). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shard/wheel.h"

#define TICK  WHEEL_TICK_NS
#define START (1000 * TICK + 123)

static struct wheel wheel;

static int setup(void **state)
{
    (void)state;
    wheel_init(&wheel, START);
    return 0;
}

static int sound(void **state)
{
    (void)state;
    return wheel_check(&wheel);
}

static void new_wheel_is_empty(void **state)
{
    (void)state;
    assert_int_equal(wheel_check(&wheel), 0);
    assert_int_equal(wheel_pending(&wheel), 0);
    assert_true(wheel_next(&wheel) == WHEEL_NEVER);
    assert_null(wheel_expire(&wheel, START));
    assert_null(wheel_expire(&wheel, UINT64_MAX));
    assert_int_equal(wheel_check(&wheel), 0);
}

static void zeroed_node_is_idle(void **state)
{
    struct ouro_wheel_node node = {0};

    (void)state;
    assert_false(wheel_node_pending(&node));
    assert_false(wheel_cancel(&wheel, &node));
    assert_int_equal(wheel_pending(&wheel), 0);
}

static void fires_once_and_is_idle(void **state)
{
    struct ouro_wheel_node node = {0};

    (void)state;
    wheel_insert(&wheel, &node, START + 5 * TICK);
    assert_true(wheel_node_pending(&node));
    assert_int_equal(wheel_pending(&wheel), 1);
    assert_int_equal(node.deadline_ns, START + 5 * TICK);
    assert_ptr_equal(wheel_expire(&wheel, START + 6 * TICK), &node);
    assert_false(wheel_node_pending(&node));
    assert_int_equal(wheel_pending(&wheel), 0);
    assert_null(wheel_expire(&wheel, START + 6 * TICK));
    assert_null(wheel_expire(&wheel, START + 6000 * TICK));
    assert_false(wheel_cancel(&wheel, &node));
}

/* Every deadline within a tick and both sides of it: never early, never a whole tick late. */
static void fires_in_its_tick(void **state)
{
    static const uint64_t offsets[] = {1,          2,          100,        TICK / 2,
                                       TICK - 124, TICK - 123, TICK - 122, TICK - 1,
                                       TICK,       TICK + 1,   511 * TICK, 512 * TICK};

    (void)state;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        struct ouro_wheel_node node = {0};
        uint64_t deadline = START + offsets[i], fires;

        wheel_init(&wheel, START);
        wheel_insert(&wheel, &node, deadline);
        fires = wheel_next(&wheel);
        while (fires < deadline) { /* wake-ups that only move it down */
            assert_null(wheel_expire(&wheel, fires));
            assert_true(wheel_next(&wheel) > fires);
            fires = wheel_next(&wheel);
        }
        assert_true(fires - deadline < TICK);
        assert_null(wheel_expire(&wheel, deadline - 1));
        assert_null(wheel_expire(&wheel, fires - 1));
        assert_ptr_equal(wheel_expire(&wheel, fires), &node);
    }
}

static void past_deadline_fires_in_the_next_round(void **state)
{
    struct ouro_wheel_node past = {0}, present = {0}, zero = {0};

    (void)state;
    wheel_insert(&wheel, &past, START - 1);
    wheel_insert(&wheel, &present, START);
    wheel_insert(&wheel, &zero, 0);
    assert_int_equal(wheel_next(&wheel), 0);
    assert_int_equal(wheel_check(&wheel), 0);
    for (int i = 0; i < 3; i++)
        assert_non_null(wheel_expire(&wheel, START));
    assert_null(wheel_expire(&wheel, START));
    assert_int_equal(wheel_pending(&wheel), 0);
}

static void time_going_back_counts_as_standing(void **state)
{
    struct ouro_wheel_node node = {0}, late = {0};

    (void)state;
    assert_null(wheel_expire(&wheel, START + 100 * TICK));
    wheel_insert(&wheel, &node, START + 200 * TICK);
    assert_null(wheel_expire(&wheel, 0));
    wheel_insert(&wheel, &late, START + 50 * TICK);
    assert_ptr_equal(wheel_expire(&wheel, START), &late);
    assert_null(wheel_expire(&wheel, START));
    assert_ptr_equal(wheel_expire(&wheel, START + 201 * TICK), &node);
}

static void cancel_in_every_place(void **state)
{
    static const uint64_t deadlines[] = {
        0,                    /* late */
        START + TICK,         /* level 0 */
        START + 600 * TICK,   /* level 1 */
        START + (TICK << 20), /* level 2 */
        START + (TICK << 30), /* level 3 */
        START + (TICK << 40), /* level 4 */
        START + (TICK << 46), /* level 5 */
        WHEEL_NEVER,
    };

    (void)state;
    for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++) {
        struct ouro_wheel_node node = {0};

        wheel_insert(&wheel, &node, deadlines[i]);
        assert_int_equal(wheel_check(&wheel), 0);
        assert_true(wheel_cancel(&wheel, &node));
        assert_false(wheel_cancel(&wheel, &node));
        assert_false(wheel_node_pending(&node));
        assert_true(wheel_next(&wheel) == WHEEL_NEVER);
        assert_int_equal(wheel_check(&wheel), 0);
    }
    assert_null(wheel_expire(&wheel, UINT64_MAX));
}

/* First, middle, last and only node of one slot. */
static void cancel_in_a_shared_slot(void **state)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct ouro_wheel_node nodes[3] = {0};

        for (int n = 0; n < 3; n++)
            wheel_insert(&wheel, &nodes[n], START + 9 * TICK);
        for (int n = 0; n < 3; n++) {
            assert_true(wheel_next(&wheel) != WHEEL_NEVER);
            assert_true(wheel_cancel(&wheel, &nodes[orders[i][n]]));
            assert_int_equal(wheel_check(&wheel), 0);
        }
        assert_true(wheel_next(&wheel) == WHEEL_NEVER);
    }
}

/* Nodes of the same tick, already taken from their slot when the first is handed out. */
static void cancel_what_is_due_but_not_handed_out(void **state)
{
    struct ouro_wheel_node nodes[3] = {0}, *first;
    unsigned cancelled = 0;

    (void)state;
    for (int n = 0; n < 3; n++)
        wheel_insert(&wheel, &nodes[n], START + 9 * TICK);
    first = wheel_expire(&wheel, START + 10 * TICK);
    assert_non_null(first);
    assert_int_equal(wheel_next(&wheel), 0);
    for (int n = 0; n < 3; n++)
        cancelled += wheel_cancel(&wheel, &nodes[n]);
    assert_int_equal(cancelled, 2);
    assert_int_equal(wheel_check(&wheel), 0);
    assert_null(wheel_expire(&wheel, START + 10 * TICK));
}

static void insert_moves_a_pending_node(void **state)
{
    struct ouro_wheel_node node = {0};

    (void)state;
    wheel_insert(&wheel, &node, START + 5 * TICK);
    wheel_insert(&wheel, &node, START + 5000 * TICK);
    assert_int_equal(wheel_pending(&wheel), 1);
    assert_int_equal(wheel_check(&wheel), 0);
    assert_null(wheel_expire(&wheel, START + 4999 * TICK));
    wheel_insert(&wheel, &node, 0);
    assert_ptr_equal(wheel_expire(&wheel, START + 4999 * TICK), &node);
    assert_int_equal(wheel_pending(&wheel), 0);
}

/* [WHEEL-7]: a timer that re-arms itself with delay 0 fires once per round. */
static void round_ends_under_rearming(void **state)
{
    struct ouro_wheel_node nodes[2] = {0}, *node;
    uint64_t now = START;

    (void)state;
    wheel_insert(&wheel, &nodes[0], 0);
    wheel_insert(&wheel, &nodes[1], START);
    for (int round = 0; round < 100; round++, now += (uint64_t)(round % 3) * TICK) {
        int fired = 0;

        while ((node = wheel_expire(&wheel, now))) {
            assert_int_equal(wheel_check(&wheel), 0);
            wheel_insert(&wheel, node, round % 2 ? now : 0);
            assert_true(++fired <= 2);
        }
        assert_int_equal(fired, 2);
        assert_int_equal(wheel_next(&wheel), 0);
    }
    assert_true(wheel_cancel(&wheel, &nodes[0]) && wheel_cancel(&wheel, &nodes[1]));
}

/* A round that jumps far: a periodic timer catches up one period per call, in step with others. */
static void rearming_within_a_jump_keeps_the_order(void **state)
{
    struct ouro_wheel_node fast = {0}, slow = {0}, *node;
    uint64_t now = START + 1000000 * TICK, next_fast = START + 10 * TICK;
    unsigned fired = 0, slow_at = 0;

    (void)state;
    wheel_insert(&wheel, &fast, next_fast);
    wheel_insert(&wheel, &slow, START + 5005 * TICK);
    while ((node = wheel_expire(&wheel, now))) {
        if (node == &slow) {
            slow_at = fired;
            continue;
        }
        fired++;
        next_fast += 10 * TICK;
        if (next_fast > now) {
            wheel_insert(&wheel, &fast, next_fast);
            break;
        }
        /* In the past of the round, so it waits for the next one. */
        wheel_insert(&wheel, &fast, next_fast);
        assert_int_equal(wheel_check(&wheel), 0);
    }
    assert_int_equal(fired, 1);
    assert_int_equal(slow_at, 1);
    assert_true(wheel_cancel(&wheel, &fast));
}

static void broken_off_round_goes_on(void **state)
{
    struct ouro_wheel_node nodes[10] = {0};
    uint64_t now = START + 100 * TICK;

    (void)state;
    for (int n = 0; n < 10; n++)
        wheel_insert(&wheel, &nodes[n], START + (uint64_t)(n + 1) * TICK);
    for (int n = 0; n < 4; n++)
        assert_ptr_equal(wheel_expire(&wheel, now), &nodes[n]);
    assert_true(wheel_next(&wheel) <= now);
    assert_int_equal(wheel_check(&wheel), 0);
    for (int n = 4; n < 7; n++)
        assert_ptr_equal(wheel_expire(&wheel, now), &nodes[n]);
    for (int n = 7; n < 10; n++)
        assert_ptr_equal(wheel_expire(&wheel, now + (uint64_t)n), &nodes[n]);
    assert_null(wheel_expire(&wheel, now + 9));
}

static void never_stays_pending(void **state)
{
    static const uint64_t deadlines[] = {WHEEL_NEVER, WHEEL_NEVER - 1, WHEEL_NEVER - TICK + 2};
    struct ouro_wheel_node nodes[3] = {0}, last = {0};

    (void)state;
    for (int n = 0; n < 3; n++)
        wheel_insert(&wheel, &nodes[n], deadlines[n]);
    assert_true(wheel_next(&wheel) == WHEEL_NEVER);
    wheel_insert(&wheel, &last, WHEEL_NEVER - TICK + 1); /* where the last tick starts */
    assert_null(wheel_expire(&wheel, WHEEL_NEVER - TICK));
    assert_ptr_equal(wheel_expire(&wheel, WHEEL_NEVER - TICK + 1), &last);
    assert_null(wheel_expire(&wheel, UINT64_MAX));
    assert_int_equal(wheel_check(&wheel), 0);
    for (int n = 0; n < 3; n++)
        assert_true(wheel_cancel(&wheel, &nodes[n]));
}

static void count_and_cancel(struct ouro_wheel_node *node, void *arg)
{
    (*(unsigned *)arg)++;
    if (node->deadline_ns % 2)
        wheel_cancel(&wheel, node);
}

static void for_each_sees_all_and_may_cancel(void **state)
{
    struct ouro_wheel_node nodes[7] = {0};
    unsigned seen = 0;

    (void)state;
    wheel_insert(&wheel, &nodes[0], 3);
    for (unsigned n = 1; n < 6; n++)
        wheel_insert(&wheel, &nodes[n], START + (TICK << (n * 7)) + n);
    wheel_insert(&wheel, &nodes[6], WHEEL_NEVER);
    wheel_for_each(&wheel, count_and_cancel, &seen);
    assert_int_equal(seen, 7);
    assert_int_equal(wheel_check(&wheel), 0);
    seen = 0;
    wheel_for_each(&wheel, count_and_cancel, &seen);
    assert_int_equal(seen, wheel_pending(&wheel));
    assert_true(seen > 0 && seen < 7);
}

/* The checker is worth nothing if it does not notice. (3, 1, 2, 5, 4: [WHEEL-2] and its
 * neighbours.) */
static void check_notices_damage(void **state)
{
    struct ouro_wheel_node node = {0};
    struct ouro_wheel_link *next;

    (void)state;
    wheel_insert(&wheel, &node, START + 7 * TICK);
    node.deadline_ns += TICK;
    assert_int_equal(wheel_check(&wheel), 3);
    node.deadline_ns -= TICK;
    next = node.link.next;
    node.link.next = &node.link;
    assert_int_equal(wheel_check(&wheel), 1);
    node.link.next = next;
    wheel.pending++;
    assert_int_equal(wheel_check(&wheel), 1);
    wheel.pending--;
    wheel.words[0] ^= 1;
    assert_int_equal(wheel_check(&wheel), 2);
    wheel.words[0] ^= 1;
    wheel.tick++;
    assert_int_equal(wheel_check(&wheel), 5);
    wheel.tick--;
    assert_true(wheel_cancel(&wheel, &node));
    wheel_insert(&wheel, &node, START);
    node.deadline_ns++;
    assert_int_equal(wheel_check(&wheel), 4);
    node.deadline_ns--;
    assert_true(wheel_cancel(&wheel, &node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(new_wheel_is_empty, setup, sound),
        cmocka_unit_test_setup_teardown(zeroed_node_is_idle, setup, sound),
        cmocka_unit_test_setup_teardown(fires_once_and_is_idle, setup, sound),
        cmocka_unit_test_setup_teardown(fires_in_its_tick, setup, sound),
        cmocka_unit_test_setup_teardown(past_deadline_fires_in_the_next_round, setup, sound),
        cmocka_unit_test_setup_teardown(time_going_back_counts_as_standing, setup, sound),
        cmocka_unit_test_setup_teardown(cancel_in_every_place, setup, sound),
        cmocka_unit_test_setup_teardown(cancel_in_a_shared_slot, setup, sound),
        cmocka_unit_test_setup_teardown(cancel_what_is_due_but_not_handed_out, setup, sound),
        cmocka_unit_test_setup_teardown(insert_moves_a_pending_node, setup, sound),
        cmocka_unit_test_setup_teardown(round_ends_under_rearming, setup, sound),
        cmocka_unit_test_setup_teardown(rearming_within_a_jump_keeps_the_order, setup, sound),
        cmocka_unit_test_setup_teardown(broken_off_round_goes_on, setup, sound),
        cmocka_unit_test_setup_teardown(never_stays_pending, setup, sound),
        cmocka_unit_test_setup(for_each_sees_all_and_may_cancel, setup),
        cmocka_unit_test_setup(check_notices_damage, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
