/* SPDX-License-Identifier: MIT */
/* A stackless task has no stack to suspend: a call that waits is refused, loudly, by the task's
 * name. */
/* expect: ^ouro: task 'mixed up' on shard 0 is stackless and called a waiting function */
#include <ouro.h>

static struct ouro_task task;

static void resume(struct ouro_task *self)
{
    OURO_BEGIN(self);
    ouro_sleep(OURO_NSEC_PER_MSEC);
    OURO_END(self, 0);
}

static int main_fn(void *arg)
{
    (void)arg;
    if (ouro_task_start(NULL, &task, resume, "mixed up") != 0)
        return 0;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
