/* SPDX-License-Identifier: MIT */
/* Each part of a vectored receive is the kernel's until completion ([LOAN-1]). */
/* expect: use-after-poison */
#include "base/poison.h"
#include "support/net_support.h"

static int touch_main(void *arg)
{
    char head[16], *body = malloc(64);
    struct iovec parts[] = {{head, sizeof head}, {body, 64}};
    struct ouro_msg m;
    struct pair p;

    (void)arg;
    must(body != NULL);
    pair_open(&p, UNIX);
    ouro_recvv_start(&m, p.far, parts, 2);
    ((volatile char *)body)[63] = 1; /* the last byte of the last part */
    return 0;
}

int main(void)
{
    if (!POISON_ASAN)
        return 77;
    return run_on(1, touch_main, NULL);
}
