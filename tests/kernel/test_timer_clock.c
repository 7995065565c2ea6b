/* SPDX-License-Identifier: MIT */
/* The two clocks: one is read once per turn, the other at each call. */
#include "support/support.h"

#include <time.h>

static uint64_t monotonic_ns(void)
{
    struct timespec t;

    must_be(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static int cached_main(void *arg)
{
    uint64_t cached, precise, end;

    (void)arg;
    must_be(ouro_sleep(MS), 0);
    cached = ouro_now_ns();
    precise = ouro_now_precise_ns();
    must(cached <= precise);
    end = precise + 2 * MS;
    while ((precise = ouro_now_precise_ns()) < end)
        must_be(ouro_now_ns(), cached); /* one turn, one time */
    must(precise <= monotonic_ns());
    must_be(ouro_sleep(0), 0); /* the next turn */
    must(ouro_now_ns() >= end);
    must(ouro_now_ns() <= monotonic_ns());
    return 0;
}

/* Off a shard there are no turns: both are precise. */
static void off_shard(void **state)
{
    uint64_t before = monotonic_ns(), now = ouro_now_ns(), precise = ouro_now_precise_ns();

    (void)state;
    assert_true(before <= now && now <= precise && precise <= monotonic_ns());
    while (ouro_now_ns() == now)
        continue;
    assert_true(ouro_after_ns(OURO_FOREVER) == OURO_FOREVER);
    assert_true(ouro_after_ns(OURO_FOREVER - 1) == OURO_FOREVER);
    assert_true(ouro_after_ns(SEC) >= precise + SEC);
}

ON_ONE_SHARD(cached)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cached), cmocka_unit_test(off_shard)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
