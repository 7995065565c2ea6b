/* SPDX-License-Identifier: MIT */
/* The operation itself is freed while it is in flight: the completion would be written there. */
/* expect: ^ouro: memory of 'recv', started at 0x[0-9a-f]+, was freed while the kernel had it$ */
#include "base/poison.h"
#include "support/net_support.h"

static int free_main(void *arg)
{
    struct ouro_recv *r = malloc(sizeof *r);
    char buf[16];
    struct pair p;

    (void)arg;
    must(r != NULL);
    pair_open(&p, UNIX);
    ouro_recv_start(r, p.far, buf, sizeof buf);
    free(r);
    return 0;
}

int main(void)
{
    if (!POISON_ASAN)
        return 77;
    return run_on(1, free_main, NULL);
}
