/* SPDX-License-Identifier: MIT */
/* [POOL-2]: after its release a buffer is the kernel's, which may write there at any time:
 * AddressSanitizer ends a program that still reads it. */
/* expect: use-after-poison|Invalid read of size 1 */
#include "base/poison.h"
#include "support/net_support.h"

static int touch_main(void *arg)
{
    struct ouro_recv_source source;
    struct ouro_buf lease;
    const volatile char *data;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    must_be(ouro_recv_source_open(&source, p.far, 0), 0);
    must_be(ouro_send(p.near, "data", 4), 4);
    must_be(ouro_recv_next(&source, &lease), 4);
    data = lease.data;
    if (data[0] != 'd') /* while it is ours */
        return 0;
    ouro_buf_release(&lease);
    return data[0] == 'd' ? 0 : 1;
}

int main(void)
{
    if (!poison_is_seen())
        return 77;
    return run_on(1, touch_main, NULL);
}
