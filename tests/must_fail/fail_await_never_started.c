/* SPDX-License-Identifier: MIT */
/* A stackless task that awaits what nobody started would sleep for ever. */
/* expect: ^ouro: task 'forgetful' on shard 0 awaits a future that was never started */
#include <ouro.h>

static struct forgetful {
    struct ouro_task task;
    struct ouro_timer timer;
} forgetful;

static void forgetful_resume(struct ouro_task *task)
{
    struct forgetful *f = OURO_FRAME(task, struct forgetful, task);

    OURO_BEGIN(task);
    OURO_AWAIT(task, &f->timer.future);
    OURO_END(task, 0);
}

static int main_fn(void *arg)
{
    (void)arg;
    if (ouro_task_start(NULL, &forgetful.task, forgetful_resume, "forgetful") != 0)
        return 0;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
