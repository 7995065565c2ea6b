/* SPDX-License-Identifier: MIT */
/* From topology and policy to CPUs. */
#include "topo/topo.h"
#include "base/check.h"
#include "base/quote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS OURO_TOPOLOGY_CPUS
#define KEYS 7

/* A CPU that can be chosen, and what it is sorted by, most significant first. */
struct pick {
    const struct ouro_topology_cpu *cpu;
    unsigned key[KEYS];
};

/* How many were chosen in each. L3 caches count on after the last for CPUs without. */
struct chosen {
    uint16_t core[CPUS], l3[CPUS + OURO_TOPOLOGY_NODES], node[CPUS], package[CPUS];
};

struct placing {
    const struct ouro_topology *topology;
    const struct ouro_cpus *want;
    struct pick pick[CPUS];
    unsigned n;
    struct chosen chosen;
};

static int by_key(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;

    for (unsigned i = 0; i < KEYS; i++)
        if (x->key[i] != y->key[i])
            return x->key[i] < y->key[i] ? -1 : 1;
    return (x->cpu->number > y->cpu->number) - (x->cpu->number < y->cpu->number);
}

static void sort(struct placing *p)
{
    qsort(p->pick, p->n, sizeof p->pick[0], by_key);
}

/* --- orders ---------------------------------------------------------------------------------- */

/* One of each core, the fast ones first. */
static void order_cores(struct placing *p)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < p->n; i++) {
        struct pick *x = &p->pick[i];

        if (p->chosen.core[x->cpu->core]++ != 0)
            continue;
        x->key[0] = x->cpu->kind;
        p->pick[kept++] = *x;
    }
    p->n = kept;
    sort(p);
}

static unsigned index_of_node(const struct ouro_topology *t, unsigned number)
{
    for (unsigned i = 0; i < t->node_count; i++)
        if (t->nodes[i].number == number)
            return i;
    return t->node_count;
}

static unsigned distance(const struct ouro_topology *t, unsigned from, unsigned to)
{
    unsigned i = index_of_node(t, from), j = index_of_node(t, to);

    return t->distances != NULL && i < t->node_count && j < t->node_count
               ? t->distances[i * t->node_count + j]
               : 0;
}

static void compact_keys(struct pick *x, unsigned away)
{
    const struct ouro_topology_cpu *c = x->cpu;
    const unsigned key[KEYS] = {c->kind, away, c->package, c->node, c->l3, c->core, c->thread};

    memcpy(x->key, key, sizeof key);
}

/* From the node of the first CPU on to the nearest ones. */
static void order_compact(struct placing *p)
{
    unsigned first;

    for (unsigned i = 0; i < p->n; i++)
        compact_keys(&p->pick[i], 0);
    sort(p);
    first = p->pick[0].cpu->node;
    for (unsigned i = 0; i < p->n; i++)
        compact_keys(&p->pick[i], distance(p->topology, first, p->pick[i].cpu->node));
    sort(p);
}

static void spread_keys(struct pick *x, const struct chosen *chosen)
{
    const struct ouro_topology_cpu *c = x->cpu;
    const unsigned key[KEYS] = {chosen->core[c->core], c->kind, chosen->package[c->package],
                                chosen->node[c->node], chosen->l3[c->l3]};

    memcpy(x->key, key, sizeof key);
}

/* The next CPU is always one on the core, of the package, of the node, of the L3 cache that has the
 * fewest so far. A sibling of a fast core comes after the slow cores. */
static void order_spread(struct placing *p)
{
    for (unsigned done = 0; done < p->n; done++) {
        struct pick *best = &p->pick[done], next;

        for (unsigned i = done; i < p->n; i++) {
            spread_keys(&p->pick[i], &p->chosen);
            if (by_key(&p->pick[i], best) < 0)
                best = &p->pick[i];
        }
        next = *best;
        *best = p->pick[done];
        p->pick[done] = next;
        p->chosen.core[next.cpu->core]++;
        p->chosen.package[next.cpu->package]++;
        p->chosen.node[next.cpu->node]++;
        p->chosen.l3[next.cpu->l3]++;
    }
}

/* --- what can be chosen ---------------------------------------------------------------------- */

static bool is_near(const struct ouro_topology_device *d, unsigned number)
{
    return (d->cpus[number / 64] >> (number % 64) & 1) != 0;
}

/* Fills the picks with the allowed CPUs on `node` (-1: any), near `device` (NULL: any), by number.
 */
static void gather(struct placing *p, int node, const struct ouro_topology_device *device)
{
    const struct ouro_topology *t = p->topology;

    for (unsigned i = 0; i < t->cpu_count; i++) {
        const struct ouro_topology_cpu *c = &t->cpus[i];

        ensure(c->number < CPUS && c->core < CPUS && c->node < CPUS && c->package < CPUS &&
                   c->l3 < CPUS + OURO_TOPOLOGY_NODES,
               "CPU %u of a topology is out of its bounds", c->number);
        if (c->allowed && (node < 0 || c->node == node) &&
            (device == NULL || is_near(device, c->number)))
            p->pick[p->n++] = (struct pick){.cpu = c};
    }
    sort(p);
}

static int place_all(struct placing *p, char *why, size_t why_bytes)
{
    gather(p, -1, NULL);
    if (p->n == 0) {
        snprintf(why, why_bytes, "this process may run on no CPU of this machine");
        return -EINVAL;
    }
    if (p->want->policy == OURO_CPUS_CORES)
        order_cores(p);
    else if (p->want->policy == OURO_CPUS_SPREAD)
        order_spread(p);
    else if (p->want->policy == OURO_CPUS_COMPACT)
        order_compact(p);
    if (p->want->count <= p->n)
        return 0;
    snprintf(why, why_bytes, "there are only %u %s that this process may run on", p->n,
             p->want->policy == OURO_CPUS_CORES ? "cores" : "CPUs");
    return -EINVAL;
}

static int place_node(struct placing *p, char *why, size_t why_bytes)
{
    const struct ouro_topology *t = p->topology;
    unsigned number = p->want->node;

    if (index_of_node(t, number) == t->node_count) {
        snprintf(why, why_bytes, "there is no NUMA node %u; the last of %u is node %u", number,
                 t->node_count, t->node_count > 0 ? t->nodes[t->node_count - 1].number : 0u);
        return -EINVAL;
    }
    gather(p, (int)number, NULL);
    order_spread(p);
    if (p->n > 0)
        return 0;
    snprintf(why, why_bytes, "NUMA node %u has no CPU that this process may run on", number);
    return -EINVAL;
}

static int unknown_device(const struct ouro_topology *t, const char *name, char *why, size_t n)
{
    char quoted[QUOTE_BYTES];
    int at = snprintf(why, n, "the machine shows no device %s; it has",
                      quote_text(quoted, name, strlen(name)));

    for (unsigned i = 0; i < t->device_count && at < (int)n; i++)
        at += snprintf(why + at, n - (size_t)at, "%s %.64s", i > 0 ? "," : "", t->devices[i].name);
    if (t->device_count == 0 && at < (int)n)
        snprintf(why + at, n - (size_t)at, " none whose place is known");
    return -EINVAL;
}

static int place_near(struct placing *p, char *why, size_t why_bytes)
{
    const struct ouro_topology *t = p->topology;
    unsigned i = 0;

    while (i < t->device_count && strcmp(t->devices[i].name, p->want->device) != 0)
        i++;
    if (i == t->device_count)
        return unknown_device(t, p->want->device, why, why_bytes);
    gather(p, -1, &t->devices[i]);
    order_spread(p);
    if (p->n > 0)
        return 0;
    snprintf(why, why_bytes, "this process may run on none of the CPUs near %s",
             t->devices[i].name);
    return -EINVAL;
}

static const struct ouro_topology_cpu *find(const struct ouro_topology *t, unsigned number)
{
    for (unsigned i = 0; i < t->cpu_count; i++)
        if (t->cpus[i].number == number && t->cpus[i].allowed)
            return &t->cpus[i];
    return NULL;
}

static int place_list(struct placing *p, char *why, size_t why_bytes)
{
    const struct ouro_cpulist *list = &p->want->list;

    for (; p->n < list->count; p->n++) {
        const struct ouro_topology_cpu *c = find(p->topology, list->cpu[p->n]);

        if (c == NULL) {
            snprintf(why, why_bytes,
                     "this process may not run on CPU %u (offline, or outside of its cpuset)",
                     list->cpu[p->n]);
            return -EINVAL;
        }
        p->pick[p->n].cpu = c;
    }
    return 0;
}

/* --- placing --------------------------------------------------------------------------------- */

static int place(struct placing *p, char *why, size_t why_bytes)
{
    switch (p->want->policy) {
    case OURO_CPUS_NODE:
        return place_node(p, why, why_bytes);
    case OURO_CPUS_NEAR:
        return place_near(p, why, why_bytes);
    case OURO_CPUS_LIST:
        return place_list(p, why, why_bytes);
    default:
        return place_all(p, why, why_bytes);
    }
}

int topo_place(const struct ouro_topology *t, const struct ouro_cpus *want, uint16_t *cpu,
               unsigned max, char *why, size_t why_bytes)
{
    unsigned named = want->policy == OURO_CPUS_LIST ? want->list.count : want->count, n;
    struct placing *p;
    int error;

    if (named > max) {
        snprintf(why, why_bytes, "names %u CPUs; 1 to %u are possible", named, max);
        return -EINVAL;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        snprintf(why, why_bytes, "not enough memory to place shards");
        return -ENOMEM;
    }
    p->topology = t;
    p->want = want;
    error = place(p, why, why_bytes);
    n = p->n < max ? p->n : max;
    if (want->count != 0 && want->count < n)
        n = want->count;
    for (unsigned i = 0; error == 0 && i < n; i++)
        cpu[i] = p->pick[i].cpu->number;
    free(p);
    return error != 0 ? error : (int)n;
}

enum topo_depth topo_depth_for(enum ouro_cpus_policy policy)
{
    switch (policy) {
    case OURO_CPUS_ALL:
    case OURO_CPUS_LIST:
        return TOPO_MASK;
    case OURO_CPUS_NEAR:
        return TOPO_DEVICES;
    default:
        return TOPO_CORES;
    }
}
