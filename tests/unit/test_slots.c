/* SPDX-License-Identifier: MIT */
/* Descriptor slots: handles open what they were given for and nothing else ([SLOT-2]), come back
 * with another generation, and direct entries that the kernel hands out early ([SLOT-3]). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/slots.h"

#define DIRECT   8
#define ORDINARY 5
#define SHARD    37

static struct slots t;

static void set_up(void)
{
    assert_int_equal(slots_init(&t, DIRECT, ORDINARY, SHARD), 0);
}

static void tear_down(void)
{
    slots_destroy(&t);
    assert_null(t.slot);
    slots_destroy(&t); /* harmless */
}

static void handles_say_what_they_are(void **state)
{
    struct slot *s, *d;

    (void)state;
    set_up();
    s = slots_take(&t, 11, SLOT_FILE);
    d = slots_take_direct(&t, 3, SLOT_CONN);
    assert_non_null(s);
    assert_int_equal(s->id & 0xffffff, DIRECT); /* ordinary ones come after the direct ones */
    assert_int_equal(s->id >> 24 & 0xfff, SHARD);
    assert_int_equal(s->id >> 36, 1); /* no handle is 0 */
    assert_int_equal(d->id & 0xffffff, 3);
    assert_int_equal(d->fd, 3);
    assert_true(d->direct && !s->direct);
    assert_int_equal(slot_index(&t, d), 3);

    assert_ptr_equal(slots_find(&t, s->id, SLOT_FILE), s);
    assert_ptr_equal(slots_find(&t, d->id, SLOT_CONN), d);
    assert_null(slots_find(&t, s->id, SLOT_CONN)); /* another kind */
    assert_null(slots_find(&t, 0, SLOT_FILE));
    assert_null(slots_find(&t, UINT64_MAX, SLOT_FILE));
    assert_null(slots_find(&t, s->id ^ UINT64_C(1) << 24, SLOT_FILE)); /* another shard's */
    assert_null(slots_find(&t, s->id + (UINT64_C(1) << 36), SLOT_FILE));
    assert_null(slots_find(&t, (s->id & ~UINT64_C(0xffffff)) | (DIRECT + ORDINARY), SLOT_FILE));
    assert_null(slots_find(&t, (s->id & ~UINT64_C(0xffffff)) | 0xffffff, SLOT_FILE));
    s->closing = true;
    assert_null(slots_find(&t, s->id, SLOT_FILE));
    assert_int_equal(t.open[SLOT_FILE], 1);
    assert_int_equal(t.open[SLOT_CONN], 1);
    assert_int_equal(t.direct_open, 1);
    tear_down();
}

static void stale_handles_open_nothing(void **state)
{
    struct slot *s;
    uint64_t old[100];

    (void)state;
    set_up();
    for (int i = 0; i < 100; i++) {
        s = slots_take(&t, i, SLOT_CONN);
        old[i] = s->id;
        for (int k = 0; k < i; k++) {
            assert_true(old[k] != s->id);
            assert_null(slots_find(&t, old[k], SLOT_CONN));
        }
        slots_free(&t, s->id);
        assert_null(slots_find(&t, old[i], SLOT_CONN));
        slots_free(&t, old[i]); /* again: nothing happens */
        assert_int_equal(t.open[SLOT_CONN], 0);
    }
    assert_int_equal(t.fresh, DIRECT + 1); /* it was the same slot all the time */
    tear_down();
}

static void all_are_used_and_come_back(void **state)
{
    uint64_t id[ORDINARY];

    (void)state;
    set_up();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < ORDINARY; i++) {
            struct slot *s = slots_take(&t, 100 + i, SLOT_FILE);

            assert_non_null(s);
            id[i] = s->id;
            for (int k = 0; k < i; k++)
                assert_true((id[k] & 0xffffff) != (id[i] & 0xffffff));
        }
        assert_null(slots_take(&t, 99, SLOT_FILE));
        for (int i = 0; i < ORDINARY; i++)
            slots_free(&t, id[(i * 3 + round) % ORDINARY]);
        assert_int_equal(t.open[SLOT_FILE], 0);
    }
    tear_down();
}

/* The kernel closes an entry and hands it out again before we have seen the close complete. */
static void direct_entry_comes_early(void **state)
{
    struct slot *s;
    uint64_t first, second;

    (void)state;
    set_up();
    s = slots_take_direct(&t, 2, SLOT_CONN);
    first = s->id;
    s->closing = true; /* its close is in the kernel */
    assert_ptr_equal(slots_take_direct(&t, 2, SLOT_CONN), s);
    second = s->id;
    assert_true(second != first);
    assert_false(s->closing);
    slots_free(&t, first); /* now the close of the first completes: it changes nothing */
    assert_ptr_equal(slots_find(&t, second, SLOT_CONN), s);
    assert_int_equal(t.open[SLOT_CONN], 1);
    assert_int_equal(t.direct_open, 1);
    slots_free(&t, second);
    assert_int_equal(t.open[SLOT_CONN], 0);
    assert_int_equal(t.direct_open, 0);
    tear_down();
}

/* After 2^28 uses of a slot the generation starts again, at 1: 0 would make handles of it 0. */
static void generation_wraps(void **state)
{
    struct slot *s;

    (void)state;
    set_up();
    s = slots_take(&t, 5, SLOT_FILE);
    s->id |= UINT64_C(0xfffffff) << 36;
    assert_ptr_equal(slots_find(&t, s->id, SLOT_FILE), s);
    slots_free(&t, s->id);
    assert_ptr_equal(slots_take(&t, 6, SLOT_FILE), s);
    assert_int_equal(s->id >> 36, 1);
    assert_int_equal(s->id >> 24 & 0xfff, SHARD);
    assert_int_equal(s->id & 0xffffff, DIRECT);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_say_what_they_are),  cmocka_unit_test(stale_handles_open_nothing),
        cmocka_unit_test(all_are_used_and_come_back), cmocka_unit_test(direct_entry_comes_early),
        cmocka_unit_test(generation_wraps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
