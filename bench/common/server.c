/* SPDX-License-Identifier: MIT */
#include "server.h"

#include "report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

struct server_thread {
    struct server_worker worker;
    server_loop *loop;
};

static const struct argp_option options_table[] = {
    {"listen-port", 'l', "PORT", 0, "port on 127.0.0.1; 0, the default: any free one", 0},
    {"cpus", 'c', "LIST", 0, "one thread on each of these CPUs, such as 0,2-3 (0)", 0},
    {0},
};

unsigned long server_number(struct argp_state *state, const char *text, unsigned long low,
                            unsigned long high)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || n < low || n > high)
        argp_error(state, "'%s' is not a number from %lu to %lu", text, low, high);
    return n;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct server_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        options->cpu_count = 1;
        break;
    case 'l':
        options->port = (uint16_t)server_number(state, text, 0, 65535);
        break;
    case 'c':
        options->cpu_count = cpus_parse(text, options->cpus);
        if (options->cpu_count < 0)
            argp_error(state, "'%s' is not a list of CPUs", text);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp server_argp = {.options = options_table, .parser = parse};

void server_fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

static void set_option(int fd, int level, int name)
{
    int one = 1;

    if (setsockopt(fd, level, name, &one, sizeof one))
        server_fail("setsockopt", errno);
}

/* Binds to *port, and stores the port that the kernel chose where it was 0. */
static int make_listener(uint16_t *port, int nonblocking)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t length = sizeof address;
    int type = SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
    int fd = socket(AF_INET, type, 0);

    if (fd < 0)
        server_fail("socket", errno);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        server_fail("bind", errno);
    if (listen(fd, BACKLOG))
        server_fail("listen", errno);
    if (getsockname(fd, (struct sockaddr *)&address, &length))
        server_fail("getsockname", errno);
    *port = ntohs(address.sin_port);
    return fd;
}

static void *run_worker(void *argument)
{
    struct server_thread *thread = argument;
    int error = cpus_pin(thread->worker.cpu);

    if (error)
        server_fail("pinning a worker", error);
    /*
     * A descriptor table used by one thread is read without taking references to each file: two
     * atomic operations less in every system call. Best effort; a shared one works as well.
     */
    unshare(CLONE_FILES);
    thread->loop(&thread->worker);
    return NULL;
}

static void print_sum(const struct server_options *options, struct server_thread *threads,
                      const char *metric, size_t offset)
{
    struct bench_label label = {"server", options->name, "total"};
    uint64_t sum = 0;

    for (int i = 0; i < options->cpu_count; i++) {
        char *counters = (char *)&threads[i].worker.counters;

        sum += atomic_load_explicit((_Atomic uint64_t *)(counters + offset), memory_order_relaxed);
    }
    bench_report(&label, metric, "1", (double)sum);
}

static void print_counters(const struct server_options *options, struct server_thread *threads)
{
    print_sum(options, threads, "requests", offsetof(struct server_counters, requests));
    print_sum(options, threads, "bytes", offsetof(struct server_counters, bytes));
    print_sum(options, threads, "system_calls", offsetof(struct server_counters, system_calls));
    print_sum(options, threads, "connections", offsetof(struct server_counters, connections));
    print_sum(options, threads, "errors", offsetof(struct server_counters, errors));
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void start(const struct server_options *options, struct server_thread *threads,
                  server_loop *loop, const void *loop_options)
{
    uint16_t port = options->port;

    for (int i = 0; i < options->cpu_count; i++) {
        threads[i].loop = loop;
        threads[i].worker.options = loop_options;
        threads[i].worker.cpu = options->cpus[i];
        threads[i].worker.listener = make_listener(&port, options->nonblocking_listener);
    }
    printf("listening on 127.0.0.1:%u\n", port);
    fflush(stdout);
    for (int i = 0; i < options->cpu_count; i++) {
        pthread_t id;
        int error = pthread_create(&id, NULL, run_worker, &threads[i]);

        if (error)
            server_fail("pthread_create", error);
        pthread_detach(id);
    }
}

int server_run(const struct server_options *options, server_loop *loop, const void *loop_options)
{
    size_t bytes = (size_t)options->cpu_count * sizeof(struct server_thread);
    struct server_thread *threads = aligned_alloc(_Alignof(struct server_thread), bytes);
    sigset_t signals;
    int number;

    if (!threads)
        server_fail("threads", ENOMEM);
    memset(threads, 0, bytes);
    cpus_raise_open_files();
    block_signals(&signals);
    start(options, threads, loop, loop_options);
    do {
        if (sigwait(&signals, &number))
            continue;
        print_counters(options, threads);
    } while (number == SIGUSR1);
    _exit(0); /* the workers still run: nothing of theirs may be taken down under them */
}
