/* SPDX-License-Identifier: MIT */
/*
 * The harness of the micro benchmarks.
 *
 *     static uint64_t push_pop(void *context, uint64_t operations)
 *     {
 *         struct queue *q = context;
 *
 *         for (uint64_t i = 0; i < operations; i++) { ... bench_keep(value); }
 *         return 0;                                   // 0: the harness times the call
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct queue bare = ..., ours = ...;
 *         struct bench_subject subjects[] = {
 *             {"bare", push_pop_bare, &bare},         // the first one is what others are held to
 *             {"ouro", push_pop, &ours},
 *         };
 *         struct bench bench;
 *
 *         bench_init(&bench, "queue", argc, argv);
 *         bench_compare(&bench, "128", subjects, 2);
 *         return bench_finish(&bench);
 *     }
 *
 * How it measures: the calling thread is pinned; every subject is warmed up, and its number of
 * operations per round is found so that a round takes about `round_ns`; then all subjects take
 * turns for `rounds` rounds, in an order that is reversed every round, so that neighbouring runs
 * see the same machine. Printed per subject: nanoseconds per operation (median over the rounds,
 * min, mad, 95 % interval); and for every subject but the first the ratio to the first within the
 * same round (median of ratios, not ratio of medians).
 *
 * Command line of every program: --rounds N (default 31), --round-ms N (20), --warm-up N rounds
 * (2), --cpu N (the last allowed one; -1 leaves the thread alone), --only TEXT (parameters
 * containing TEXT).
 *
 * Thread: everything from the one thread that called bench_init(). Stack: a fiber may call
 * bench_compare(); it needs less than 2 KiB beside what the subject uses.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "cpus.h"
#include "report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench {
    const char *name;
    const char *only;
    unsigned rounds;
    unsigned warm_up;
    uint64_t round_ns;
    int cpu;
    int failures; /* subjects that could not be measured; bench_finish() turns it into a status */
};

/*
 * Performs `operations` operations. Returns 0 when the whole call is to be timed, or, when it does
 * set-up that must not count, the nanoseconds which the operations themselves took
 * (bench_now_ns() before and after). BENCH_FAILED: could not run; the reason is on stderr.
 */
typedef uint64_t bench_function(void *context, uint64_t operations);

#define BENCH_FAILED UINT64_MAX

struct bench_subject {
    const char *name;
    bench_function *run;
    void *context;
    uint64_t operations; /* per round; 0: as many as fill round_ns. Fixed ones are not searched */
};

/* Reads the command line and pins the thread. Ends the program (status 2) on a wrong option. */
void bench_init(struct bench *bench, const char *name, int argc, char **argv);

/*
 * Measures `count` subjects (1 to 16) under one parameter and prints their lines. Returns 0, 1 when
 * --only excludes the parameter, or -errno; a failure is counted in `bench`.
 */
int bench_compare(struct bench *bench, const char *parameter, const struct bench_subject *subjects,
                  size_t count);

/* A value that a program found by itself (bytes per task, system calls per turn). */
void bench_value(const struct bench *bench, const char *subject, const char *parameter,
                 const char *metric, const char *unit, double value);

/* The program's exit status: 0, or 1 when a subject failed. */
int bench_finish(const struct bench *bench);

/* Makes the compiler believe that `value` is used, and costs nothing else. */
#define bench_keep(value) __asm__ volatile("" : : "g"(value) : "memory")

#endif
