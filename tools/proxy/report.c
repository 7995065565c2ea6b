/* SPDX-License-Identifier: MIT */
#include "proxy/proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What a shard copies of itself: at one moment, on its own thread. */
struct shard_report {
    struct proxy_counters counters;
    struct backends backends;
    uint64_t now_ns;
};

static int snapshot(void *arg)
{
    struct proxy *p = arg;
    int i = ouro_current_shard();

    p->reports[i] = (struct shard_report){.counters = p->shard[i].counters,
                                          .backends = p->shard[i].backends,
                                          .now_ns = ouro_now_ns()};
    return 0;
}

static void add(struct proxy_counters *sum, const struct proxy_counters *c)
{
#define ADD(name, text) sum->name += c->name;
    PROXY_COUNTERS(ADD)
#undef ADD
}

static void print_counters(const struct proxy_counters *c)
{
#define PRINT(name, text) printf(" " #name "=%" PRIu64, c->name);
    PROXY_COUNTERS(PRINT)
#undef PRINT
    printf("\n");
}

static void print_backend(unsigned shard, const struct backend *b, uint64_t now_ns)
{
    char text[OURO_ADDR_STRLEN];

    (void)!ouro_addr_format(b->addr, text, sizeof text);
    printf("shard %u: backend %s: %s active=%" PRIu64 " connected=%" PRIu64 " failed=%" PRIu64,
           shard, text, b->failures == 0 ? "up" : "down", b->active, b->connected, b->failed);
    if (b->failures != 0)
        printf(" failures=%u next_try_ms=%" PRIu64, b->failures,
               b->retry_ns > now_ns ? (b->retry_ns - now_ns) / OURO_NSEC_PER_MSEC : 0);
    printf("\n");
}

static void print_shard(unsigned number, const struct shard_report *r)
{
    printf("shard %u:", number);
    print_counters(&r->counters);
    for (size_t i = 0; i < r->backends.count; i++)
        print_backend(number, &r->backends.backend[i], r->now_ns);
}

int report_print(struct proxy *p)
{
    unsigned shards = ouro_shard_count();
    struct proxy_counters sum = {0};
    int error;

    p->reports = calloc(shards, sizeof *p->reports);
    if (p->reports == NULL)
        return -ENOMEM;
    error = ouro_on_each_shard(snapshot, p, "counters", NULL);
    for (unsigned i = 0; error == 0 && i < shards; i++) {
        print_shard(i, &p->reports[i]);
        add(&sum, &p->reports[i].counters);
    }
    if (error == 0) {
        printf("total:");
        print_counters(&sum);
        fflush(stdout);
    }
    free(p->reports);
    p->reports = NULL;
    return error;
}

void report_drain(const struct proxy *p, unsigned shards)
{
    struct proxy_counters sum = {0};

    for (unsigned i = 0; i < shards; i++)
        add(&sum, &p->shard[i].counters);
    printf("drained: %" PRIu64 " connections ended by themselves, %" PRIu64 " were reset\n",
           sum.drained, sum.aborted);
    fflush(stdout);
}
