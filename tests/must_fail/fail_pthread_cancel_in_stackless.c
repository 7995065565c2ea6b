/* SPDX-License-Identifier: MIT */
/* Cancelling a shard's thread strikes whichever task comes to a cancellation point. */
/* expect: ^ouro: task 'struck' on shard 0 exits or was cancelled as a thread; */
#include <ouro.h>
#include <pthread.h>

static struct ouro_task task;

static void struck_resume(struct ouro_task *self)
{
    pthread_cancel(pthread_self());
    pthread_testcancel();
    ouro_task_end(self, 0);
}

static int main_fn(void *arg)
{
    (void)arg;
    if (ouro_task_start(NULL, &task, struck_resume, "struck") != 0)
        return 0;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
