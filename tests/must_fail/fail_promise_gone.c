/* SPDX-License-Identifier: MIT */
/* A fiber that ends with a promise on its stack would strand those who wait for it. */
/* expect: ^ouro: task 'forgetful' on shard 0 ends with a promise on its stack */
#include "support/support.h"

static struct ouro_promise *theirs;

static int forget(void *arg)
{
    struct ouro_promise mine = {0};

    (void)arg;
    must_be(ouro_promise_init(&mine), 0);
    theirs = &mine;
    must_be(ouro_yield(), 0);
    return 0;
}

static int forget_main(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "forgetful"};
    struct ouro_promise_wait w;

    (void)arg;
    must_be(ouro_spawn_with(NULL, forget, NULL, 0, &o, NULL), 0);
    until(theirs != NULL);
    ouro_promise_wait_start(&w, theirs);
    return ouro_await(&w.op.future);
}

int main(void)
{
    if (!OURO_CHECKED)
        return 77;
    return run_on(1, forget_main, NULL);
}
