/* SPDX-License-Identifier: MIT */
/* The thread is the shard's: a task that ended it would take all others with it. */
/* expect: ^ouro: task 'main' on shard 0 exits or was cancelled as a thread; a task must return$ */
#include <ouro.h>
#include <pthread.h>

#include "shard/context_annotate.h"

static int main_fn(void *arg)
{
    (void)ouro_yield();
    pthread_exit(arg);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    if (CONTEXT_TSAN) /* which has a check of its own there, and no words for it */
        return 77;
    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
