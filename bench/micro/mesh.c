/* SPDX-License-Identifier: MIT */
/*
 * What it costs to reach another shard: the round trip of an empty call between two shards that
 * spin, and between two that sleep; and the throughput of messages whose function the other runs.
 * Held against two threads without a runtime in the same run: a pair of cache lines, a ring of
 * cells of 64 bytes, and the better of the two ways to wake a ring.
 */
#include "common/harness.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "shard/wake_trial.h"

#include <ouro.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned here, there; /* CPUs */

static void pin(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* --- bare: a pair of cache lines ---------------------------------------------------------------
 */

static struct {
    _Alignas(128) _Atomic uint64_t ping;
    _Alignas(128) _Atomic uint64_t pong;
} lines;

static void *answer(void *arg)
{
    uint64_t n = *(uint64_t *)arg;

    pin(there);
    for (uint64_t i = 1; i <= n; i++) {
        while (load_acquire(&lines.ping) != i) /* pairs with bare_lines() */
            cpu_relax();
        store_release(&lines.pong, i); /* pairs with bare_lines() */
    }
    return NULL;
}

static uint64_t bare_lines(void *context, uint64_t operations)
{
    pthread_t thread;
    uint64_t begin = 0;

    (void)context;
    operations += 1; /* the first one waits for the thread */
    store_relaxed(&lines.ping, 0);
    store_relaxed(&lines.pong, 0);
    if (pthread_create(&thread, NULL, answer, &operations) != 0)
        return BENCH_FAILED;
    for (uint64_t i = 1; i <= operations; i++) {
        store_release(&lines.ping, i);         /* pairs with answer() */
        while (load_acquire(&lines.pong) != i) /* pairs with answer() */
            cpu_relax();
        if (i == 1)
            begin = clock_now_ns();
    }
    begin = clock_now_ns() - begin;
    pthread_join(thread, NULL);
    return begin;
}

/* --- bare: a ring of cells ---------------------------------------------------------------------
 */

#define CELLS 256

static struct {
    _Alignas(128) _Atomic uint64_t tail;
    _Alignas(128) _Atomic uint64_t head;
    _Alignas(128) struct {
        uint64_t word[8];
    } cell[CELLS];
} ring;

static uint64_t consumed;

static void *consume(void *arg)
{
    uint64_t n = *(uint64_t *)arg, at = 0, seen = 0, sum = 0;

    pin(there);
    while (at < n) {
        while ((seen = load_acquire(&ring.tail)) == at) /* pairs with bare_cells() */
            cpu_relax();
        for (; at < seen; at++)
            sum += ring.cell[at % CELLS].word[0];
        store_release(&ring.head, at); /* pairs with bare_cells() */
    }
    consumed = sum;
    return NULL;
}

/* Batches of 64: about what a turn sends. */
static uint64_t bare_cells(void *context, uint64_t operations)
{
    uint64_t begin, head = 0;
    pthread_t thread;

    (void)context;
    store_relaxed(&ring.tail, 0);
    store_relaxed(&ring.head, 0);
    if (pthread_create(&thread, NULL, consume, &operations) != 0)
        return BENCH_FAILED;
    begin = clock_now_ns();
    for (uint64_t i = 0; i < operations; i++) {
        while (i - head == CELLS)
            head = load_acquire(&ring.head); /* pairs with consume() */
        for (int k = 0; k < 8; k++)
            ring.cell[i % CELLS].word[k] = i;
        if (i % 64 == 63 || i == operations - 1)
            store_release(&ring.tail, i + 1); /* pairs with consume() */
    }
    pthread_join(thread, NULL);
    return clock_now_ns() - begin;
}

/* --- ours --------------------------------------------------------------------------------------
 */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static uint64_t calls(void *context, uint64_t operations)
{
    (void)context;
    for (uint64_t i = 0; i < operations; i++)
        if (ouro_call(1, nothing, NULL, 0) != 0)
            return BENCH_FAILED;
    return 0;
}

static uint64_t sum;

static int add(void *arg)
{
    sum += *(uint64_t *)arg; /* on shard 1 alone */
    return 0;
}

static uint64_t posts(void *context, uint64_t operations)
{
    uint64_t arg[4] = {0};

    (void)context;
    for (uint64_t i = 0; i < operations; i++) {
        arg[0] = i;
        if (ouro_post(1, add, arg, sizeof arg) != 0)
            return BENCH_FAILED;
        if (i % 64 == 63 && ouro_yield() != 0)
            return BENCH_FAILED;
    }
    return ouro_call(1, nothing, NULL, 0) != 0 ? BENCH_FAILED : 0; /* all have been run */
}

static int spinning_main(void *arg)
{
    struct bench *bench = arg;
    const struct bench_subject trips[] = {{.name = "cache-lines", .run = bare_lines},
                                          {.name = "call", .run = calls}};
    const struct bench_subject ways[] = {{.name = "cells", .run = bare_cells},
                                         {.name = "post", .run = posts}};

    bench_compare(bench, "round-trip-spinning", trips, 2);
    bench_compare(bench, "one-way-64-bytes", ways, 2);
    return 0;
}

static uint64_t bare_wakes(void *context, uint64_t operations)
{
    struct wake_trial t;
    uint64_t sum_ns = 0;

    (void)context;
    for (uint64_t i = 0; i < operations; i += WAKE_TRIAL_ROUNDS) {
        wake_trial(&t, here, there);
        if (t.round_trip_ns[t.better] == UINT64_MAX)
            return BENCH_FAILED;
        sum_ns += t.round_trip_ns[t.better] * WAKE_TRIAL_ROUNDS;
    }
    return sum_ns;
}

static int sleeping_main(void *arg)
{
    const struct bench_subject wakes[] = {
        {.name = "bare-wake", .run = bare_wakes, .operations = 10 * WAKE_TRIAL_ROUNDS},
        {.name = "call", .run = calls, .operations = 10 * WAKE_TRIAL_ROUNDS}};

    bench_compare(arg, "round-trip-asleep", wakes, 2);
    return 0;
}

static int run(struct bench *bench, uint64_t spin_ns, ouro_task_fn *main_fn)
{
    char cpus[32];
    struct ouro_options o = {.size = sizeof o, .spin_ns = spin_ns, .cpus = cpus};
    int error;

    snprintf(cpus, sizeof cpus, "%u,%u", here, there);
    error = ouro_run(&o, main_fn, bench, NULL);
    if (error != 0)
        fprintf(stderr, "bench-mesh: %s\n", ouro_start_error());
    return error;
}

int main(int argc, char **argv)
{
    struct bench bench;
    cpu_set_t all, one;

    sched_getaffinity(0, sizeof all, &all);
    bench_init(&bench, "mesh", argc, argv);
    sched_getaffinity(0, sizeof one, &one);
    if (CPU_COUNT(&all) < 2) {
        fprintf(stderr, "bench-mesh: needs two CPUs\n");
        return 1;
    }
    while (!CPU_ISSET(here, &one))
        here++;
    while (!CPU_ISSET(there, &all) || there == here)
        there++;
    sched_setaffinity(0, sizeof all, &all);
    if (run(&bench, OURO_NSEC_PER_MSEC, spinning_main) != 0 || run(&bench, 0, sleeping_main) != 0)
        return 1;
    return bench_finish(&bench);
}
