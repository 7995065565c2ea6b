/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SUBJECTS   16
#define MAX_ROUNDS     10000
#define MAX_OPERATIONS (UINT64_C(1) << 40)

static const struct argp_option bench_options[] = {
    {"rounds", 'r', "N", 0, "measured rounds per subject (31)", 0},
    {"round-ms", 't', "N", 0, "aimed length of a round (20)", 0},
    {"warm-up", 'w', "N", 0, "rounds before the measured ones (2)", 0},
    {"cpu", 'c', "N", 0, "CPU to pin to, -1: none (the last allowed one)", 0},
    {"only", 'o', "TEXT", 0, "only parameters that contain TEXT", 0},
    {0},
};

static long number(struct argp_state *state, const char *text, long low, long high)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (end == text || *end || n < low || n > high)
        argp_error(state, "'%s' is not a number from %ld to %ld", text, low, high);
    return n;
}

static error_t bench_option(int key, char *text, struct argp_state *state)
{
    struct bench *bench = state->input;

    switch (key) {
    case 'r':
        bench->rounds = (unsigned)number(state, text, 1, MAX_ROUNDS);
        break;
    case 't':
        bench->round_ns = (uint64_t)number(state, text, 1, 60000) * 1000000;
        break;
    case 'w':
        bench->warm_up = (unsigned)number(state, text, 0, MAX_ROUNDS);
        break;
    case 'c':
        bench->cpu = (int)number(state, text, -1, CPU_SETSIZE - 1);
        break;
    case 'o':
        bench->only = text;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static int last_allowed_cpu(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set))
        return -1;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
        if (CPU_ISSET(cpu, &set))
            return cpu;
    return -1;
}

void bench_init(struct bench *bench, const char *name, int argc, char **argv)
{
    static const struct argp argp = {.options = bench_options, .parser = bench_option};
    int error;

    *bench = (struct bench){
        .name = name,
        .rounds = 31,
        .warm_up = 2,
        .round_ns = 20000000,
        .cpu = last_allowed_cpu(),
    };
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, bench);
    if (bench->cpu < 0)
        return;
    error = cpus_pin(bench->cpu);
    if (error) {
        fprintf(stderr, "%s: cannot pin to CPU %d: %s\n", name, bench->cpu, strerror(-error));
        exit(2);
    }
}

/* Nanoseconds of one run, or BENCH_FAILED. Never 0, so that it can be divided by. */
static uint64_t run_once(const struct bench_subject *subject, uint64_t operations)
{
    uint64_t start = bench_now_ns();
    uint64_t own = subject->run(subject->context, operations);
    uint64_t whole = bench_now_ns() - start;

    if (own)
        return own;
    return whole ? whole : 1;
}

/* The number of operations that fill a round: grown until a run is long enough to extrapolate. */
static uint64_t calibrate(const struct bench *bench, const struct bench_subject *subject)
{
    uint64_t operations = 1;

    while (!subject->operations) {
        uint64_t ns = run_once(subject, operations);

        if (ns == BENCH_FAILED)
            return 0;
        if (ns >= bench->round_ns || operations >= MAX_OPERATIONS)
            return operations;
        if (ns >= bench->round_ns / 16) {
            double scaled = (double)operations * (double)bench->round_ns / (double)ns;

            return scaled < 1 ? 1 : (uint64_t)scaled;
        }
        operations *= 4;
    }
    return subject->operations;
}

/* values[s * rounds + r]: nanoseconds per operation of subject s in round r. */
static int measure(const struct bench *bench, const struct bench_subject *subjects, size_t count,
                   double *values)
{
    uint64_t operations[MAX_SUBJECTS];

    for (size_t s = 0; s < count; s++) {
        operations[s] = calibrate(bench, &subjects[s]);
        for (unsigned r = 0; r < bench->warm_up && operations[s]; r++)
            if (run_once(&subjects[s], operations[s]) == BENCH_FAILED)
                operations[s] = 0;
        if (!operations[s])
            return -EIO;
    }
    for (unsigned r = 0; r < bench->rounds; r++) {
        for (size_t i = 0; i < count; i++) {
            size_t s = r % 2 ? count - 1 - i : i;
            uint64_t ns = run_once(&subjects[s], operations[s]);

            if (ns == BENCH_FAILED)
                return -EIO;
            values[s * bench->rounds + r] = (double)ns / (double)operations[s];
        }
    }
    return 0;
}

static void print_results(const struct bench *bench, const char *parameter,
                          const struct bench_subject *subjects, size_t count, double *values)
{
    unsigned rounds = bench->rounds;

    /* From the last to the first: summarising overwrites, and the first is everyone's divisor. */
    for (size_t s = count; s-- > 0;) {
        struct bench_label label = {bench->name, subjects[s].name, parameter};
        double *own = values + s * rounds, *ratios = values + count * rounds;
        struct bench_summary summary;

        for (unsigned r = 0; r < rounds; r++)
            ratios[r] = own[r] / values[r];
        summary = bench_summarise(own, rounds);
        bench_report_summary(&label, "time", "ns", &summary);
        if (!s)
            break;
        summary = bench_summarise(ratios, rounds);
        bench_report_summary(&label, "ratio_to_first", "1", &summary);
    }
}

int bench_compare(struct bench *bench, const char *parameter, const struct bench_subject *subjects,
                  size_t count)
{
    double *values;
    int error;

    if (bench->only && !strstr(parameter, bench->only))
        return 1;
    if (!count || count > MAX_SUBJECTS)
        return -EINVAL;
    values = calloc((count + 1) * bench->rounds, sizeof *values);
    error = values ? measure(bench, subjects, count, values) : -ENOMEM;
    if (!error)
        print_results(bench, parameter, subjects, count, values);
    else
        bench->failures++;
    free(values);
    return error;
}

void bench_value(const struct bench *bench, const char *subject, const char *parameter,
                 const char *metric, const char *unit, double value)
{
    struct bench_label label = {bench->name, subject, parameter};

    bench_report(&label, metric, unit, value);
}

int bench_finish(const struct bench *bench)
{
    return bench->failures ? 1 : 0;
}
