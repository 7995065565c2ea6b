/* SPDX-License-Identifier: MIT */
/* A task that ends with a scope open would leave its children an owner that is gone. */
/* expect: ^ouro: task 'parent' on shard 0 ends with 'scope' pending, started at 0x */
#include <ouro.h>

static int child(void *arg)
{
    (void)arg;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

static int parent(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    if (ouro_scope_enter(&scope, 0) != 0)
        return 0;
    return ouro_spawn(&scope, child, NULL, 0);
}

static int main_fn(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "parent"};

    (void)arg;
    if (ouro_spawn_with(NULL, parent, NULL, 0, &o, NULL) != 0)
        return 0;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
