/* SPDX-License-Identifier: MIT */
/* A backend is killed under load and started again: only connections to it fail, the others go on,
 * new ones are served all the time, and by it too when it is back. */
#include "support/proxy.h"

#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ORIGINS 2
#define CLIENTS 8
#define REQUEST 50
#define ANSWER  5000

static struct origin {
    int port;
    _Atomic pid_t pid;
} origins[ORIGINS];

static atomic_bool over;
static atomic_bool may_fail[ORIGINS]; /* the origin has been killed at least once */
static atomic_ulong served[ORIGINS], failed[ORIGINS];

/* --- origins: processes, so that they can be killed ---------------------------------------- */

/* Its first byte on each connection is its number; then an answer for each request. */
static void *serve(void *arg)
{
    int fd = (int)((intptr_t)arg >> 8);
    unsigned char number = (unsigned char)((intptr_t)arg & 0xff), request[REQUEST];

    must_be(send(fd, &number, 1, MSG_NOSIGNAL), 1);
    while (recv(fd, request, sizeof request, MSG_WAITALL) == REQUEST)
        put(fd, number, ANSWER);
    close(fd);
    return NULL;
}

static _Noreturn void be_origin(int number, int listener)
{
    pthread_t thread;
    intptr_t fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* What the clients have open is theirs alone. */
    must(dup2(listener, 3) == 3 && close_range(4, ~0U, 0) == 0);
    for (;;) {
        fd = accept4(3, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(fd << 8 | number)) == 0)
            pthread_detach(thread);
    }
}

static void origin_start(int i)
{
    int listener = tcp_listen(&origins[i].port, 128);
    const struct timeval none = {0};
    pid_t pid;

    must(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none) == 0);
    fflush(NULL);
    pid = fork();
    must(pid >= 0);
    if (pid == 0)
        be_origin(i, listener);
    close(listener);
    atomic_store(&origins[i].pid, pid);
}

static void origin_kill(int i)
{
    pid_t pid = atomic_load(&origins[i].pid);

    atomic_store(&may_fail[i], true);
    must(kill(pid, SIGKILL) == 0);
    must_be(waitpid(pid, NULL, 0), pid);
}

/* --- clients: each keeps its connection as long as it lasts
 * ---------------------------------------- */

static bool request(int fd, unsigned char number)
{
    unsigned char answer[ANSWER] = {0};
    ssize_t n = send(fd, answer, REQUEST, MSG_NOSIGNAL);

    n = n == REQUEST ? recv(fd, answer, sizeof answer, MSG_WAITALL) : -1;
    if (n == (ssize_t)sizeof answer)
        atomic_fetch_add(&served[number], 1);
    return n == (ssize_t)sizeof answer;
}

static void *client(void *arg)
{
    int port = *(int *)arg;

    while (!atomic_load(&over)) {
        unsigned char number;
        int fd = tcp_connect(port);

        /* It may have been given to a backend that died at that moment, never to none. */
        if (recv(fd, &number, 1, 0) == 1) {
            must(number < ORIGINS);
            for (int i = 0; i < 200 && !atomic_load(&over); i++)
                if (!request(fd, number)) {
                    must(atomic_load(&may_fail[number]));
                    atomic_fetch_add(&failed[number], 1);
                    break;
                }
        }
        close(fd);
    }
    return NULL;
}

static void others_go_on(void **state)
{
    pthread_t thread[CLIENTS];
    unsigned long before, other;
    struct proxy p;

    (void)state;
    for (int i = 0; i < ORIGINS; i++)
        origin_start(i);
    proxy_start(&p, "--listen 127.0.0.1:0 --backend 127.0.0.1:%d --backend 127.0.0.1:%d",
                origins[0].port, origins[1].port);
    for (int i = 0; i < CLIENTS; i++)
        must(pthread_create(&thread[i], NULL, client, &p.port) == 0);
    for (int round = 0; round < 3; round++) {
        eventually(atomic_load(&served[0]) > 100 && atomic_load(&served[1]) > 100);
        origin_kill(0);
        other = atomic_load(&served[1]);
        eventually(atomic_load(&served[1]) > other + 1000);
        origin_start(0);
        before = atomic_load(&served[0]);
        eventually(atomic_load(&served[0]) > before + 100);
    }
    atomic_store(&over, true);
    for (int i = 0; i < CLIENTS; i++)
        must(pthread_join(thread[i], NULL) == 0);
    assert_true(atomic_load(&failed[0]) > 0); /* the kills met somebody */
    assert_int_equal(atomic_load(&failed[1]), 0);
    assert_int_equal(proxy_counter(&p, "refused"), 0);
    proxy_stop(&p);
    for (int i = 0; i < ORIGINS; i++)
        origin_kill(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(others_go_on)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
