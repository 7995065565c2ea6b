/* SPDX-License-Identifier: MIT */
/* A receive is told a longer buffer than there is. The sanitizer does not see what the kernel
 * writes, so the start looks in its place. */
/* expect: heap-buffer-overflow */
#include "base/poison.h"
#include "support/net_support.h"

static int beyond_main(void *arg)
{
    char *buf = malloc(100);
    struct ouro_recv r;
    struct pair p;

    (void)arg;
    must(buf != NULL);
    pair_open(&p, UNIX);
    ouro_recv_start(&r, p.far, buf, 101);
    return 0;
}

int main(void)
{
    if (!POISON_ASAN)
        return 77;
    return run_on(1, beyond_main, NULL);
}
