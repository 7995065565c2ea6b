/* SPDX-License-Identifier: MIT */
#include "proxy/sources.h"

#include <stdlib.h>
#include <string.h>

int sources_init(struct sources *s, uint32_t limit, uint64_t most)
{
    uint64_t entries = 16;

    *s = (struct sources){.limit = limit};
    if (limit == 0)
        return 0;
    while (entries < 2 * most) /* at most half full */
        entries *= 2;
    s->entry = calloc(entries, sizeof *s->entry);
    s->mask = (uint32_t)(entries - 1);
    return s->entry != NULL ? 0 : -ENOMEM;
}

void sources_free(struct sources *s)
{
    free(s->entry);
    *s = (struct sources){0};
}

static uint64_t net_of(const struct ouro_addr *addr)
{
    uint64_t net = 0;

    if (ouro_addr_family(addr) == AF_INET)
        return (UINT64_C(0xffff) << 32) | ntohl(addr->in4.sin_addr.s_addr);
    if (ouro_addr_family(addr) != AF_INET6)
        return UINT64_MAX;
    if (IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr)) {
        uint32_t v4;

        memcpy(&v4, &addr->in6.sin6_addr.s6_addr[12], sizeof v4);
        return (UINT64_C(0xffff) << 32) | ntohl(v4);
    }
    memcpy(&net, &addr->in6.sin6_addr, sizeof net);
    return net;
}

/* Where the search for it begins. Mixed, so that neighbours do not crowd one place. */
static uint32_t home(const struct sources *s, uint64_t net)
{
    return (uint32_t)((net * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & s->mask;
}

/* Its entry, or the free one where it belongs. */
static struct source *find(const struct sources *s, uint64_t net)
{
    uint32_t i = home(s, net);

    while (s->entry[i].count != 0 && s->entry[i].net != net)
        i = (i + 1) & s->mask;
    return &s->entry[i];
}

/* Closes the gap that a source leaves: what was pushed past it moves back. */
static void remove_entry(struct sources *s, uint32_t gap)
{
    for (uint32_t i = (gap + 1) & s->mask; s->entry[i].count != 0; i = (i + 1) & s->mask) {
        uint32_t from_home = (i - home(s, s->entry[i].net)) & s->mask;

        if (from_home >= ((i - gap) & s->mask)) {
            s->entry[gap] = s->entry[i];
            gap = i;
        }
    }
    s->entry[gap].count = 0;
}

bool sources_enter(struct sources *s, const struct ouro_addr *addr)
{
    uint64_t net = net_of(addr);
    struct source *e = find(s, net);

    if (e->count >= s->limit || (e->count == 0 && s->used == s->mask))
        return false;
    s->used += e->count == 0;
    e->net = net;
    e->count++;
    return true;
}

void sources_leave(struct sources *s, const struct ouro_addr *addr)
{
    struct source *e = find(s, net_of(addr));

    if (--e->count == 0) {
        s->used--;
        remove_entry(s, (uint32_t)(e - s->entry));
    }
}
