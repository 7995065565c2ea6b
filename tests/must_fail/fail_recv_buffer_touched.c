/* SPDX-License-Identifier: MIT */
/* From the start of a receive to its completion the buffer is the kernel's, even to look at. */
/* expect: use-after-poison|Invalid read of size 1 */
#include "base/poison.h"
#include "support/net_support.h"

static int touch_main(void *arg)
{
    char *buf = malloc(64);
    struct ouro_recv r;
    struct pair p;

    (void)arg;
    must(buf != NULL);
    pair_open(&p, UNIX);
    ouro_recv_start(&r, p.far, buf, 64);
    must_be(ouro_send(p.near, "data", 4), 4);
    must_be(ouro_await(&r.op.future), 4);
    must(buf[0] == 'd'); /* it is ours again */
    ouro_recv_start(&r, p.far, buf, 64);
    return ((volatile char *)buf)[40] == 0 ? 0 : 1;
}

int main(void)
{
    if (!poison_is_seen())
        return 77;
    return run_on(1, touch_main, NULL);
}
