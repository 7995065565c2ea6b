/* SPDX-License-Identifier: MIT */
/* The buffer of a receive in flight is freed: the kernel would write into whatever is allocated
 * there next. */
/* expect: ^ouro: memory of 'recv', started at 0x[0-9a-f]+, was freed while the kernel had it$ */
#include "base/poison.h"
#include "support/net_support.h"

static int free_main(void *arg)
{
    char *buf = malloc(100);
    struct ouro_recv r;
    struct pair p;

    (void)arg;
    must(buf != NULL);
    pair_open(&p, UNIX);
    ouro_recv_start(&r, p.far, buf + 10, 50);
    free(buf);
    return 0;
}

int main(void)
{
    if (!POISON_ASAN)
        return 77;
    return run_on(1, free_main, NULL);
}
