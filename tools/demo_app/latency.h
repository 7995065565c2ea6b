/* SPDX-License-Identifier: MIT */
/* How long requests took: a histogram of fixed size with 32 buckets for each power of two, so that
 * a quantile is right to within 3 %. Written by one shard; others look at copies. */
#ifndef OURO_TOOLS_DEMO_LATENCY_H
#define OURO_TOOLS_DEMO_LATENCY_H

#include <stdint.h>

#define LATENCY_SUB_BITS 5
#define LATENCY_MAX_BITS 36 /* a minute; what took longer counts as that */
#define LATENCY_BUCKETS  ((LATENCY_MAX_BITS - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS)

struct latency {
    uint64_t count;
    uint64_t longest_ns;
    uint64_t buckets[LATENCY_BUCKETS];
};

void latency_record(struct latency *l, uint64_t ns);
void latency_merge(struct latency *into, const struct latency *from);

/* 0 < quantile <= 1; 0 when nothing was recorded. */
uint64_t latency_quantile_ns(const struct latency *l, double quantile);

#endif
