/* SPDX-License-Identifier: MIT */
/* Back-pressure: behind a reader that does not read, ouro-proxy stops reading; what it holds is
 * bounded, and other connections go on. */
#include "support/proxy.h"

struct service {
    struct proxy proxy;
    int port, listener;
};

static void service_open(struct service *s)
{
    s->port = 0;
    s->listener = tcp_listen(&s->port, 1024);
    proxy_start(&s->proxy, "--listen 127.0.0.1:0 --backend 127.0.0.1:%d --shards 1", s->port);
}

static void service_close(struct service *s)
{
    proxy_stop(&s->proxy);
    close(s->listener);
}

static void pair_open(struct service *s, int *client, int *server)
{
    *client = tcp_connect(s->proxy.port);
    *server = tcp_accept(s->listener);
}

static void works(int client, int server)
{
    put(client, 4, 1000);
    get(server, 4, 1000);
    put(server, 5, 1000);
    get(client, 5, 1000);
}

/* Sends until nothing more is taken for a while: how much that was. */
static size_t fill(int fd, size_t most)
{
    static const char block[65536];
    unsigned idle = 0;
    size_t sum = 0;
    ssize_t n;

    while (idle < 100 && sum < most) {
        n = send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle + 1;
        sum += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            usleep(2000);
    }
    return sum;
}

static size_t drain(int fd)
{
    static char block[65536];
    size_t sum = 0;
    ssize_t n;

    while ((n = recv(fd, block, sizeof block, 0)) > 0)
        sum += (size_t)n;
    assert_int_equal(n, 0);
    return sum;
}

static void one_slow_reader(void **state)
{
    const size_t most = 256 * MIB;
    struct service s;
    long before;
    int client, server;
    size_t sent;

    (void)state;
    service_open(&s);
    pair_open(&s, &client, &server);
    works(client, server);
    before = proxy_memory_kib(&s.proxy);
    sent = fill(server, most);
    assert_true(sent < most / 2); /* the sockets' own buffers, and what the proxy holds */
    assert_true(proxy_memory_kib(&s.proxy) < before + 4096);
    assert_int_equal(shutdown(server, SHUT_WR), 0);
    assert_int_equal(drain(client), sent);
    put(client, 6, 1000); /* the other direction was never touched */
    get(server, 6, 1000);
    close(client);
    close(server);
    service_close(&s);
}

/* However many are stuck, a new one works. */
static void many_slow_readers(void **state)
{
    enum { STUCK = 300 };
    static int client[STUCK], server[STUCK];
    struct service s;
    int new_client, new_server;

    (void)state;
    service_open(&s);
    for (int i = 0; i < STUCK; i++) {
        pair_open(&s, &client[i], &server[i]);
        assert_int_equal(setsockopt(client[i], SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int)),
                         0);
    }
    for (int i = 0; i < STUCK; i++)
        for (int k = 0; k < 64; k++) {
            static const char block[65536];

            (void)!send(server[i], block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    usleep(300000);
    pair_open(&s, &new_client, &new_server);
    works(new_client, new_server);
    {
        struct transfer t;

        put_start(&t, new_server, 0, 5 * MIB, true);
        get(new_client, 0, 5 * MIB);
        get_end(new_client);
        transfer_join(&t);
    }
    printf("%ld KiB with %d stuck\n", proxy_memory_kib(&s.proxy), STUCK);
    for (int i = 0; i < STUCK; i++) {
        close(client[i]);
        close(server[i]);
    }
    close(new_client);
    close(new_server);
    service_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slow_reader),
        cmocka_unit_test(many_slow_readers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
