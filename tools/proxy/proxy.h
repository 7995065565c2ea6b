/* SPDX-License-Identifier: MIT */
/* ouro-proxy: a TCP proxy in which no shard knows of the others.
 *
 *   struct proxy ──► config                     read by all, written by nobody after the start
 *              └───► struct proxy_shard, one each   owner only
 *                      ├─ listeners             service.c   accepting, the limit, the drain
 *                      ├─ struct backends       backends.c  balance, back-off
 *                      ├─ struct sources        sources.c   connections of each source
 *                      └─ counters              report.c    copied by their owner when asked for
 *
 * A connection is a fiber (relay.c) with everything it needs in its frame.
 */
#ifndef OURO_TOOLS_PROXY_H
#define OURO_TOOLS_PROXY_H

#include <ouro.h>

#include "common/cli.h"
#include "proxy/backends.h"
#include "proxy/sources.h"

#define PROXY_COUNTERS(X)                                                                          \
    X(accepted, "clients accepted")                                                                \
    X(active, "clients connected now")                                                             \
    X(refused, "clients reset because no backend was left for them")                               \
    X(over_source, "clients reset because their source had enough connections")                    \
    X(rate_pauses, "times accepting waited because clients came too fast")                         \
    X(to_backends, "bytes sent to backends")                                                       \
    X(to_clients, "bytes sent to clients")                                                         \
    X(connect_failures, "connects to backends that failed")                                        \
    X(idle_closed, "connections ended by the idle time-out")                                       \
    X(resets, "connections ended by a reset or an error of one side")                              \
    X(drained, "connections that ended by themselves while draining")                              \
    X(aborted, "connections reset at the end of draining, or by a second signal")

struct proxy_counters {
#define PROXY_COUNTER_FIELD(name, text) uint64_t name;
    PROXY_COUNTERS(PROXY_COUNTER_FIELD)
#undef PROXY_COUNTER_FIELD
};

struct proxy_config {
    struct cli_addrs listen, backends;
    enum balance balance;
    uint64_t connect_timeout_ns;
    uint64_t idle_timeout_ns; /* 0: never */
    uint64_t drain_timeout_ns;
    uint64_t max_connections;      /* of all shards together; 0: as descriptors allow */
    uint64_t max_per_source;       /* the same; 0: no limit */
    uint64_t max_rate;             /* new connections in a second; the same */
    struct ouro_privileges become; /* once the listeners are open; user NULL: nobody else */
};

struct proxy_shard {
    const struct proxy_config *config;
    struct ouro_scope clients; /* every connection of the shard */
    struct backends backends;
    struct sources sources;
    struct proxy_counters counters;
    uint64_t limit;        /* of counters.active */
    uint64_t turn_ns;      /* between two clients at the highest rate; 0: no limit */
    uint64_t next_turn_ns; /* up to which clients have used theirs */
    uint64_t drain_until_ns;
    struct ouro_timer room; /* ends when a connection does, or time passes, and accepting goes on */
    struct ouro_timer drain; /* ends when draining begins */
    bool draining;
    size_t listeners; /* that are open */
    ouro_listener listener[CLI_ADDRS_MAX];
} __attribute__((aligned(64)));

struct proxy {
    struct proxy_config config;
    struct shard_report *reports; /* of the shards, while a report is made */
    struct proxy_shard shard[OURO_MAX_SHARDS];
};

/* --- service.c: functions for ouro_on_each_shard(); arg is the struct proxy
 * ---------------------------------------- */

/* The most connections that `descriptors` direct descriptors of a shard have room for, and back. */
uint64_t service_room(uint64_t descriptors);
uint64_t service_descriptors(uint64_t connections);

/* Opens the listeners. An error leaves none open on this shard, `listeners` tells at which it
 * failed. */
int service_open(void *arg);
int service_close(void *arg);

/* Accepts and relays until service_drain() has been called and the last connection has ended. */
int service_run(void *arg);

int service_drain(void *arg);

/* --- relay.c ---------------------------------------- */

/* Takes over an accepted client. Never fails: one that cannot be served is reset and counted. */
void relay_start(struct proxy_shard *shard, ouro_conn client);

/* --- report.c ---------------------------------------- */

/* Prints the counters of every shard and their sums. Fiber only. */
int report_print(struct proxy *proxy);

/* Prints how the drain went, after it. */
void report_drain(const struct proxy *proxy, unsigned shards);

#endif
