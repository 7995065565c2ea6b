/* SPDX-License-Identifier: MIT */
/* The same of a stackless task; every pending operation is named, the oldest last. */
/* expect: ^ouro: task 'careless' on shard 0 ends with 'poll' pending, started at 0x.* */
#include <ouro.h>
#include <poll.h>
#include <sys/eventfd.h>

static struct careless {
    struct ouro_task task;
    struct ouro_poll first, second;
    int fd;
} careless;

static void careless_resume(struct ouro_task *task)
{
    struct careless *c = OURO_FRAME(task, struct careless, task);

    OURO_BEGIN(task);
    ouro_poll_start(&c->first, c->fd, POLLIN);
    ouro_poll_start(&c->second, c->fd, POLLIN);
    OURO_YIELD(task);
    OURO_END(task, 0);
}

static int main_fn(void *arg)
{
    (void)arg;
    careless.fd = eventfd(0, EFD_CLOEXEC);
    if (ouro_task_start(NULL, &careless.task, careless_resume, "careless") != 0)
        return 0;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
