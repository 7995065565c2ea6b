/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000u

void load_fail(const char *what, int error)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

const char *load_pattern(unsigned bytes)
{
    unsigned char *pattern = malloc(bytes);

    if (!pattern)
        load_fail("pattern", ENOMEM);
    for (unsigned i = 0; i < bytes; i++)
        pattern[i] = (unsigned char)(i * 31 + (i >> 8) * 7 + 1);
    return (const char *)pattern;
}

void load_make_ring(struct load_client *client, unsigned entries)
{
    unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE;
    struct io_uring_params params = {
        .flags = flags | IORING_SETUP_NO_SQARRAY,
        .cq_entries = 16384,
    };
    int error = io_uring_queue_init_params(entries, &client->ring, &params);

    if (error == -EINVAL) {
        params = (struct io_uring_params){.flags = flags, .cq_entries = 16384};
        error = io_uring_queue_init_params(entries, &client->ring, &params);
    }
    if (error)
        load_fail("io_uring_setup", error);
    io_uring_register_ring_fd(&client->ring);
}

static void check_enter(int result)
{
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
        load_fail("io_uring_enter", result);
}

struct io_uring_sqe *load_sqe(struct load_client *client)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&client->ring);

    while (!sqe) {
        check_enter(io_uring_submit(&client->ring));
        sqe = io_uring_get_sqe(&client->ring);
    }
    return sqe;
}

static void arm_timer(struct load_client *client, struct __kernel_timespec *t, uint64_t at_ns)
{
    struct io_uring_sqe *sqe = load_sqe(client);

    t->tv_sec = (long long)(at_ns / SECOND);
    t->tv_nsec = (long long)(at_ns % SECOND);
    io_uring_prep_timeout(sqe, t, 0, IORING_TIMEOUT_ABS);
    sqe->user_data = LOAD_TIMER;
}

void load_start(struct load_client *client)
{
    const struct load_options *options = client->options;

    pthread_barrier_wait(client->start);
    client->opens_ns = bench_now_ns() + (uint64_t)(options->warm_up_s * SECOND);
    client->closes_ns = client->opens_ns + (uint64_t)(options->seconds * SECOND);
    arm_timer(client, &client->wake_up[0], client->opens_ns);
    arm_timer(client, &client->wake_up[1], client->closes_ns);
}

static uint64_t server_cpu_ns(const struct load_client *client)
{
    struct timespec t;

    if (!client->reads_server_cpu)
        return 0;
    if (clock_gettime(client->server_clock, &t))
        load_fail("the server's CPU time", errno);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

uint64_t load_turn(struct load_client *client)
{
    uint64_t now;

    check_enter(io_uring_submit_and_wait(&client->ring, 1));
    now = bench_now_ns();
    if (client->phase == LOAD_WARM_UP && now >= client->opens_ns) {
        client->phase = LOAD_MEASURED;
        client->opened_ns = now;
        client->opened_cpu_ns = server_cpu_ns(client);
    } else if (client->phase == LOAD_MEASURED && now >= client->closes_ns) {
        client->phase = LOAD_DONE;
        client->result.server_cpu_ns = server_cpu_ns(client) - client->opened_cpu_ns;
        client->result.window_ns = now - client->opened_ns;
    }
    return now;
}
