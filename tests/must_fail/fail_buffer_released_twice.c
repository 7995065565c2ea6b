/* SPDX-License-Identifier: MIT */
/* A copy of a lease is released after the lease itself: the buffer would be handed out twice. */
/* expect: ^ouro: .*buffer.* released twice */
#include <ouro.h>
#include <sys/socket.h>

static int main_fn(void *arg)
{
    struct ouro_buf lease, copy;
    OURO_RECV_SOURCE(source);
    ouro_conn conn;
    int fd[2];

    (void)arg;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0 || ouro_conn_adopt(&conn, fd[0]) != 0)
        return 0;
    if (send(fd[1], "x", 1, 0) != 1 || ouro_recv_source_open(&source, conn, 0) != 0)
        return 0;
    if (ouro_recv_next(&source, &lease) != 1)
        return 0;
    copy = lease;
    ouro_buf_release(&lease);
    ouro_buf_release(&lease); /* harmless: it was zeroed */
    ouro_buf_release(&copy);
    return 0;
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
