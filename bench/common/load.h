/* SPDX-License-Identifier: MIT */
/*
 * The load generator's inside. A run has a warm-up and a measured window, the same for all
 * threads; each thread (a client) owns its ring, its connections and its result.
 *
 *     main: options -> clients -> threads ... join -> merged result -> JSON lines
 *     client: connect -> barrier -> warm-up -> window opens -> window closes -> result
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "cpus.h"
#include "histogram.h"

#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>

struct load_options {
    struct sockaddr_in server;
    unsigned connections; /* of all threads together */
    unsigned bytes;       /* of a request, and of its answer */
    double warm_up_s;
    double seconds;
    bool verify;     /* compare the content, not only the length */
    bool open_close; /* a new connection for every request */
    int pid;         /* the server's, to read its CPU time; 0: not read */
    int cpus[BENCH_MAX_CPUS];
    int cpu_count;
    const char *bench;
    const char *subject;
};

/* What one client found inside the measured window. */
struct load_result {
    uint64_t requests;
    uint64_t errors;
    uint64_t window_ns;
    uint64_t server_cpu_ns; /* only from the first client, with a pid */
    struct histogram latency;
};

enum load_phase { LOAD_WARM_UP, LOAD_MEASURED, LOAD_DONE };

struct load_client {
    const struct load_options *options;
    pthread_barrier_t *start; /* passed when every client is connected */
    int cpu;
    unsigned connections;
    bool reads_server_cpu;
    clockid_t server_clock;
    struct io_uring ring;
    enum load_phase phase;
    uint64_t opens_ns; /* the window, by the monotonic clock: planned ... */
    uint64_t closes_ns;
    uint64_t opened_ns; /* ... and when it really was opened */
    uint64_t opened_cpu_ns;
    struct __kernel_timespec wake_up[2];
    struct load_result result;
};

/* user_data of the two time-outs that end the phases even when no answer comes. */
#define LOAD_TIMER UINT64_MAX

/* Run one client to its end, on its own pinned thread. What cannot go on ends the process. */
void load_echo(struct load_client *client);
void load_open_close(struct load_client *client);

/* Shared by the two. The request's bytes; every request is the same. */
const char *load_pattern(unsigned bytes);
void load_make_ring(struct load_client *client, unsigned entries);
struct io_uring_sqe *load_sqe(struct load_client *client);
/* Waits for the other clients, then plans the window and arms the time-outs. */
void load_start(struct load_client *client);
/* Submits, waits for a completion and moves the phase on. Returns the time, read once. */
uint64_t load_turn(struct load_client *client);
_Noreturn void load_fail(const char *what, int error);

static inline void load_record(struct load_client *client, uint64_t latency_ns)
{
    if (client->phase != LOAD_MEASURED)
        return;
    client->result.requests++;
    histogram_record(&client->result.latency, latency_ns);
}

#endif
