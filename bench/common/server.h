/* SPDX-License-Identifier: MIT */
/*
 * What the baseline servers share, so that they differ only in their loops: options, listeners,
 * one pinned thread per CPU, counters printed on SIGUSR1 and at the end.
 *
 *     main thread: options -> listeners -> "listening on 127.0.0.1:PORT" -> threads -> waits for
 *                  signals: SIGUSR1 prints the counters, SIGTERM and SIGINT print them and end
 *     workers:     one listener each (SO_REUSEPORT), run until the process ends
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "cpus.h"

#include <argp.h>
#include <stdatomic.h>
#include <stdint.h>

/* Written by one worker each, with server_count() only; read by the main thread at any time. */
struct server_counters {
    _Alignas(64) _Atomic uint64_t requests; /* pieces received and sent back completely */
    _Atomic uint64_t bytes;                 /* sent */
    _Atomic uint64_t system_calls;          /* made by the worker's loop */
    _Atomic uint64_t connections;           /* accepted */
    _Atomic uint64_t errors;                /* of accepting, receiving, sending */
};

/* Relaxed is enough: each counter stands for itself, nothing is published with it. */
static inline void server_count(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, now + more, memory_order_relaxed);
}

struct server_worker {
    struct server_counters counters;
    const void *options; /* the program's own, as given to server_run() */
    int listener;        /* non-blocking when asked for; TCP_NODELAY is inherited from it */
    int cpu;
};

struct server_options {
    const char *name; /* stands as the subject in what is printed */
    uint16_t port;    /* 0: chosen by the kernel and printed */
    int cpus[BENCH_MAX_CPUS];
    int cpu_count;
    int nonblocking_listener;
};

/* Runs on a pinned thread with a descriptor table of its own. Does not return while all is well. */
typedef void server_loop(struct server_worker *worker);

/*
 * --listen-port PORT and --cpus LIST, as a child of the program's own argp. The program sets
 * state->child_inputs[0] to its struct server_options at ARGP_KEY_INIT.
 */
extern const struct argp server_argp;

/* A number from an option's text within [low, high]; ends the program with a message otherwise. */
unsigned long server_number(struct argp_state *state, const char *text, unsigned long low,
                            unsigned long high);

/* Serves until SIGTERM or SIGINT. Returns the exit status. */
int server_run(const struct server_options *options, server_loop *loop, const void *loop_options);

/* Says why a worker cannot work, and ends the process with status 1. */
_Noreturn void server_fail(const char *what, int error);

#endif
