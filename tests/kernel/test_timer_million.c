/* SPDX-License-Identifier: MIT */
/* A million timers at once: each fires once and not early, or is stopped and does not fire. */
#include "support/support.h"

#define N      (slow_build() ? 200000u : 1000000u)
#define WITHIN (slow_build() ? 400 * MS : 800 * MS)

static struct ouro_timer *timer;
static uint64_t seed = 88172645463325252u;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int million_main(void *arg)
{
    unsigned n = N, half = n / 2, fired = 0;
    struct ouro_counters before, after;
    uint64_t begin = ouro_now_precise_ns(), end = begin + WITHIN;

    (void)arg;
    must_be(ouro_counters(&before), 0);
    for (unsigned i = 0; i < n; i++) {
        /* Every third lies an hour off. */
        uint64_t within = i % 3 == 0 ? 3600 * SEC : WITHIN;

        must_be(ouro_timer_start(&timer[i], begin + random_number() % within), 0);
        if (i % 1024 == 0)
            must_be(ouro_yield(), 0);
    }
    for (unsigned i = 0; i < half; i++)
        ouro_timer_cancel(&timer[(uint64_t)i * 2]);
    must_be(ouro_sleep_until(end + MS), 0);
    for (unsigned i = 0; i < n; i++) {
        bool far = i % 3 == 0;

        if (ouro_done(&timer[i].future) && ouro_result(&timer[i].future) == 0)
            fired++;
        else if (i % 2 == 0)
            must_be(ouro_result(&timer[i].future), -ECANCELED);
        else
            must(far && timer[i].future.state == OURO_PENDING);
    }
    must_be(ouro_counters(&after), 0);
    must_be(after.timers_fired - before.timers_fired, fired + 1); /* the sleep's own */
    must(fired >= n / 3 - 1);
    for (unsigned i = 0; i < n; i++)
        ouro_timer_cancel(&timer[i]);
    return 0;
}

static void million(void **state)
{
    (void)state;
    timer = calloc(N, sizeof *timer);
    assert_non_null(timer);
    assert_int_equal(run_on(1, million_main, NULL), 0);
    free(timer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(million)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
