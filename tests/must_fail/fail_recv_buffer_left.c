/* SPDX-License-Identifier: MIT */
/* A function returns while the kernel has its buffer; the operation lies elsewhere. Found at the
 * next wait, where the sanitizer knows what was lent. */
/* expect: ^ouro: task 'main' on shard 0 left a block with '(recv|an operation)' pending in it */
#include "base/poison.h"
#include "support/net_support.h"

static __attribute__((noinline)) void leaves(struct ouro_recv *r, ouro_conn conn)
{
    char buf[64];

    ouro_recv_start(r, conn, buf, sizeof buf);
}

static int left_main(void *arg)
{
    static struct ouro_recv r;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    must_be(ouro_task_set_name("main"), 0);
    leaves(&r, p.far);
    return ouro_sleep(MS);
}

int main(void)
{
    if (!POISON_ASAN || !OURO_CHECKED)
        return 77;
    return run_on(1, left_main, NULL);
}
