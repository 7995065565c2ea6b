/* SPDX-License-Identifier: MIT */
/* Backends as one shard sees them: which to try next, and which to leave alone for a while.
 *
 *            connect fails: wait, twice as long each time
 *          ┌──────────────────────────────────────────────┐
 *      ┌───┴──┐                                       ┌────▼───┐  wait is over, one client tries
 *      │  UP  │◄──────────────────────────────────────┤  DOWN  ├─────────────┐
 *      └──────┘        connect succeeds               └────▲───┘             │
 *                                                          └─ connect fails ─┘
 */
#ifndef OURO_TOOLS_PROXY_BACKENDS_H
#define OURO_TOOLS_PROXY_BACKENDS_H

#include <ouro.h>

#include "common/cli.h"

#define BACKOFF_FIRST_NS (100 * OURO_NSEC_PER_MSEC)
#define BACKOFF_LAST_NS  (5 * OURO_NSEC_PER_SEC)

enum balance { BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS, BALANCE_SOURCE_HASH };

struct backend {
    const struct ouro_addr *addr;
    uint64_t active;    /* connections, and connects that are under way */
    uint64_t connected; /* how often a connect succeeded */
    uint64_t failed;    /* how often one failed */
    uint64_t retry_ns;  /* DOWN: not before */
    uint32_t failures;  /* in a row; 0: UP */
    bool trying;        /* DOWN: a client is finding out */
};

_Static_assert(CLI_ADDRS_MAX <= 32, "backends_choose() keeps those it tried in 32 bits");

struct backends {
    enum balance balance;
    size_t count;
    size_t next; /* where the next search begins */
    struct backend backend[CLI_ADDRS_MAX];
};

/* `first`: where round-robin begins, so that shards with few connections each do not all begin with
 * the same one. */
void backends_init(struct backends *b, const struct cli_addrs *addrs, enum balance balance,
                   size_t first);

/* The backend to try for a client whose address hashes to `source` (only read by source-hash),
 * counted as active from here on; NULL: none is left. `tried` has a bit for each that was tried in
 * vain. */
struct backend *backends_choose(struct backends *b, uint64_t source, uint32_t *tried);

/* What became of the choice. `error`: of the connect. An error that is this machine's or the
 * caller's own says nothing about the backend. */
void backend_connected(struct backend *b);
void backend_failed(struct backend *b, int error);

/* The connection has ended. */
void backend_left(struct backend *b);

/* How long it is left alone after so many failures in a row. */
uint64_t backend_backoff_ns(uint32_t failures);

#endif
