/* SPDX-License-Identifier: MIT */
/* A resume function is called on the shard's own stack, with main()'s handler below it. */
/* expect: ^ouro: an exception leaves task 'thrower' on shard 0 */
#include <ouro.h>

#include <stdexcept>

static struct ouro_task task;

static void thrower_resume(struct ouro_task *self)
{
    (void)self;
    throw std::runtime_error("not caught");
}

static int main_fn(void *arg)
{
    (void)arg;
    if (ouro_task_start(NULL, &task, thrower_resume, "thrower") != 0)
        return 0;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

int main()
{
    struct ouro_options o = {};

    o.size = sizeof o;
    o.shards = 1;
    try {
        (void)!ouro_run(&o, main_fn, NULL, NULL);
    } catch (...) {
    }
    return 0; /* alive: that is the failure */
}
