/* SPDX-License-Identifier: MIT */
/* The load client: keep-alive connections on every shard, each a fiber that sends a request, checks
 * the answer to the last byte, and sends the next one. */
#ifndef OURO_TOOLS_DEMO_LOAD_H
#define OURO_TOOLS_DEMO_LOAD_H

#include <ouro.h>

#include "latency.h"

struct load_plan {
    struct ouro_addr target;
    unsigned connections;
    uint64_t end_ns; /* no request is begun after this */
};

/* What happened since the last sample. */
struct load_sample {
    struct latency latency; /* of the requests that succeeded */
    uint64_t errors;        /* requests and connects that did not */
};

/* For ouro_on_each_shard(): this shard's part of the connections, until plan.end_ns. What is not
 * answered five seconds after that is given up and counts as an error. */
int load_run(void *arg);

/* Collects and resets every shard's numbers, into *out. Fiber of shard 0; 0 or -errno. */
int load_sample(struct load_sample *out);

#endif
