/* SPDX-License-Identifier: MIT */
/* Which backend a client of ouro-proxy gets: the three ways to balance, backends that are dead,
 * come back, or do not answer; and what it says about them. */
#include "support/proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#define N 3

struct service {
    struct proxy proxy;
    int port[N], listener[N];
};

static void service_open(struct service *s, const char *options)
{
    for (int i = 0; i < N; i++) {
        s->port[i] = 0;
        s->listener[i] = tcp_listen(&s->port[i], 128);
    }
    proxy_start(&s->proxy,
                "--shards 1 --listen 127.0.0.1:0 --backend 127.0.0.1:%d --backend "
                "127.0.0.1:%d,127.0.0.1:%d %s",
                s->port[0], s->port[1], s->port[2], options);
}

static void service_close(struct service *s)
{
    proxy_stop(&s->proxy);
    for (int i = 0; i < N; i++)
        close(s->listener[i]);
}

/* The backend that a client's connection comes to, as *server. */
static int arrived_at(struct service *s, int *server)
{
    struct pollfd p[N];

    for (int i = 0; i < N; i++)
        p[i] = (struct pollfd){.fd = s->listener[i], .events = POLLIN};
    assert_true(poll(p, N, 20000) > 0);
    for (int i = 0; i < N; i++)
        if ((p[i].revents & POLLIN) != 0) {
            *server = tcp_accept(s->listener[i]);
            return i;
        }
    fail();
    return -1;
}

/* One connection from there, ended again: where it went. */
static int visit(struct service *s, const char *source)
{
    int client = tcp_connect_from(source, s->proxy.port), server, i = arrived_at(s, &server);

    put(client, 0, 10);
    get(server, 0, 10);
    close(client);
    get_end(server);
    close(server);
    return i;
}

static void round_robin_takes_turns(void **state)
{
    struct service s;
    int count[N] = {0};

    (void)state;
    service_open(&s, "");
    for (int i = 0; i < 4 * N; i++)
        count[visit(&s, "127.0.0.1")]++;
    for (int i = 0; i < N; i++)
        assert_int_equal(count[i], 4);
    service_close(&s);
}

static void least_connections_fills_up(void **state)
{
    enum { EACH = 3 };
    struct service s;
    int client[N][EACH], server[N][EACH], count[N] = {0}, fd, i;

    (void)state;
    service_open(&s, "--balance least-connections");
    for (int k = 0; k < N * EACH; k++) {
        int c = tcp_connect(s.proxy.port);

        i = arrived_at(&s, &fd);
        assert_true(count[i] < EACH);
        client[i][count[i]] = c;
        server[i][count[i]++] = fd;
    }
    for (int k = 0; k < EACH; k++) { /* all that the second backend has */
        close(client[1][k]);
        close(server[1][k]);
    }
    eventually(proxy_counter(&s.proxy, "active") == 2 * EACH);
    for (int k = 0; k < EACH; k++) {
        client[1][k] = tcp_connect(s.proxy.port);
        assert_int_equal(arrived_at(&s, &server[1][k]), 1);
    }
    for (i = 0; i < N; i++)
        for (int k = 0; k < EACH; k++) {
            close(client[i][k]);
            close(server[i][k]);
        }
    service_close(&s);
}

static void source_hash_is_faithful(void **state)
{
    enum { SOURCES = 24 };
    struct service s;
    int home[SOURCES], count[N] = {0}, dead, now;
    char source[32];

    (void)state;
    service_open(&s, "--balance source-hash");
    for (int k = 0; k < SOURCES; k++) {
        snprintf(source, sizeof source, "127.0.0.%d", k + 1);
        home[k] = visit(&s, source);
        count[home[k]]++;
    }
    for (int i = 0; i < N; i++)
        assert_true(count[i] > 0);
    dead = home[0];
    close(s.listener[dead]);
    s.listener[dead] = -1;
    for (int k = 0; k < SOURCES; k++) { /* only the clients of the dead one move */
        snprintf(source, sizeof source, "127.0.0.%d", k + 1);
        now = visit(&s, source);
        assert_true(now != dead && (now == home[k] || home[k] == dead));
    }
    service_close(&s);
}

static void dead_one_is_skipped_and_comes_back(void **state)
{
    struct service s;
    char line[256];

    (void)state;
    service_open(&s, "");
    close(s.listener[0]);
    s.listener[0] = -1;
    for (int k = 0; k < 3 * N; k++)
        assert_int_not_equal(visit(&s, "127.0.0.1"), 0);
    assert_true(proxy_counter(&s.proxy, "connect_failures") >= 1);
    assert_int_equal(proxy_counter(&s.proxy, "refused"), 0);
    s.listener[0] = tcp_listen(&s.port[0], 128);
    while (visit(&s, "127.0.0.1") != 0)
        usleep(1000);
    assert_int_equal(kill(s.proxy.pid, SIGTERM), 0);
    assert_int_equal(proxy_wait(&s.proxy), 0);
    snprintf(line, sizeof line,
             "ouro-proxy: shard 0: backend 127.0.0.1:%d is down: Connection refused\n"
             "ouro-proxy: shard 0: backend 127.0.0.1:%d is up again\n",
             s.port[0], s.port[0]);
    assert_string_equal(s.proxy.errors, line);
    proxy_free(&s.proxy);
    for (int i = 0; i < N; i++)
        close(s.listener[i]);
}

static void all_dead_resets_the_client(void **state)
{
    struct service s;

    (void)state;
    service_open(&s, "");
    for (int i = 0; i < N; i++) {
        close(s.listener[i]);
        s.listener[i] = -1;
    }
    for (int k = 0; k < 5; k++) {
        int client = tcp_connect(s.proxy.port);

        get_reset(client);
        close(client);
    }
    eventually(proxy_counter(&s.proxy, "active") == 0);
    assert_int_equal(proxy_counter(&s.proxy, "refused"), 5);
    assert_true(proxy_counter(&s.proxy, "connect_failures") >= N);
    service_close(&s);
}

/* A listener whose queue is full answers no more; `fillers` connections make it so. */
static void make_deaf(int *listener, int *port, int fillers[8])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    *port = 0;
    *listener = tcp_listen(port, 0);
    a.sin_port = htons((uint16_t)*port);
    for (int i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fillers[i] >= 0);
        (void)!connect(fillers[i], (struct sockaddr *)&a, sizeof a);
    }
}

static void deaf_one_is_given_up_in_time(void **state)
{
    int deaf, deaf_port, fillers[8], port = 0, listener = tcp_listen(&port, 128), client, server;
    uint64_t began, took;
    struct proxy p;

    (void)state;
    make_deaf(&deaf, &deaf_port, fillers);
    proxy_start(&p,
                "--shards 1 --listen 127.0.0.1:0 --backend 127.0.0.1:%d --backend 127.0.0.1:%d "
                "--connect-timeout 200ms",
                deaf_port, port);
    began = ouro_now_precise_ns();
    client = tcp_connect(p.port);
    server = tcp_accept(listener);
    took = ouro_now_precise_ns() - began;
    assert_true(took >= 200 * MS && took < 10 * SEC);
    put(client, 0, 10);
    get(server, 0, 10);
    close(client);
    close(server);
    close(listener); /* now the other one is dead, and the deaf one is left alone */
    client = tcp_connect(p.port);
    get_reset(client);
    close(client);
    assert_int_equal(proxy_counter(&p, "connect_failures"), 2);
    proxy_stop(&p);
    close(deaf);
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_robin_takes_turns),
        cmocka_unit_test(least_connections_fills_up),
        cmocka_unit_test(source_hash_is_faithful),
        cmocka_unit_test(dead_one_is_skipped_and_comes_back),
        cmocka_unit_test(all_dead_resets_the_client),
        cmocka_unit_test(deaf_one_is_given_up_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
