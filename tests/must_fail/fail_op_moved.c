/* SPDX-License-Identifier: MIT */
/* An operation in flight is copied to another place: its completion goes to the old one
 * ([LOAN-2]). */
/* expect: use-after-poison */
#include "base/poison.h"
#include "support/net_support.h"

static int move_main(void *arg)
{
    struct ouro_recv *r = malloc(sizeof *r), *moved = malloc(sizeof *moved);
    volatile size_t bytes = sizeof *r; /* a copy that no compiler leaves out */
    char buf[16];
    struct pair p;

    (void)arg;
    must(r != NULL && moved != NULL);
    pair_open(&p, UNIX);
    ouro_recv_start(r, p.far, buf, sizeof buf);
    memcpy(moved, r, bytes);
    return *(volatile char *)moved;
}

int main(void)
{
    if (!POISON_ASAN)
        return 77;
    return run_on(1, move_main, NULL);
}
