/* SPDX-License-Identifier: MIT */
/* One request for each connection, as fast as they come, and SIGTERM at a random moment: whoever
 * was connected gets all its bytes. The seed is printed; OURO_SEED repeats a run, OURO_ROUNDS
 * lengthens it. */
#include "support/proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/un.h>
#include <time.h>

#define CLIENTS 6
#define REQUEST 100
#define ANSWER  20000

struct client {
    pthread_t thread;
    int port; /* 0: the Unix socket */
    uint64_t served;
};

static atomic_bool over;

/* The origin: each connection has a request and gets an answer. */
static void *answer(void *arg)
{
    int fd = (int)(intptr_t)arg;

    get(fd, 0, REQUEST);
    put(fd, 11, ANSWER);
    must(shutdown(fd, SHUT_WR) == 0);
    get_end(fd);
    close(fd);
    return NULL;
}

static void *origin(void *arg)
{
    struct pollfd ready = {.fd = *(int *)arg, .events = POLLIN};
    pthread_t thread;
    int fd;

    while (!atomic_load(&over)) {
        if (poll(&ready, 1, 100) != 1)
            continue;
        fd = tcp_accept(ready.fd);
        must(pthread_create(&thread, NULL, answer, (void *)(intptr_t)fd) == 0);
        must(pthread_detach(thread) == 0);
    }
    return NULL;
}

static char front[64];

/* A connected socket, or -1: refused. */
static int connected(int port)
{
    const struct sockaddr_in in = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)port)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(port != 0 ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

    must(fd >= 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", front);
    error = port != 0 ? connect(fd, (const struct sockaddr *)&in, sizeof in)
                      : connect(fd, (const struct sockaddr *)&un, sizeof un);
    if (error == 0)
        return fd;
    must(errno == ECONNREFUSED || (port == 0 && errno == ENOENT));
    close(fd);
    return -1;
}

static void *client(void *arg)
{
    struct client *c = arg;
    int fd;

    while ((fd = connected(c->port)) >= 0) {
        put(fd, 0, REQUEST);
        get(fd, 11, ANSWER);
        get_end(fd);
        close(fd);
        c->served++;
    }
    return NULL;
}

static uint64_t one_round(const char *listen, int origin_port, unsigned after_us)
{
    struct client c[CLIENTS] = {0};
    struct proxy p;
    uint64_t served = 0;

    proxy_start(&p, "--listen %s --backend 127.0.0.1:%d", listen, origin_port);
    for (int i = 0; i < CLIENTS; i++) {
        c[i].port = p.port;
        must(pthread_create(&c[i].thread, NULL, client, &c[i]) == 0);
    }
    usleep(after_us);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    for (int i = 0; i < CLIENTS; i++) {
        must(pthread_join(c[i].thread, NULL) == 0);
        served += c[i].served;
    }
    assert_int_equal(proxy_wait(&p), 0);
    assert_string_equal(p.errors, "");
    assert_non_null(strstr(p.said, ", 0 were reset\n"));
    proxy_free(&p);
    return served;
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void nobody_loses_a_byte(const char *listen)
{
    unsigned seed = from_environment("OURO_SEED", (unsigned)time(NULL) ^ (unsigned)getpid() << 12);
    unsigned rounds = from_environment("OURO_ROUNDS", 4);
    int port = 0, listener = tcp_listen(&port, 1024);
    pthread_t thread;
    uint64_t served = 0;

    printf("OURO_SEED=%u\n", seed);
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, origin, &listener), 0);
    for (unsigned i = 0; i < rounds; i++)
        served += one_round(listen, port, 20000 + (unsigned)rand_r(&seed) % 200000);
    atomic_store(&over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(listener);
    printf("%llu requests\n", (unsigned long long)served);
    assert_true(served > 0);
}

static void over_tcp(void **state)
{
    (void)state;
    nobody_loses_a_byte("127.0.0.1:0");
}

static void over_a_unix_socket(void **state)
{
    char listen[80];

    (void)state;
    snprintf(front, sizeof front, "/tmp/ouro-test-%d-front", (int)getpid());
    snprintf(listen, sizeof listen, "unix:%s", front);
    nobody_loses_a_byte(listen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_tcp),
        cmocka_unit_test(over_a_unix_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
