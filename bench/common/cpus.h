/* SPDX-License-Identifier: MIT */
#ifndef BENCH_CPUS_H
#define BENCH_CPUS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define BENCH_MAX_CPUS 256

/* Reads "0", "0,2" or "0-3,7" into `cpus`. Returns how many, or -EINVAL / -E2BIG. */
int cpus_parse(const char *list, int cpus[BENCH_MAX_CPUS]);

/* Pins the calling thread. Returns 0 or -errno. */
int cpus_pin(int cpu);

/* Raises the soft limit of open files to the hard one and returns it. */
size_t cpus_raise_open_files(void);

static inline uint64_t bench_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
