/* SPDX-License-Identifier: MIT */
/* Bytes and ends of streams pass through ouro-proxy in both directions, whichever side ends first.
 */
#include "support/proxy.h"

#define BYTES (5 * MIB)

/* A proxy between any two kinds of sockets. */
struct path {
    struct proxy proxy;
    char backend_path[64], listen_path[64];
    int backend_port, listener;
    bool unix_front;
};

static void path_open(struct path *x, bool unix_front, bool unix_back)
{
    char back[80], front[80] = "127.0.0.1:0";

    *x = (struct path){.unix_front = unix_front};
    snprintf(x->backend_path, sizeof x->backend_path, "/tmp/ouro-test-%d-back", (int)getpid());
    snprintf(x->listen_path, sizeof x->listen_path, "/tmp/ouro-test-%d-front", (int)getpid());
    unlink(x->backend_path);
    x->listener = unix_back ? unix_listen(x->backend_path) : tcp_listen(&x->backend_port, 128);
    if (unix_back)
        snprintf(back, sizeof back, "unix:%s", x->backend_path);
    else
        snprintf(back, sizeof back, "127.0.0.1:%d", x->backend_port);
    if (unix_front)
        snprintf(front, sizeof front, "unix:%s", x->listen_path);
    proxy_start(&x->proxy, "--listen %s --backend %s", front, back);
}

static void path_close(struct path *x)
{
    proxy_stop(&x->proxy);
    close(x->listener);
    unlink(x->backend_path);
    if (x->unix_front)
        assert_int_not_equal(access(x->listen_path, F_OK), 0); /* the proxy's own file is gone */
}

static void pair_open(struct path *x, int *client, int *server)
{
    *client = x->unix_front ? unix_connect(x->listen_path) : tcp_connect(x->proxy.port);
    *server = tcp_accept(x->listener);
}

/* 5 MiB each way at once, and both ends after them. */
static void both_ways(struct path *x)
{
    struct transfer t[4];
    int client, server;

    pair_open(x, &client, &server);
    put_start(&t[0], client, 0, BYTES, true);
    get_start(&t[1], server, 0, BYTES, true);
    put_start(&t[2], server, 77, BYTES, true);
    get_start(&t[3], client, 77, BYTES, true);
    for (size_t i = 0; i < 4; i++)
        transfer_join(&t[i]);
    close(client);
    close(server);
}

/* One side ends its stream at once; the other gets the end, and only then begins to send. */
static void half_closed(struct path *x, bool client_first)
{
    struct transfer t;
    int fd[2], *first = &fd[client_first ? 0 : 1], *last = &fd[client_first ? 1 : 0];

    pair_open(x, &fd[0], &fd[1]);
    put(*first, 5, 1000);
    assert_int_equal(shutdown(*first, SHUT_WR), 0);
    get(*last, 5, 1000);
    get_end(*last);
    put_start(&t, *last, 9, BYTES, true);
    get(*first, 9, BYTES);
    get_end(*first);
    transfer_join(&t);
    close(fd[0]);
    close(fd[1]);
}

static void nothing_at_all(struct path *x)
{
    int client, server;

    pair_open(x, &client, &server);
    close(client);
    get_end(server);
    close(server);
}

static void relay(bool unix_front, bool unix_back)
{
    struct path x;

    path_open(&x, unix_front, unix_back);
    both_ways(&x);
    half_closed(&x, true);
    half_closed(&x, false);
    nothing_at_all(&x);
    eventually(proxy_counter(&x.proxy, "active") == 0);
    assert_int_equal(proxy_counter(&x.proxy, "accepted"), 4);
    assert_int_equal(proxy_counter(&x.proxy, "to_backends"), 2 * BYTES + 1000);
    assert_int_equal(proxy_counter(&x.proxy, "to_clients"), 2 * BYTES + 1000);
    assert_int_equal(proxy_counter(&x.proxy, "resets"), 0);
    path_close(&x);
}

static void tcp_to_tcp(void **state)
{
    (void)state;
    relay(false, false);
}

static void tcp_to_unix(void **state)
{
    (void)state;
    relay(false, true);
}

static void unix_to_tcp(void **state)
{
    (void)state;
    relay(true, false);
}

static void unix_to_unix(void **state)
{
    (void)state;
    relay(true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_to_tcp),
        cmocka_unit_test(tcp_to_unix),
        cmocka_unit_test(unix_to_tcp),
        cmocka_unit_test(unix_to_unix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
