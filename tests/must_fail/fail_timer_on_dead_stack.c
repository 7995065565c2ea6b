/* SPDX-License-Identifier: MIT */
/* A fiber that ends with a timer of another fiber pending on its stack. */
/* expect: ^ouro: task 'host' on shard 0 left a block with a timer pending in it, started at 0x */
#include "support/support.h"

#if OURO_CHECKED
static int guest(void *arg)
{
    struct ouro_timer *t = *(struct ouro_timer **)arg;

    must_be(ouro_timer_start(t, ouro_after_ns(SEC)), 0);
    return ouro_await(&t->future);
}

static int host(void *arg)
{
    struct ouro_timer t = {0};
    struct ouro_timer *lent = &t;

    (void)arg;
    must_be(ouro_spawn(NULL, guest, &lent, sizeof lent), 0);
    return ouro_yield(); /* it has begun; its end is not awaited */
}

static int main_fn(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "host"};

    must_be(ouro_spawn_with(NULL, host, arg, 0, &o, NULL), 0);
    return ouro_sleep(30 * SEC);
}
#endif

int main(void)
{
#if OURO_CHECKED
    return run_on(1, main_fn, NULL);
#else
    return 77;
#endif
}
