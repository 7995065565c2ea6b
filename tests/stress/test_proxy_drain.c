/* SPDX-License-Identifier: MIT */
/* SIGTERM: no new clients; those that are connected go on to their end, or to the drain time-out.
 */
#include "support/proxy.h"

#include <arpa/inet.h>

struct service {
    struct proxy proxy;
    int port, listener;
};

static void service_open(struct service *s, const char *options)
{
    s->port = 0;
    s->listener = tcp_listen(&s->port, 128);
    proxy_start(&s->proxy, "--listen 127.0.0.1:0 --backend 127.0.0.1:%d %s", s->port, options);
}

static void pair_open(struct service *s, int *client, int *server)
{
    *client = tcp_connect(s->proxy.port);
    *server = tcp_accept(s->listener);
}

static void terminate(struct service *s)
{
    assert_int_equal(kill(s->proxy.pid, SIGTERM), 0);
}

static void ended(struct service *s, const char *said)
{
    assert_int_equal(proxy_wait(&s->proxy), 0);
    assert_string_equal(s->proxy.said, said);
    assert_string_equal(s->proxy.errors, "");
    proxy_free(&s->proxy);
    close(s->listener);
}

/* Waits until new clients are refused: whoever connects is served, nobody is reset. */
static void wait_until_closed(const struct service *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)s->proxy.port)};
    int client, server;

    for (;;) {
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(client >= 0);
        if (connect(client, (struct sockaddr *)&a, sizeof a) != 0)
            break;
        server = tcp_accept(s->listener);
        close(client);
        get_end(server);
        close(server);
    }
    assert_int_equal(errno, ECONNREFUSED);
    close(client);
}

static void idle_proxy_ends_at_once(void **state)
{
    struct service s;

    (void)state;
    service_open(&s, "");
    terminate(&s);
    ended(&s, "drained: 0 connections ended by themselves, 0 were reset\n");
}

static void connected_clients_go_on(void **state)
{
    struct service s;
    struct transfer t;
    int client[3], server[3];

    (void)state;
    service_open(&s, "--idle-timeout 0");
    for (int i = 0; i < 3; i++)
        pair_open(&s, &client[i], &server[i]);
    put(client[0], 0, 100);
    terminate(&s);
    wait_until_closed(&s);
    get(server[0], 0, 100);
    for (int i = 0; i < 3; i++) {
        put_start(&t, server[i], 1, 5 * MIB, true);
        get(client[i], 1, 5 * MIB);
        get_end(client[i]);
        transfer_join(&t);
        put(client[i], 2, 1000); /* one direction has ended, the other goes on */
        get(server[i], 2, 1000);
        close(client[i]);
        get_end(server[i]);
        close(server[i]);
    }
    assert_int_equal(proxy_wait(&s.proxy), 0);
    assert_non_null(strstr(s.proxy.said, " connections ended by themselves, 0 were reset\n"));
    proxy_free(&s.proxy);
    close(s.listener);
}

static void rest_is_reset_at_the_time_out(void **state)
{
    struct service s;
    int client[3], server[3];

    (void)state;
    service_open(&s, "--drain-timeout 3s"); /* a peer that is ignored asks again after a second */
    for (int i = 0; i < 3; i++)
        pair_open(&s, &client[i], &server[i]);
    terminate(&s);
    wait_until_closed(&s); /* it drains: what ends from now on is counted */
    close(client[2]);
    get_end(server[2]);
    close(server[2]);
    for (int i = 0; i < 2; i++) {
        get_reset(client[i]);
        get_reset(server[i]);
        close(client[i]);
        close(server[i]);
    }
    assert_int_equal(proxy_wait(&s.proxy), 0);
    assert_non_null(strstr(s.proxy.said, " connections ended by themselves, 2 were reset\n"));
    proxy_free(&s.proxy);
    close(s.listener);
}

static void second_signal_ends_it(int first, int second)
{
    struct service s;
    int client, server;

    service_open(&s, "--drain-timeout 1h");
    pair_open(&s, &client, &server);
    kill(s.proxy.pid, first);
    wait_until_closed(&s);
    put(client, 3, 100); /* it still works */
    get(server, 3, 100);
    kill(s.proxy.pid, second);
    get_reset(client);
    get_reset(server);
    close(client);
    close(server);
    assert_int_equal(proxy_wait(&s.proxy), 0);
    assert_non_null(strstr(s.proxy.said, ", 1 were reset\n"));
    assert_string_equal(s.proxy.errors, "");
    proxy_free(&s.proxy);
    close(s.listener);
}

static void second_sigterm(void **state)
{
    (void)state;
    second_signal_ends_it(SIGTERM, SIGTERM);
}

static void second_sigint(void **state)
{
    (void)state;
    second_signal_ends_it(SIGINT, SIGINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_proxy_ends_at_once),
        cmocka_unit_test(connected_clients_go_on),
        cmocka_unit_test(rest_is_reset_at_the_time_out),
        cmocka_unit_test(second_sigterm),
        cmocka_unit_test(second_sigint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
