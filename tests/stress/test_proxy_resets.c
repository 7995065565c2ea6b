/* SPDX-License-Identifier: MIT */
/* A reset on one side of ouro-proxy is a reset on the other; a stream that was cut off never looks
 * whole. Other connections do not notice. */
#include "support/proxy.h"

#include <poll.h>

static struct service {
    struct proxy proxy;
    int port, listener;
} service;

static int open_service(void **state)
{
    struct service *s = &service;

    (void)state;
    s->port = 0;
    s->listener = tcp_listen(&s->port, 128);
    proxy_start(&s->proxy, "--listen 127.0.0.1:0 --backend 127.0.0.1:%d", s->port);
    return 0;
}

static int close_service(void **state)
{
    (void)state;
    proxy_stop(&service.proxy);
    close(service.listener);
    return 0;
}

static void pair_open(int *client, int *server)
{
    *client = tcp_connect(service.proxy.port);
    *server = tcp_accept(service.listener);
}

static void works(int client, int server)
{
    put(client, 4, 1000);
    get(server, 4, 1000);
    put(server, 5, 1000);
    get(client, 5, 1000);
}

/* Both ends of a connection beside the one that is reset. */
static void with_a_neighbour(void (*test)(int client, int server))
{
    uint64_t before = proxy_counter(&service.proxy, "resets");
    int client, server, other_client, other_server;

    pair_open(&other_client, &other_server);
    pair_open(&client, &server);
    works(client, server);
    test(client, server);
    works(other_client, other_server);
    close(other_client);
    get_end(other_server);
    close(other_server);
    eventually(proxy_counter(&service.proxy, "active") == 0);
    assert_int_equal(proxy_counter(&service.proxy, "resets"), before + 1);
}

static void client_resets(int client, int server)
{
    close_reset(client);
    get_reset(server);
    close(server);
}

static void backend_resets(int client, int server)
{
    close_reset(server);
    get_reset(client);
    close(client);
}

/* With bytes on their way to the side that resets: it never reads them. */
static void client_resets_amid_bytes(int client, int server)
{
    put(server, 0, 100000);
    close_reset(client);
    get_reset(server);
    close(server);
}

/* The client has ended its stream; the backend's is cut off in the middle. */
static void backend_resets_a_half(int client, int server)
{
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    get_end(server);
    put(server, 6, 1000);
    get(client, 6, 1000);
    close_reset(server);
    get_reset(client);
    close(client);
}

/* The client takes nothing, so that the proxy has a send under way when the backend resets. */
static void backend_resets_while_sending(int client, int server)
{
    char block[16384] = {0};

    while (send(server, block, sizeof block, MSG_DONTWAIT) > 0)
        continue;
    close_reset(server);
    get_reset(client);
    close(client);
}

#define TEST(name)                                                                                 \
    static void name##_test(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        with_a_neighbour(name);                                                                    \
    }
TEST(client_resets)
TEST(backend_resets)
TEST(client_resets_amid_bytes)
TEST(backend_resets_a_half)
TEST(backend_resets_while_sending)

/* The kernel tells of a reset once: when the proxy's send heard of it, its receive on the same
 * socket says end of stream. Whatever the order, that must not be passed on. */
static void no_reset_turns_into_an_end(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        int client, server;

        pair_open(&client, &server);
        put(server, 0, (size_t)(1000 + 400 * i));
        close_reset(client);
        get_reset(server);
        close(server);
    }
    eventually(proxy_counter(&service.proxy, "active") == 0);
}

/* The backend has sent everything, its end too, and then refuses what the client still sends. */
static void a_whole_stream_stays_whole(void **state)
{
    struct pollfd told = {.events = POLLRDHUP};
    int client, server;

    (void)state;
    pair_open(&client, &server);
    put(server, 8, 100000);
    assert_int_equal(shutdown(server, SHUT_WR), 0);
    told.fd = client;
    assert_int_equal(poll(&told, 1, 20000), 1);
    close_reset(server);
    get(client, 8, 100000);
    get_end(client);
    close(client);
    eventually(proxy_counter(&service.proxy, "active") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_resets_test),
        cmocka_unit_test(backend_resets_test),
        cmocka_unit_test(client_resets_amid_bytes_test),
        cmocka_unit_test(backend_resets_a_half_test),
        cmocka_unit_test(backend_resets_while_sending_test),
        cmocka_unit_test(no_reset_turns_into_an_end),
        cmocka_unit_test(a_whole_stream_stays_whole),
    };

    return cmocka_run_group_tests(tests, open_service, close_service);
}
