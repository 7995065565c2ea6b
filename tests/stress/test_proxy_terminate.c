/* SPDX-License-Identifier: MIT */
/* One request for each connection, as fast as they come, and SIGTERM at a random moment: whoever
 * was connected gets all its bytes. The seed is printed; OURO_SEED repeats a run, OURO_ROUNDS
 * lengthens it. */
#include "support/proxy.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <time.h>

#define CLIENTS 6
#define REQUEST 100
#define ANSWER  20000

struct client {
    pthread_t thread;
    int port;
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
    int listener = *(int *)arg, fd;
    pthread_t thread;

    while (!atomic_load(&over)) {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        must(pthread_create(&thread, NULL, answer, (void *)(intptr_t)fd) == 0);
        must(pthread_detach(thread) == 0);
    }
    return NULL;
}

/* False: refused. */
static bool connected(int fd, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)port)};

    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return true;
    must_be(errno, ECONNREFUSED);
    return false;
}

static void *client(void *arg)
{
    struct client *c = arg;
    int fd;

    for (;;) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(fd >= 0);
        if (!connected(fd, c->port))
            break;
        put(fd, 0, REQUEST);
        get(fd, 11, ANSWER);
        get_end(fd);
        close(fd);
        c->served++;
    }
    close(fd);
    return NULL;
}

static uint64_t one_round(int origin_port, unsigned after_us)
{
    struct client c[CLIENTS] = {0};
    struct proxy p;
    uint64_t served = 0;

    proxy_start(&p, "--listen 127.0.0.1:0 --backend 127.0.0.1:%d", origin_port);
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

static void nobody_loses_a_byte(void **state)
{
    unsigned seed = from_environment("OURO_SEED", (unsigned)time(NULL) ^ (unsigned)getpid() << 12);
    unsigned rounds = from_environment("OURO_ROUNDS", 5);
    int port = 0, listener = tcp_listen(&port, 1024);
    const struct timeval often = {.tv_usec = 100000};
    pthread_t thread;
    uint64_t served = 0;

    (void)state;
    printf("OURO_SEED=%u\n", seed);
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &often, sizeof often), 0);
    assert_int_equal(pthread_create(&thread, NULL, origin, &listener), 0);
    for (unsigned i = 0; i < rounds; i++)
        served += one_round(port, 20000 + (unsigned)rand_r(&seed) % 200000);
    atomic_store(&over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(listener);
    printf("%llu requests\n", (unsigned long long)served);
    assert_true(served > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_loses_a_byte)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
