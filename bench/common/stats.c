/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

static double middle(const double *sorted, size_t count)
{
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

size_t bench_median_rank(size_t count)
{
    /* Logarithms, because 2^-count leaves the range of a double for large counts. */
    double log_term = -(double)count * M_LN2, sum = 0;
    size_t k = 0;

    while (k < count / 2) {
        sum += exp(log_term);
        if (sum > 0.025)
            break;
        k++;
        log_term += log((double)(count - k + 1)) - log((double)k);
    }
    return k;
}

struct bench_summary bench_summarise(double *values, size_t count)
{
    size_t rank = bench_median_rank(count);
    struct bench_summary s = {.count = count};

    qsort(values, count, sizeof *values, compare);
    s.median = middle(values, count);
    s.minimum = values[0];
    s.maximum = values[count - 1];
    /* From the k-th smallest to the k-th largest value, k counted from 1. */
    s.low = values[rank ? rank - 1 : 0];
    s.high = values[count - (rank ? rank : 1)];
    for (size_t i = 0; i < count; i++)
        values[i] = fabs(values[i] - s.median);
    qsort(values, count, sizeof *values, compare);
    s.mad = middle(values, count);
    return s;
}
