/* SPDX-License-Identifier: MIT */
/* A promise that is zeroed while somebody waits for it is met when the wait ends. */
/* expect: ^ouro: on shard 0 a promise was overwritten while tasks wait for it */
#include "support/support.h"

static int overwrite_main(void *arg)
{
    struct ouro_promise_wait first, second;
    struct ouro_promise p = {0};

    (void)arg;
    must_be(ouro_promise_init(&p), 0);
    ouro_promise_wait_start(&first, &p);
    ouro_promise_wait_start(&second, &p);
    memset(&p, 0, sizeof p);
    ouro_cancel(&first.op.future);
    return 0;
}

int main(void)
{
    return run_on(1, overwrite_main, NULL);
}
