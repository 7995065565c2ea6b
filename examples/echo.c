/* SPDX-License-Identifier: MIT */
/* An echo server on all CPUs: one fiber per connection, straight-line code.
 *
 *     example-echo [ADDRESS]        default 127.0.0.1:7000; port 0: any
 */
#include <ouro.h>
#include <stdio.h>

static int echo(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg; /* our own copy: spawn made it */
    char buf[2048];
    ssize_t n;

    while ((n = ouro_recv(conn, buf, sizeof buf)) > 0)
        if ((n = ouro_send_all(conn, buf, (size_t)n)) < 0)
            break;
    ouro_close(conn); /* a release: runs even when cancelled */
    return (int)n;    /* 0 or -errno, for whoever joins */
}

static struct ouro_addr addr;

/* On every shard: its own listener, its own connections. SIGINT and SIGTERM end it. */
static int serve(void *arg)
{
    char text[OURO_ADDR_STRLEN];
    struct ouro_addr bound;
    ouro_listener listener;
    ouro_conn conn;
    int error = ouro_listen(&listener, &addr, NULL);

    (void)arg;
    if (error != 0)
        return error;
    if (ouro_current_shard() == 0 && ouro_listener_addr(listener, &bound) == 0 &&
        ouro_addr_format(&bound, text, sizeof text) > 0) {
        printf("listening on %s\n", text);
        fflush(stdout);
    }
    while ((error = ouro_accept(listener, &conn)) == 0)
        if (ouro_spawn(NULL, echo, &conn, sizeof conn) != 0)
            ouro_close(conn);
    ouro_listener_close(listener);
    return error == -ECANCELED ? 0 : error;
}

static int start(void *arg)
{
    return ouro_on_each_shard(serve, arg, "serve", NULL);
}

int main(int argc, char **argv)
{
    struct ouro_addr_error bad;
    int value = 0;

    if (ouro_addr_parse(&addr, argc > 1 ? argv[1] : "127.0.0.1:7000", &bad) != 0) {
        fprintf(stderr, "example-echo: %s\n", bad.message);
        return 2;
    }
    if (ouro_run(NULL, start, NULL, &value) != 0) {
        fprintf(stderr, "example-echo: %s\n", ouro_start_error());
        return 1;
    }
    return value < 0;
}
