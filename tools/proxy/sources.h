/* SPDX-License-Identifier: MIT */
/* How many connections each source has: a table with open addressing, made at the start for as many
 * as there can be at once.
 *
 * A source is an IPv4 address, or the first 64 bits of an IPv6 one: that is what one subscriber
 * gets to choose addresses from. Clients of a Unix socket are one source. */
#ifndef OURO_TOOLS_PROXY_SOURCES_H
#define OURO_TOOLS_PROXY_SOURCES_H

#include <ouro.h>

struct source {
    uint64_t net;   /* IPv4 in ::ffff:0:0/96 as its own 64 bits, else the first half of IPv6 */
    uint32_t count; /* connections; 0: the entry is free */
};

struct sources {
    struct source *entry; /* NULL: nobody asked for a limit */
    uint32_t mask;
    uint32_t limit;
    uint32_t used; /* entries */
};

/* `limit` 0: none. `most`: connections at once. 0 or -ENOMEM. */
int sources_init(struct sources *s, uint32_t limit, uint64_t most);
void sources_free(struct sources *s);

/* Counts one more of that source. False: it has its limit already, or there are twice as many
 * sources as there can be connections. */
bool sources_enter(struct sources *s, const struct ouro_addr *addr);

/* One that had entered has left. */
void sources_leave(struct sources *s, const struct ouro_addr *addr);

#endif
