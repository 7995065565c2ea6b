/* SPDX-License-Identifier: MIT */
/* A task that ends with a receive source open would leave the kernel a frame that is gone. */
/* expect: ^ouro: task 'forgetful' on shard 0 (ends|left a block) with 'receive source' pending */
#include "support/net_support.h"

static int forget(void *arg)
{
    struct ouro_recv_source source;

    must_be(ouro_recv_source_open(&source, *(ouro_conn *)arg, 0), 0);
    return 0;
}

static int forget_main(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "forgetful"};
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    must_be(ouro_spawn_with(NULL, forget, &p.near, sizeof p.near, &o, NULL), 0);
    turns(3);
    return 0;
}

int main(void)
{
    return run_on(1, forget_main, NULL);
}
