/* SPDX-License-Identifier: MIT */
/* Connects with a time-out, sends a line, and prints what comes back until the other side is done.
 *
 *     example-client ADDRESS TEXT
 */
#include <ouro.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECT_TIMEOUT (500 * OURO_NSEC_PER_MSEC)
#define ANSWER_TIMEOUT  (5 * OURO_NSEC_PER_SEC)

static int talk(ouro_conn conn, const char *text)
{
    uint64_t deadline = ouro_after_ns(ANSWER_TIMEOUT);
    char buf[4096];
    ssize_t n = ouro_send_all(conn, text, strlen(text));

    if (n >= 0)
        n = ouro_shutdown(conn, SHUT_WR); /* that was all */
    if (n < 0)
        return (int)n;
    for (;;) {
        OURO_OP(struct ouro_recv, r); /* cancelled and drained on every way out */

        ouro_recv_start(&r, conn, buf, sizeof buf);
        n = ouro_await_until(&r.op.future, deadline);
        if (n <= 0)
            return (int)n;
        if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
            return -EIO;
    }
}

static int run(void *arg)
{
    char **argv = arg;
    struct ouro_addr_error bad;
    struct ouro_addr addr;
    ouro_conn conn;
    int error = ouro_addr_parse(&addr, argv[1], &bad);

    if (error != 0) {
        fprintf(stderr, "example-client: %s\n", bad.message);
        return error;
    }
    error = ouro_connect(&conn, &addr, NULL, CONNECT_TIMEOUT);
    if (error == 0) {
        error = talk(conn, argv[2]);
        ouro_close(conn);
    }
    if (error != 0)
        fprintf(stderr, "example-client: %s: %s\n", argv[1], ouro_strerror(error));
    return error;
}

int main(int argc, char **argv)
{
    struct ouro_options options = {.size = sizeof options, .shards = 1};
    int value = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: example-client ADDRESS TEXT\n");
        return 2;
    }
    if (ouro_run(&options, run, argv, &value) != 0)
        fprintf(stderr, "example-client: %s\n", ouro_start_error());
    return value != 0;
}
