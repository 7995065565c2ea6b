/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

_Static_assert(HISTOGRAM_BUCKETS == 4352, "the bucket formula and the table's size must agree");

void histogram_reset(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    if (from->maximum > into->maximum)
        into->maximum = from->maximum;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

static double bucket_middle(unsigned bucket)
{
    unsigned shift;

    if (bucket < (2u << HISTOGRAM_SUB_BITS))
        return bucket;
    shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    return (double)(((uint64_t)(bucket - (shift << HISTOGRAM_SUB_BITS)) << shift) +
                    (1ull << shift) / 2);
}

double histogram_quantile(const struct histogram *h, double quantile)
{
    uint64_t wanted = (uint64_t)ceil(quantile * (double)h->count), seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && wanted; i++) {
        seen += h->buckets[i];
        if (seen >= wanted)
            return fmin(bucket_middle(i), (double)h->maximum);
    }
    return 0;
}
