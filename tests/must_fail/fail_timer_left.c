/* SPDX-License-Identifier: MIT */
/* A fiber that leaves a frame with a timer pending in it: the wheel would write there. Checked
 * builds find it at the next wait. */
/* expect: ^ouro: task 'hasty' on shard 0 left a block with a timer .* at 0x.*OURO_TIMER$ */
#include "support/support.h"

#if OURO_CHECKED
static __attribute__((noinline)) void leaves(void)
{
    struct ouro_timer t = {0}; /* OURO_TIMER(t) is right */

    must_be(ouro_sleep_start(&t, SEC), 0);
}

/* So deep that what runs next does not reach it: else the frame of the wait could lie around it. */
static __attribute__((noinline)) void leaves_deep_down(void)
{
    volatile char room[4096];

    room[0] = 0;
    leaves();
    room[1] = room[0];
}

static int main_fn(void *arg)
{
    (void)arg;
    must_be(ouro_task_set_name("hasty"), 0);
    leaves_deep_down();
    return ouro_sleep(MS);
}
#endif

int main(void)
{
#if OURO_CHECKED
    return run_on(1, main_fn, NULL);
#else
    return 77;
#endif
}
