/* SPDX-License-Identifier: MIT */
/* An operation in flight is started once more: two completions would end one of them. */
/* expect: use-after-poison */
#include "base/poison.h"
#include "support/net_support.h"

static int twice_main(void *arg)
{
    char buf[16], other[16];
    struct ouro_recv r;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    ouro_recv_start(&r, p.far, buf, sizeof buf);
    ouro_recv_start(&r, p.near, other, sizeof other);
    return 0;
}

int main(void)
{
    if (!POISON_ASAN)
        return 77;
    return run_on(1, twice_main, NULL);
}
