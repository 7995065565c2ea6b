/* SPDX-License-Identifier: MIT */
/* The drawing of a machine: packages, nodes, L3 caches, cores, CPUs, with the shards on them. */
#include "topology.h"
#include "common/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CPUS = OURO_TOPOLOGY_CPUS, WIDTH = 98, INDENT = 8 };

/* The machine, and the first shard on each CPU: -1 none. */
struct drawing {
    const struct ouro_topology *t;
    int shard[CPUS];
    /* CPUs as they are drawn: those of a group stand together */
    const struct ouro_topology_cpu *at[CPUS];
};

/* --- order ----------------------------------------------------------------------------------- */

static int compare(const struct ouro_topology_cpu *a, const struct ouro_topology_cpu *b)
{
    const unsigned x[] = {a->package, a->node, a->l3, a->kind, a->core, a->number};
    const unsigned y[] = {b->package, b->node, b->l3, b->kind, b->core, b->number};

    for (unsigned i = 0; i < sizeof x / sizeof x[0]; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

static void arrange(struct drawing *d)
{
    for (unsigned i = 0; i < d->t->cpu_count; i++) {
        unsigned to = i;

        for (; to > 0 && compare(&d->t->cpus[i], d->at[to - 1]) < 0; to--)
            d->at[to] = d->at[to - 1];
        d->at[to] = &d->t->cpus[i];
    }
}

/* --- the head -------------------------------------------------------------------------------- */

/* How many there are of what `value` numbers, in CPUs in the order of the drawing. */
#define COUNT(d, field, count)                                                                     \
    do {                                                                                           \
        bool seen[CPUS + OURO_TOPOLOGY_NODES] = {false};                                           \
                                                                                                   \
        (count) = 0;                                                                               \
        for (unsigned i = 0; i < (d)->t->cpu_count; i++)                                           \
            if (!seen[(d)->at[i]->field]) {                                                        \
                seen[(d)->at[i]->field] = true;                                                    \
                (count)++;                                                                         \
            }                                                                                      \
    } while (0)

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

static void draw_head(const struct drawing *d)
{
    unsigned packages, caches, cores, allowed = 0, cpus = d->t->cpu_count;

    COUNT(d, package, packages);
    COUNT(d, l3, caches);
    COUNT(d, core, cores);
    for (unsigned i = 0; i < cpus; i++)
        allowed += d->at[i]->allowed;
    printf("%u package%s, %u NUMA node%s, %u L3 group%s, %u core%s, %u CPU%s", packages,
           plural(packages), d->t->node_count, plural(d->t->node_count), caches, plural(caches),
           cores, plural(cores), cpus, plural(cpus));
    if (allowed < cpus)
        printf(", of which this process may run on %u", allowed);
    putchar('\n');
    if (d->t->quota != 0)
        printf("cgroups grant the time of %u.%03u CPUs\n", d->t->quota / 1000, d->t->quota % 1000);
    printf("[0 1=3] is a core: its CPUs 0 and 1, and shard 3 on the latter; (1) may not be used\n");
}

/* --- packages to CPUs ------------------------------------------------------------------------ */

static void format_bytes(char *text, size_t n, uint64_t bytes)
{
    if (bytes == 0)
        snprintf(text, n, "of unknown size");
    else
        snprintf(text, n, "%.1f GiB", (double)bytes / (double)(UINT64_C(1) << 30));
}

static void draw_node(const struct ouro_topology *t, unsigned number)
{
    char bytes[32] = "";

    for (unsigned i = 0; i < t->node_count; i++)
        if (t->nodes[i].number == number)
            format_bytes(bytes, sizeof bytes, t->nodes[i].bytes);
    printf("  node %u, memory %s\n", number, bytes);
}

/* One core from `from` on; returns where the next begins. */
static unsigned draw_core(const struct drawing *d, unsigned from, int *column)
{
    char text[256] = "[";
    size_t at = 1;
    unsigned i = from;

    for (; i < d->t->cpu_count && d->at[i]->core == d->at[from]->core; i++) {
        const struct ouro_topology_cpu *c = d->at[i];
        const char *gap = i > from ? " " : "";

        if (at > sizeof text - 32)
            continue;
        if (!c->allowed)
            at += (size_t)snprintf(text + at, 32, "%s(%u)", gap, c->number);
        else if (d->shard[c->number] >= 0)
            at += (size_t)snprintf(text + at, 32, "%s%u=%d", gap, c->number, d->shard[c->number]);
        else
            at += (size_t)snprintf(text + at, 32, "%s%u", gap, c->number);
    }
    if (*column + 2 + (int)at > WIDTH) {
        printf("\n%*s", INDENT, "");
        *column = INDENT;
    }
    *column += printf(" %s]", text);
    return i;
}

static void draw_cpus(const struct drawing *d)
{
    const struct ouro_topology_cpu *last = NULL;
    int column = 0;

    for (unsigned i = 0; i < d->t->cpu_count;) {
        const struct ouro_topology_cpu *c = d->at[i];
        bool package = last == NULL || c->package != last->package;
        bool node = package || c->node != last->node;

        if (last != NULL && (node || c->l3 != last->l3 || c->kind != last->kind))
            putchar('\n');
        if (package)
            printf("\npackage %u\n", c->package);
        if (node)
            draw_node(d->t, c->node);
        if (node || c->l3 != last->l3)
            column = printf("    L3 %u%s", c->l3, c->kind > 0 ? ", slower cores" : "");
        else if (c->kind != last->kind)
            column = printf("    slower cores");
        last = c;
        i = draw_core(d, i, &column);
    }
    putchar('\n');
}

static void draw_nodes_without_cpus(const struct ouro_topology *t)
{
    for (unsigned i = 0; i < t->node_count; i++) {
        bool has = false;

        for (unsigned k = 0; k < t->cpu_count; k++)
            has = has || t->cpus[k].node == t->nodes[i].number;
        if (!has)
            draw_node(t, t->nodes[i].number);
    }
}

/* --- distances, devices, shards -------------------------------------------------------------- */

static void draw_distances(const struct ouro_topology *t)
{
    if (t->distances == NULL || t->node_count < 2)
        return;
    printf("\ndistances  ");
    for (unsigned i = 0; i < t->node_count; i++)
        printf("%5u", t->nodes[i].number);
    for (unsigned i = 0; i < t->node_count; i++) {
        printf("\n  node %-4u", t->nodes[i].number);
        for (unsigned k = 0; k < t->node_count; k++)
            printf("%5u", t->distances[i * t->node_count + k]);
    }
    putchar('\n');
}

static bool near(const struct ouro_topology_device *d, unsigned cpu)
{
    return (d->cpus[cpu / 64] >> (cpu % 64) & 1) != 0;
}

static void draw_near(const struct ouro_topology_device *device)
{
    const char *gap = " CPUs ";

    for (unsigned c = 0; c < CPUS; c++) {
        unsigned last = c;

        if (!near(device, c))
            continue;
        while (last + 1 < CPUS && near(device, last + 1))
            last++;
        printf(last > c ? "%s%u-%u" : "%s%u", gap, c, last);
        gap = ",";
        c = last;
    }
}

static void draw_devices(const struct ouro_topology *t)
{
    if (t->device_count > 0)
        printf("\ndevices\n");
    for (unsigned i = 0; i < t->device_count; i++) {
        printf("  %-14s near", t->devices[i].name);
        if (t->devices[i].anywhere)
            printf(" all CPUs");
        else
            draw_near(&t->devices[i]);
        putchar('\n');
    }
}

static void draw_shards(const uint16_t *cpu, int n)
{
    int column = printf("\n%d shard%s on CPU%s", n, plural((unsigned)n), plural((unsigned)n));

    for (int i = 0; i < n; i++) {
        if (column + 6 > WIDTH)
            column = printf("\n%*s", INDENT, "") - 1;
        column += printf(" %u", cpu[i]);
    }
    putchar('\n');
}

/* --- all of it ------------------------------------------------------------------------------- */

static void draw(struct drawing *d, const uint16_t *cpu, int n)
{
    memset(d->shard, 0xff, sizeof d->shard);
    for (int i = n - 1; i >= 0; i--)
        d->shard[cpu[i]] = i;
    arrange(d);
    draw_head(d);
    draw_cpus(d);
    draw_nodes_without_cpus(d->t);
    draw_distances(d->t);
    draw_devices(d->t);
    if (n > 0)
        draw_shards(cpu, n);
}

int topology_print(const char *machine, const struct ouro_options *options)
{
    static uint16_t cpu[OURO_MAX_SHARDS];
    static struct drawing d;
    struct ouro_topology *t;
    char why[320];
    int n = ouro_topology_read(&t, machine, why, sizeof why);

    if (n != 0)
        return cli_failed(0, "%s", why);
    n = ouro_topology_place(t, options, cpu, why, sizeof why);
    d.t = t;
    draw(&d, cpu, n);
    ouro_topology_free(t);
    return n < 0 ? cli_failed(0, "%s", why) : CLI_OK;
}
