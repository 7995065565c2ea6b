/* SPDX-License-Identifier: MIT */
/* The idle time-out and the connection limit of ouro-proxy, and the report that SIGUSR1 asks for.
 */
#include "support/proxy.h"

#include <poll.h>

struct service {
    struct proxy proxy;
    int port, listener;
};

static void service_open(struct service *s, const char *options)
{
    s->port = 0;
    s->listener = tcp_listen(&s->port, 128);
    proxy_start(&s->proxy, "--shards 1 --listen 127.0.0.1:0 --backend 127.0.0.1:%d %s", s->port,
                options);
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

static void idle_is_reset_busy_is_not(void **state)
{
    uint64_t began, took;
    struct service s;
    int idle_client, idle_server, client, server, n = 0;

    (void)state;
    service_open(&s, "--idle-timeout 1s");
    began = ouro_now_precise_ns();
    pair_open(&s, &idle_client, &idle_server);
    pair_open(&s, &client, &server);
    while (ouro_now_precise_ns() - began < 2 * SEC) { /* one direction is enough */
        put(client, 3, 10);
        get(server, 3, 10);
        usleep(50000);
        n++;
    }
    get_reset(idle_client);
    get_reset(idle_server);
    assert_int_equal(proxy_counter(&s.proxy, "idle_closed"), 1);
    assert_int_equal(proxy_counter(&s.proxy, "active"), 1);
    assert_int_equal(proxy_counter(&s.proxy, "to_backends"), 10 * n);
    began = ouro_now_precise_ns();
    get_reset(client);
    get_reset(server);
    took = ouro_now_precise_ns() - began;
    assert_true(took < 10 * SEC);
    assert_int_equal(proxy_counter(&s.proxy, "idle_closed"), 2);
    assert_int_equal(proxy_counter(&s.proxy, "resets"), 0);
    close(idle_client);
    close(idle_server);
    close(client);
    close(server);
    service_close(&s);
}

/* Also one whose reader takes nothing. */
static void stuck_is_idle(void **state)
{
    static const char block[65536];
    struct service s;
    int client, server;

    (void)state;
    service_open(&s, "--idle-timeout 300ms");
    pair_open(&s, &client, &server);
    while (send(server, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        continue;
    eventually(proxy_counter(&s.proxy, "idle_closed") == 1);
    get_reset(client);
    close(client);
    close(server);
    service_close(&s);
}

static bool anybody_comes(int listener, int ms)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};

    return poll(&p, 1, ms) == 1;
}

/* Above the limit clients wait with what they have sent; none is dropped. */
static void limit_makes_clients_wait(void **state)
{
    enum { LIMIT = 2, CLIENTS = 6 };
    struct service s;
    int client[CLIENTS], server[CLIENTS];

    (void)state;
    service_open(&s, "--max-connections 2");
    for (int i = 0; i < CLIENTS; i++) {
        client[i] = tcp_connect(s.proxy.port);
        put(client[i], (uint64_t)i, 100);
    }
    for (int i = 0; i < CLIENTS; i++) {
        server[i] = tcp_accept(s.listener);
        if (i >= LIMIT - 1) {
            assert_false(anybody_comes(s.listener, 50));
            assert_int_equal(proxy_counter(&s.proxy, "active"), LIMIT);
            get(server[i - LIMIT + 1], (uint64_t)(i - LIMIT + 1), 100);
            close(client[i - LIMIT + 1]);
            close(server[i - LIMIT + 1]);
        }
    }
    get(server[CLIENTS - 1], CLIENTS - 1, 100);
    close(client[CLIENTS - 1]);
    close(server[CLIENTS - 1]);
    eventually(proxy_counter(&s.proxy, "active") == 0);
    assert_int_equal(proxy_counter(&s.proxy, "accepted"), CLIENTS);
    assert_int_equal(proxy_counter(&s.proxy, "resets"), 0);
    service_close(&s);
}

static void report_shows_shards_backends_and_the_sum(void **state)
{
    int dead, dead_port = tcp_dead_port(&dead), port = 0, listener = tcp_listen(&port, 8);
    int client, server, ms;
    char line[256];
    struct proxy p;

    (void)state;
    proxy_start(&p, "--shards 1 --listen 127.0.0.1:0 --backend 127.0.0.1:%d --backend 127.0.0.1:%d",
                dead_port, port);
    client = tcp_connect(p.port);
    server = tcp_accept(listener);
    put(client, 0, 10);
    get(server, 0, 10);
    put(server, 0, 1000);
    get(client, 0, 1000);
    assert_int_equal(kill(p.pid, SIGUSR1), 0);
#define COUNTERS                                                                                   \
    " accepted=1 active=1 refused=0 over_source=0 rate_pauses=0 to_backends=10 to_clients=1000 "   \
    "connect_failures=1 "                                                                          \
    "idle_closed=0 resets=0 drained=0 aborted=0"
    assert_string_equal(proxy_line(&p), "shard 0:" COUNTERS);
    snprintf(line, sizeof line,
             "shard 0: backend 127.0.0.1:%d: down active=0 connected=0 failed=1 failures=1 "
             "next_try_ms=",
             dead_port);
    assert_memory_equal(proxy_line(&p), line, strlen(line));
    ms = atoi(p.line + strlen(line));
    assert_in_range(ms, 0, 100);
    snprintf(line, sizeof line, "shard 0: backend 127.0.0.1:%d: up active=1 connected=1 failed=0",
             port);
    assert_string_equal(proxy_line(&p), line);
    assert_string_equal(proxy_line(&p), "total:" COUNTERS);
    close(client);
    close(server);
    proxy_stop(&p);
    close(dead);
    close(listener);
}

/* The third of one address is reset, others are served, and one that leaves makes room. */
static void sources(void **state)
{
    struct service s;
    int client[4], server[4];

    (void)state;
    service_open(&s, "--max-per-source 2");
    for (int i = 0; i < 3; i++) {
        client[i] = tcp_connect_from(i < 2 ? "127.0.0.2" : "127.0.0.3", s.proxy.port);
        server[i] = tcp_accept(s.listener);
        put(client[i], 1, 10);
        get(server[i], 1, 10);
    }
    client[3] = tcp_connect_from("127.0.0.2", s.proxy.port);
    get_reset(client[3]);
    close(client[3]);
    eventually(proxy_counter(&s.proxy, "over_source") == 1);
    assert_int_equal(proxy_counter(&s.proxy, "active"), 3);
    close(client[0]);
    close(server[0]);
    eventually(proxy_counter(&s.proxy, "active") == 2);
    client[0] = tcp_connect_from("127.0.0.2", s.proxy.port);
    server[0] = tcp_accept(s.listener);
    put(client[0], 1, 10);
    get(server[0], 1, 10);
    for (int i = 0; i < 3; i++) {
        close(client[i]);
        close(server[i]);
    }
    service_close(&s);
}

/* A flood is let in no faster than asked for, and nobody of it is lost. */
static void rate(void **state)
{
    enum { N = 40, RATE = 20 };
    uint64_t began = ouro_now_precise_ns();
    int client[N], server[N];
    struct service s;

    (void)state;
    service_open(&s, "--max-rate 20");
    for (int i = 0; i < N; i++)
        client[i] = tcp_connect(s.proxy.port);
    for (int i = 0; i < N; i++)
        server[i] = tcp_accept(s.listener);
    assert_true(ouro_now_precise_ns() - began > (N - RATE / 5) * SEC / RATE);
    assert_true(proxy_counter(&s.proxy, "rate_pauses") > 0);
    assert_int_equal(proxy_counter(&s.proxy, "accepted"), N);
    for (int i = 0; i < N; i++) {
        close(client[i]);
        close(server[i]);
    }
    service_close(&s);
}

/* Opens its ports as root, serves as nobody. */
static void user(void **state)
{
    char path[64], line[256];
    bool found = false;
    struct service s;
    int client, server;
    FILE *f;

    (void)state;
    if (geteuid() != 0)
        skip();
    service_open(&s, "--user nobody");
    snprintf(path, sizeof path, "/proc/%d/status", (int)s.proxy.pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        found = found || strcmp(line, "Uid:\t65534\t65534\t65534\t65534\n") == 0;
    fclose(f);
    assert_true(found);
    pair_open(&s, &client, &server);
    put(client, 1, 10);
    get(server, 1, 10);
    close(client);
    close(server);
    service_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_is_reset_busy_is_not),
        cmocka_unit_test(stuck_is_idle),
        cmocka_unit_test(limit_makes_clients_wait),
        cmocka_unit_test(sources),
        cmocka_unit_test(rate),
        cmocka_unit_test(user),
        cmocka_unit_test(report_shows_shards_backends_and_the_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
