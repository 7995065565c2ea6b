/* SPDX-License-Identifier: MIT */
/* A send from memory that was freed ([LOAN-3]). */
/* expect: heap-use-after-free */
#include "base/poison.h"
#include "support/net_support.h"

static int freed_main(void *arg)
{
    char *volatile buf = malloc(100);
    struct ouro_send s;
    struct pair p;

    (void)arg;
    must(buf != NULL);
    memset(buf, 1, 100);
    free(buf);
    pair_open(&p, UNIX);
    ouro_send_start(&s, p.near, buf, 100);
    return 0;
}

int main(void)
{
    if (!POISON_ASAN)
        return 77;
    return run_on(1, freed_main, NULL);
}
