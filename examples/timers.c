/* SPDX-License-Identifier: MIT */
/* Time: sleeping, an interval, a deadline on a wait, and the first of several. */
#include <ouro.h>
#include <inttypes.h>
#include <stdio.h>

#define MS OURO_NSEC_PER_MSEC

static int demo(void *arg)
{
    OURO_TIMER(slow); /* stopped on every way out of the block */
    OURO_TIMER(fast);
    struct ouro_future *both[] = {&slow.future, &fast.future};
    struct ouro_interval interval;
    uint64_t start = ouro_now_ns();
    int error;

    (void)arg;
    if (ouro_sleep(20 * MS) != 0)
        return 1;
    printf("slept for 20 ms, woke %" PRIu64 " us late\n", (ouro_now_ns() - start - 20 * MS) / 1000);

    if (ouro_interval_init(&interval, 10 * MS) != 0)
        return 1;
    for (int i = 0; i < 5 && ouro_interval_tick(&interval) == 0; i++)
        printf("tick %d\n", i + 1);

    error = ouro_timer_start(&slow, ouro_after_ns(60 * OURO_NSEC_PER_SEC));
    if (error == 0)
        error = ouro_await_for(&slow.future, 10 * MS); /* gives up and stops it */
    printf("waiting 10 ms for a minute to pass: %s\n", error == -ETIMEDOUT ? "timed out" : "?");

    if (ouro_sleep_start(&slow, 500 * MS) != 0 || ouro_sleep_start(&fast, 5 * MS) != 0)
        return 1;
    printf("the first of two: number %d\n", ouro_await_any(both, 2, OURO_FOREVER) + 1);
    return 0;
}

int main(void)
{
    struct ouro_options options = {.size = sizeof options, .shards = 1};
    int value = 1;

    if (ouro_run(&options, demo, NULL, &value) != 0)
        fprintf(stderr, "example-timers: %s\n", ouro_start_error());
    return value;
}
