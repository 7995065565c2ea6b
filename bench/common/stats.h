/* SPDX-License-Identifier: MIT */
/*
 * Statistics that survive a noisy machine: the median, its interval by order statistics, the
 * median absolute deviation. None of them assumes a distribution.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct bench_summary {
    double median;
    double minimum;
    double maximum;
    double mad;  /* median absolute deviation from the median */
    double low;  /* interval that holds the true median with at least 95 % ... */
    double high; /* ... once there are 6 values; below that simply the whole range */
    size_t count;
};

/* Summarises `count` values (count >= 1). Sorts `values` in place and then overwrites them. */
struct bench_summary bench_summarise(double *values, size_t count);

/*
 * The k for which the k-th smallest and the k-th largest of `count` values enclose the true median
 * with at least 95 %: the largest k with P(Binomial(count, 1/2) < k) <= 2.5 %. 0: there is none.
 */
size_t bench_median_rank(size_t count);

#endif
