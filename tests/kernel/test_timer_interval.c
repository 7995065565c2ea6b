/* SPDX-License-Identifier: MIT */
/* Intervals tick on a fixed grid; a tick that is late by less than a period still happens, those
 * before it are left out and counted. */
#include "support/support.h"

static void hold_until(uint64_t ns)
{
    while (ouro_now_precise_ns() < ns)
        continue;
}

/* No drift: the grid does not move with what the ticks take. */
static int grid_main(void *arg)
{
    struct ouro_interval i;
    uint64_t first, due;

    (void)arg;
    must_be(ouro_interval_init(&i, 2 * MS), 0);
    first = i.next_ns;
    for (unsigned n = 0; n < 50; n++) {
        due = i.next_ns;
        must_be((due - first) % (2 * MS), 0);
        must_be(ouro_interval_tick(&i), 0);
        must(ouro_now_precise_ns() >= due);
        hold_until(ouro_now_precise_ns() + n % 5 * 200 * US);
    }
    must_be((i.next_ns - first) / (2 * MS), 50 + i.missed); /* all ticks are accounted for */
    return 0;
}

/* Held up for 3.5 periods after its deadline: three are left out, the fourth comes at once. */
static int missed_main(void *arg)
{
    const uint64_t period = 4 * MS;
    struct ouro_interval i;
    uint64_t first, late;

    (void)arg;
    must_be(ouro_interval_init(&i, period), 0);
    first = i.next_ns;
    must_be(ouro_interval_tick(&i), 0);
    must_be(i.missed, 0);
    must_be(i.next_ns, first + period);
    hold_until(first + period + 7 * period / 2);
    late = (ouro_now_precise_ns() - i.next_ns) / period; /* 3, or more on a machine that was busy */
    must_be(ouro_interval_tick(&i), 0);
    must(i.missed >= 3);
    must(i.missed >= late && i.missed <= (ouro_now_precise_ns() - first) / period);
    must_be(i.next_ns, first + (2 + i.missed) * period);
    return 0;
}

/* The same without waiting: deadlines for whoever keeps its own timer. */
static int deadlines_main(void *arg)
{
    struct ouro_interval i;
    uint64_t first;

    (void)arg;
    must_be(ouro_interval_init(&i, SEC), 0);
    first = i.next_ns;
    must(first >= ouro_now_ns() + SEC);
    for (unsigned n = 0; n < 10; n++)
        must_be(ouro_interval_next(&i), first + n * SEC); /* none of them is late */
    must_be(i.missed, 0);
    i.next_ns = ouro_now_precise_ns() - 10 * SEC - SEC / 2;
    first = i.next_ns;
    must_be(ouro_interval_next(&i), first + 10 * SEC);
    must_be(i.missed, 10);
    must_be(i.next_ns, first + 11 * SEC);
    return 0;
}

static int ticks(void *arg)
{
    struct ouro_interval i;

    must_be(ouro_interval_init(&i, 60 * SEC), 0);
    *(bool *)arg = true;
    must_be(ouro_interval_tick(&i), -ECANCELED);
    must_be(ouro_interval_tick(&i), -ECANCELED);
    return 0;
}

static int cancelled_main(void *arg)
{
    bool runs = false;
    ouro_fiber f;

    (void)arg;
    must_be(ouro_spawn_joinable(NULL, ticks, &runs, 0, &f), 0);
    until(runs);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_interval i = {0};

    (void)arg;
    must_be(ouro_interval_init(NULL, MS), -EINVAL);
    must_be(ouro_interval_init(&i, 0), -EINVAL);
    must_be(ouro_interval_init(&i, OURO_TICK_NS - 1), -EINVAL);
    must_be(ouro_interval_init(&i, UINT64_MAX), -EINVAL);
    must_be(ouro_interval_init(&i, UINT64_C(101) * 366 * 86400 * SEC), -EINVAL);
    must_be(ouro_interval_tick(&i), -EINVAL); /* was never made */
    must_be(ouro_interval_tick(NULL), -EINVAL);
    must_be(ouro_interval_init(&i, OURO_TICK_NS), 0);
    must_be(ouro_interval_tick(&i), 0);
    must_be(ouro_interval_init(&i, UINT64_C(99) * 365 * 86400 * SEC), 0);
    return 0;
}

ON_ONE_SHARD(grid)
ON_ONE_SHARD(missed)
ON_ONE_SHARD(deadlines)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid),      cmocka_unit_test(missed),  cmocka_unit_test(deadlines),
        cmocka_unit_test(cancelled), cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
