/* SPDX-License-Identifier: MIT */
/* A cancelled thread may come to a cancellation point outside of any task too: here when shard 1
 * wakes shard 0 to say that its part is done. */
/* expect: ^ouro: the thread of shard 1 was cancelled; stop it with ouro_stop\(\)$ */
#include <ouro.h>
#include <pthread.h>

static int part(void *arg)
{
    (void)arg;
    if (ouro_current_shard() == 1 && ouro_sleep(20 * OURO_NSEC_PER_MSEC) == 0)
        pthread_cancel(pthread_self());
    return 0;
}

static int main_fn(void *arg)
{
    return ouro_on_each_shard(part, arg, "part", NULL);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 2, .oversubscribe = true};

    o.wake = OURO_WAKE_EVENTFD; /* written, which is a cancellation point */
    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
