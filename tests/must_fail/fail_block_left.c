/* SPDX-License-Identifier: MIT */
/* A function returns while an operation in its frame is pending: checked builds find it at the next
 * wait, before the kernel writes into whatever lies there by then. OURO_OP in its place drains it
 * (see kernel/test_cancel_release.c). */
/* expect: ^ouro: task 'main' on shard 0 left a block with 'recv' pending in it, started at 0x */
#include <ouro.h>
#include <sys/socket.h>

static __attribute__((noinline)) void leaves(ouro_conn conn, volatile char *hide)
{
    volatile struct ouro_recv r;
    volatile char frame[16] = {0};
    static char buf[16];

    ouro_recv_start((struct ouro_recv *)(uintptr_t)&r, conn, buf, sizeof buf);
    *hide = frame[0]; /* the frame stays one of its own */
}

static int main_fn(void *arg)
{
    volatile char c;
    ouro_conn conn;
    int fd[2];

    (void)arg;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0 || ouro_conn_adopt(&conn, fd[0]) != 0)
        return 0;
    leaves(conn, &c);
    return ouro_sleep(OURO_NSEC_PER_MSEC);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    if (!OURO_CHECKED)
        return 77;
    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
