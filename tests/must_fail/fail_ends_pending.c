/* SPDX-License-Identifier: MIT */
/* A fiber that returns with a receive pending ends the process: the kernel would write into its
 * dead stack. The message names the task, the operation, and where it was started. */
/* expect: ^ouro: task 'careless' on shard 0 ends with 'recv' pending, started at 0x.*OURO_OP */
#include <ouro.h>
#include <sys/socket.h>

static int careless(void *arg)
{
    static struct ouro_recv r; /* not even on the stack */
    static char buf[16];

    ouro_recv_start(&r, *(ouro_conn *)arg, buf, sizeof buf);
    return 0;
}

static int main_fn(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "careless"};
    ouro_conn conn;
    int fd[2];

    (void)arg;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0 || ouro_conn_adopt(&conn, fd[0]) != 0)
        return 0;
    if (ouro_spawn_with(NULL, careless, &conn, sizeof conn, &o, NULL) != 0)
        return 0;
    return ouro_sleep(OURO_NSEC_PER_SEC);
}

int main(void)
{
    struct ouro_options o = {.size = sizeof o, .shards = 1};

    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
