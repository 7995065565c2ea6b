/* SPDX-License-Identifier: MIT */
/* Reading a machine: hwloc's tree into plain arrays. */
#include "topo/topo.h"
#include "base/check.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS    OURO_TOPOLOGY_CPUS
#define NODES   OURO_TOPOLOGY_NODES
#define DEVICES OURO_TOPOLOGY_DEVICES

/* A topology and what it points to. */
struct machine {
    struct ouro_topology is; /* first: it is what the caller frees */
    struct ouro_topology_cpu cpu[CPUS];
    struct ouro_topology_node node[NODES];
    struct ouro_topology_device device[DEVICES];
    uint16_t distance[NODES * NODES];
};

static int too_many(const char *what, unsigned most, char *why, size_t why_bytes)
{
    snprintf(why, why_bytes, "the machine has more than %u %s", most, what);
    return -E2BIG;
}

/* --- CPUs ------------------------------------------------------------------------------------ */

static unsigned above(hwloc_topology_t tree, hwloc_obj_t pu, hwloc_obj_type_t type, unsigned none)
{
    hwloc_obj_t o = hwloc_get_ancestor_obj_by_type(tree, type, pu);

    return o != NULL ? o->logical_index : none;
}

/* hwloc ranks kinds of core upwards, from the slowest; -1: it cannot tell. */
static uint8_t kind_of(hwloc_topology_t tree, hwloc_obj_t pu)
{
    int kinds = hwloc_cpukinds_get_nr(tree, 0), rank = -1;
    int kind = hwloc_cpukinds_get_by_cpuset(tree, pu->cpuset, 0);

    if (kind < 0 || hwloc_cpukinds_get_info(tree, (unsigned)kind, NULL, &rank, NULL, NULL, 0) != 0)
        return 0;
    return rank < 0 ? 0 : (uint8_t)(kinds - 1 - rank);
}

/* Memory of two sorts may be local to a CPU: the node with the lower number is the ordinary one. */
static unsigned index_of_node(const struct machine *m, hwloc_topology_t tree, hwloc_obj_t pu)
{
    for (unsigned i = 0; i < m->is.node_count; i++) {
        hwloc_obj_t node = hwloc_get_numanode_obj_by_os_index(tree, m->node[i].number);

        if (node != NULL && hwloc_bitmap_isset(node->cpuset, pu->os_index))
            return i;
    }
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct ouro_topology_cpu *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static void count_threads(struct machine *m)
{
    uint8_t threads[CPUS] = {0};

    qsort(m->cpu, m->is.cpu_count, sizeof m->cpu[0], by_number);
    for (unsigned i = 0; i < m->is.cpu_count; i++) {
        uint8_t *n = &threads[m->cpu[i].core];

        m->cpu[i].thread = *n;
        *n += *n < UINT8_MAX;
    }
}

static int read_cpus(struct machine *m, hwloc_topology_t tree, char *why, size_t why_bytes)
{
    hwloc_const_bitmap_t allowed = hwloc_topology_get_allowed_cpuset(tree);
    unsigned caches = (unsigned)hwloc_get_nbobjs_by_type(tree, HWLOC_OBJ_L3CACHE);
    hwloc_obj_t pu = NULL;

    while ((pu = hwloc_get_next_obj_by_type(tree, HWLOC_OBJ_PU, pu)) != NULL) {
        unsigned node = index_of_node(m, tree, pu);

        if (m->is.cpu_count == CPUS || pu->os_index >= CPUS)
            return too_many("CPUs", CPUS, why, why_bytes);
        m->cpu[m->is.cpu_count++] = (struct ouro_topology_cpu){
            .number = (uint16_t)pu->os_index,
            .core = (uint16_t)above(tree, pu, HWLOC_OBJ_CORE, pu->logical_index),
            .l3 = (uint16_t)above(tree, pu, HWLOC_OBJ_L3CACHE, caches + node),
            .node = m->node[node].number,
            .package = (uint16_t)above(tree, pu, HWLOC_OBJ_PACKAGE, 0),
            .kind = kind_of(tree, pu),
            .allowed = hwloc_bitmap_isset(allowed, pu->os_index) != 0,
        };
    }
    count_threads(m);
    return 0;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static int by_node_number(const void *a, const void *b)
{
    const struct ouro_topology_node *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static int read_nodes(struct machine *m, hwloc_topology_t tree, char *why, size_t why_bytes)
{
    hwloc_obj_t o = NULL;

    while ((o = hwloc_get_next_obj_by_type(tree, HWLOC_OBJ_NUMANODE, o)) != NULL) {
        if (m->is.node_count == NODES || o->os_index >= CPUS)
            return too_many("NUMA nodes", NODES, why, why_bytes);
        m->node[m->is.node_count++] = (struct ouro_topology_node){
            .number = (uint16_t)o->os_index, .bytes = o->attr->numanode.local_memory};
    }
    qsort(m->node, m->is.node_count, sizeof m->node[0], by_node_number);
    return 0;
}

static unsigned index_of_number(const struct machine *m, unsigned number)
{
    unsigned i = 0;

    while (i < m->is.node_count && m->node[i].number != number)
        i++;
    return i;
}

static void read_distances(struct machine *m, hwloc_topology_t tree)
{
    struct hwloc_distances_s *d;
    unsigned n = 1, nodes = m->is.node_count;

    if (hwloc_distances_get_by_type(tree, HWLOC_OBJ_NUMANODE, &n, &d,
                                    HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) != 0 ||
        n == 0)
        return;
    if (d->nbobjs == nodes) {
        for (unsigned i = 0; i < nodes; i++)
            for (unsigned j = 0; j < nodes; j++) {
                unsigned from = index_of_number(m, d->objs[i]->os_index);
                unsigned to = index_of_number(m, d->objs[j]->os_index);
                uint64_t far = d->values[i * nodes + j];

                m->distance[from * nodes + to] = far > UINT16_MAX ? UINT16_MAX : (uint16_t)far;
            }
        m->is.distances = m->distance;
    }
    hwloc_distances_release(tree, d);
}

/* --- devices --------------------------------------------------------------------------------- */

static int read_devices(struct machine *m, hwloc_topology_t tree, char *why, size_t why_bytes)
{
    hwloc_const_bitmap_t all = hwloc_topology_get_topology_cpuset(tree);
    hwloc_obj_t o = NULL;

    while ((o = hwloc_get_next_osdev(tree, o)) != NULL) {
        struct ouro_topology_device *d = &m->device[m->is.device_count];
        hwloc_obj_t place = hwloc_get_non_io_ancestor_obj(tree, o);

        if (o->name == NULL || strlen(o->name) >= sizeof d->name)
            continue;
        if (m->is.device_count++ == DEVICES)
            return too_many("devices", DEVICES, why, why_bytes);
        memcpy(d->name, o->name, strlen(o->name) + 1);
        d->anywhere = place == NULL || hwloc_bitmap_iszero(place->cpuset) ||
                      hwloc_bitmap_isequal(place->cpuset, all);
        for (unsigned i = 0; i < m->is.cpu_count; i++) {
            unsigned c = m->cpu[i].number;

            if (d->anywhere || hwloc_bitmap_isset(place->cpuset, c))
                d->cpus[c / 64] |= UINT64_C(1) << (c % 64);
        }
    }
    return 0;
}

/* --- from hwloc ------------------------------------------------------------------------------ */

static int machine_make(struct machine **out, char *why, size_t why_bytes)
{
    struct machine *m = calloc(1, sizeof *m);

    if (m == NULL) {
        snprintf(why, why_bytes, "not enough memory for the topology");
        return -ENOMEM;
    }
    m->is.cpus = m->cpu;
    m->is.nodes = m->node;
    m->is.devices = m->device;
    *out = m;
    return 0;
}

static int convert(struct ouro_topology **out, hwloc_topology_t tree, char *why, size_t why_bytes)
{
    struct machine *m;
    int error = machine_make(&m, why, why_bytes);

    if (error != 0)
        return error;
    error = read_nodes(m, tree, why, why_bytes);
    if (error == 0)
        error = read_cpus(m, tree, why, why_bytes);
    if (error == 0)
        error = read_devices(m, tree, why, why_bytes);
    if (error != 0) {
        free(m);
        return error;
    }
    read_distances(m, tree);
    *out = &m->is;
    return 0;
}

/* Nothing that is not asked for: what is read costs. The x86 component would go to each CPU to ask
 * it, for nothing that the kernel does not say. */
static int choose(hwloc_topology_t tree, bool devices)
{
    static const hwloc_obj_type_t kept[] = {HWLOC_OBJ_CORE, HWLOC_OBJ_PACKAGE, HWLOC_OBJ_L3CACHE};
    static const hwloc_obj_type_t io[] = {HWLOC_OBJ_OS_DEVICE, HWLOC_OBJ_PCI_DEVICE};
    int error =
        hwloc_topology_set_components(tree, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");

    error |= hwloc_topology_set_flags(tree, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    error |= hwloc_topology_set_all_types_filter(tree, HWLOC_TYPE_FILTER_KEEP_NONE);
    for (size_t i = 0; i < array_size(kept); i++)
        error |= hwloc_topology_set_type_filter(tree, kept[i], HWLOC_TYPE_FILTER_KEEP_ALL);
    /* A node that is a part of a package hangs in a group; without it, it would be the package's.
     */
    error |=
        hwloc_topology_set_type_filter(tree, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    for (size_t i = 0; i < array_size(io) && devices; i++)
        error |= hwloc_topology_set_type_filter(tree, io[i], HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    return error;
}

enum source { MACHINE, XML, SYNTHETIC };

static int load(struct ouro_topology **out, enum source source, const char *text, bool devices,
                char *why, size_t why_bytes)
{
    hwloc_topology_t tree;
    int error = 0;

    if (hwloc_topology_init(&tree) != 0) {
        snprintf(why, why_bytes, "not enough memory for the topology");
        return -ENOMEM;
    }
    if (source == XML && hwloc_topology_set_xml(tree, text) != 0)
        error = errno == ENOENT || errno == EACCES ? -errno : -EINVAL;
    else if (source == SYNTHETIC && hwloc_topology_set_synthetic(tree, text) != 0)
        error = -EINVAL;
    else if (choose(tree, devices) != 0 || hwloc_topology_load(tree) != 0)
        error = errno > 0 ? -errno : -EINVAL;
    if (error == 0)
        error = convert(out, tree, why, why_bytes);
    else if (source == MACHINE)
        snprintf(why, why_bytes, "hwloc cannot read this machine: %s", strerror(-error));
    else
        snprintf(why, why_bytes, "cannot read the %s '%.128s': %s",
                 source == XML ? "XML file" : "description", text, strerror(-error));
    hwloc_topology_destroy(tree);
    return error;
}

int topo_from_xml(struct ouro_topology **out, const char *path, char *why, size_t why_bytes)
{
    return load(out, XML, path, true, why, why_bytes);
}

int topo_from_synthetic(struct ouro_topology **out, const char *text, char *why, size_t why_bytes)
{
    return load(out, SYNTHETIC, text, false, why, why_bytes);
}

/* --- this machine ---------------------------------------------------------------------------- */

static int read_mask(cpu_set_t *set, char *why, size_t why_bytes)
{
    int error;

    if (sched_getaffinity(0, sizeof *set, set) == 0)
        return 0;
    error = -errno;
    if (error == -EINVAL) /* the only reason the kernel has */
        snprintf(why, why_bytes, "the kernel has room for more than %d CPUs, which is the limit",
                 CPU_SETSIZE);
    else
        snprintf(why, why_bytes, "cannot read the CPU affinity: %s", strerror(-error));
    return error;
}

static int from_mask(struct ouro_topology **out, const cpu_set_t *set, char *why, size_t why_bytes)
{
    struct machine *m;
    int error = machine_make(&m, why, why_bytes);

    if (error != 0)
        return error;
    for (unsigned c = 0; c < CPU_SETSIZE; c++)
        if (CPU_ISSET(c, set))
            m->cpu[m->is.cpu_count++] = (struct ouro_topology_cpu){
                .number = (uint16_t)c, .core = (uint16_t)c, .allowed = true};
    *out = &m->is;
    return 0;
}

int topo_read(struct ouro_topology **out, enum topo_depth depth, char *why, size_t why_bytes)
{
    cpu_set_t set;
    int error = read_mask(&set, why, why_bytes);

    if (error != 0)
        return error;
    if (depth == TOPO_MASK)
        return from_mask(out, &set, why, why_bytes);
    error = load(out, MACHINE, NULL, depth == TOPO_DEVICES, why, why_bytes);
    if (error != 0)
        return error;
    for (unsigned i = 0; i < (*out)->cpu_count; i++) {
        struct ouro_topology_cpu *c = &((struct machine *)*out)->cpu[i];

        c->allowed = c->allowed && CPU_ISSET(c->number, &set);
    }
    return 0;
}

/* --- for everybody --------------------------------------------------------------------------- */

/* A path to a description, not the description itself. */
static bool is_path(const char *text)
{
    size_t n = strlen(text);

    return strchr(text, '/') != NULL || (n >= 4 && strcmp(text + n - 4, ".xml") == 0);
}

int ouro_topology_read(struct ouro_topology **out, const char *description, char *why,
                       size_t why_bytes)
{
    int error;

    if (out == NULL)
        return -EINVAL;
    if (why == NULL)
        why_bytes = 0;
    if (description != NULL)
        return is_path(description) ? topo_from_xml(out, description, why, why_bytes)
                                    : topo_from_synthetic(out, description, why, why_bytes);
    error = topo_read(out, TOPO_DEVICES, why, why_bytes);
    if (error == 0)
        (*out)->quota = topo_quota("");
    return error;
}

void ouro_topology_free(struct ouro_topology *topology)
{
    free(topology);
}
