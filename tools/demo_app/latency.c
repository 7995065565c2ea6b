/* SPDX-License-Identifier: MIT */
#include "latency.h"

/* Values below 32 have a bucket each; above, the five bits after the first one choose it. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned shift;

    if (ns < 1u << LATENCY_SUB_BITS)
        return (unsigned)ns;
    if (ns >> LATENCY_MAX_BITS != 0)
        return LATENCY_BUCKETS - 1;
    shift = 63u - (unsigned)__builtin_clzll(ns) - LATENCY_SUB_BITS;
    return (shift << LATENCY_SUB_BITS) + (unsigned)(ns >> shift);
}

/* The middle of the values that share a bucket. */
static uint64_t value_of(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2u << LATENCY_SUB_BITS)
        return bucket;
    shift = (bucket >> LATENCY_SUB_BITS) - 1;
    return ((uint64_t)(bucket - (shift << LATENCY_SUB_BITS)) << shift) +
           ((UINT64_C(1) << shift) / 2);
}

void latency_record(struct latency *l, uint64_t ns)
{
    l->count++;
    if (ns > l->longest_ns)
        l->longest_ns = ns;
    l->buckets[bucket_of(ns)]++;
}

void latency_merge(struct latency *into, const struct latency *from)
{
    into->count += from->count;
    if (from->longest_ns > into->longest_ns)
        into->longest_ns = from->longest_ns;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t latency_quantile_ns(const struct latency *l, double quantile)
{
    double wanted = quantile * (double)l->count;
    uint64_t seen = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        uint64_t ns = value_of(i);

        seen += l->buckets[i];
        if (seen != 0 && (double)seen >= wanted)
            return ns < l->longest_ns ? ns : l->longest_ns;
    }
    return 0;
}
