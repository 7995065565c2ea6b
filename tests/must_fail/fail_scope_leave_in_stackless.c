/* SPDX-License-Identifier: MIT */
/* Leaving a scope waits too: a stackless task awaits its future and closes it. */
/* expect: ^ouro: task 'mixed up' on shard 0 is stackless and called ouro_scope_leave */
#include <ouro.h>

static struct ouro_task task;
static struct ouro_scope scope;

static void resume(struct ouro_task *self)
{
    OURO_BEGIN(self);
    if (ouro_scope_enter(&scope, 0) == 0)
        ouro_scope_leave(&scope);
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
