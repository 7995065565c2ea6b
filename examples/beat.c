/* SPDX-License-Identifier: MIT */
/* The same program in both styles of task: a beat every 5 ms, ten times. The fiber is straight-line
 * C on a stack of its own; the stackless task keeps what survives a wait in its struct, 160 bytes
 * in all. */
#include <ouro.h>
#include <stdio.h>

#define BEATS     10
#define PERIOD_NS (5 * OURO_NSEC_PER_MSEC)

/* --- a fiber -----------------------------------------------------------------------------------
 */

static int beat_fiber(void *arg)
{
    (void)arg;
    for (int n = 1; n <= BEATS; n++) {
        int error = ouro_sleep(PERIOD_NS);

        if (error != 0)
            return error;
        printf("fiber %d\n", n);
    }
    return 0;
}

/* --- a stackless task --------------------------------------------------------------------------
 */

struct beat {
    struct ouro_task task;
    struct ouro_timer timer;
    int n;
};

static void beat_resume(struct ouro_task *task)
{
    struct beat *b = OURO_FRAME(task, struct beat, task);

    OURO_BEGIN(task);
    for (b->n = 1; b->n <= BEATS; b->n++) {
        ouro_sleep_start(&b->timer, PERIOD_NS);
        OURO_AWAIT(task, &b->timer.future);
        if (ouro_result(&b->timer.future) != 0)
            break;
        printf("stackless %d\n", b->n);
    }
    OURO_END(task, ouro_result(&b->timer.future));
}

/* --- both in one scope -------------------------------------------------------------------------
 */

static int demo(void *arg)
{
    struct beat beat = {0};
    struct ouro_scope scope;
    int error = ouro_scope_enter(&scope, OURO_SCOPE_FAIL_FAST);

    (void)arg;
    if (error != 0)
        return error;
    error = ouro_spawn(&scope, beat_fiber, NULL, 0);
    if (error == 0)
        error = ouro_task_start(&scope, &beat.task, beat_resume, "beat");
    if (error != 0)
        ouro_scope_cancel(&scope);
    return ouro_scope_leave(&scope); /* joins both */
}

int main(void)
{
    struct ouro_options options = {.size = sizeof options, .shards = 1};
    int value = 1;

    if (ouro_run(&options, demo, NULL, &value) != 0)
        fprintf(stderr, "example-beat: %s\n", ouro_start_error());
    return value != 0;
}
