/* SPDX-License-Identifier: MIT */
/* A task that ends with a poll source open would leave the kernel a frame that is gone. */
/* expect: ^ouro: task 'forgetful' on shard 0 (ends|left a block) with 'poll source' pending */
#include "support/net_support.h"

#include <sys/eventfd.h>

static int forget(void *arg)
{
    struct ouro_poll_source source;

    (void)arg;
    must_be(ouro_poll_source_open(&source, eventfd(0, EFD_CLOEXEC), POLLIN, 0), 0);
    return 0;
}

static int forget_main(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "forgetful"};

    (void)arg;
    must_be(ouro_spawn_with(NULL, forget, NULL, 0, &o, NULL), 0);
    turns(3);
    return 0;
}

int main(void)
{
    return run_on(1, forget_main, NULL);
}
