/* SPDX-License-Identifier: MIT */
/* The machine: which CPUs share a core, an L3 cache, a NUMA node, a package; which devices are near
 * them; and where shards go. From hwloc and the kernel. Reading a machine and placing on it needs
 * no runtime and may be done on any thread. Since version 0.1. */
#ifndef OURO_TOPOLOGY_H
#define OURO_TOPOLOGY_H

#include <ouro/parse.h>
#include <ouro/runtime.h>

OURO_BEGIN_DECLS

/* CPUs are numbered 0 … OURO_TOPOLOGY_CPUS - 1, as in a list of CPUs. */
#define OURO_TOPOLOGY_CPUS    OURO_CPULIST_MAX
#define OURO_TOPOLOGY_NODES   128
#define OURO_TOPOLOGY_DEVICES 512

/* A CPU as the kernel counts them: one hardware thread. Two are on the same core (package, …) if
 * they have the same number there; these numbers count from 0. */
struct ouro_topology_cpu {
    uint16_t number; /* the kernel's */
    uint16_t core;
    uint16_t l3;   /* of CPUs without an L3 cache: one number for all on the same node */
    uint16_t node; /* the kernel's number; 0 on a machine without NUMA */
    uint16_t package;
    uint8_t thread; /* of its core: 0 is the first */
    uint8_t kind;   /* of its core: 0 is the fastest that the machine has */
    bool allowed;   /* this process may run on it: not outside of its cpuset or affinity */
};

struct ouro_topology_node {
    uint16_t number; /* the kernel's */
    uint64_t bytes;  /* memory; 0: it is not known */
};

struct ouro_topology_device {
    char name[OURO_DEVICE_BYTES]; /* eth0, nvme0n1, mlx5_0 */
    bool anywhere; /* equally near to all CPUs, or the machine does not say: all of them */
    uint64_t cpus[OURO_TOPOLOGY_CPUS / 64]; /* near it: bit n % 64 of word n / 64 is CPU n */
};

struct ouro_topology {
    unsigned cpu_count, node_count, device_count;
    unsigned quota; /* CPU time that the cgroups grant, in thousandths of a CPU; 0: no bound */
    const struct ouro_topology_cpu *cpus;   /* those online, by number */
    const struct ouro_topology_node *nodes; /* by number, also those without CPUs */
    const struct ouro_topology_device *devices;
    /* [i * node_count + j]: from nodes[i] to nodes[j], 10 is local (as numactl -H); NULL: unknown
     */
    const uint16_t *distances;
};

/* Reads this machine with its devices (`description` NULL), which takes some ten milliseconds; or
 * another one from an XML file of hwloc's lstopo (a path that has a '/' or ends in .xml) or from a
 * synthetic description in hwloc's notation, such as "package:2 l3:4 core:8 pu:2". *out is the
 * caller's until ouro_topology_free(). -errno with a sentence in `why` (may be NULL): -EINVAL out
 * is NULL, or it is no such description; -ENOMEM; -E2BIG: more CPUs, nodes or devices than the
 * bounds above; those of opening the file. */
OURO_API OURO_NODISCARD int ouro_topology_read(struct ouro_topology **out, const char *description,
                                               char *why, size_t why_bytes);

/* NULL is allowed. */
OURO_API void ouro_topology_free(struct ouro_topology *topology);

/* Which CPUs ouro_run(options) would give to its shards on such a machine: fills cpu[0 … n-1] and
 * returns n >= 1. Looks at options.cpus, shards and oversubscribe alone (NULL: all defaults).
 * -EINVAL with a sentence in `why` (may be NULL) if it would refuse. A pure function. */
OURO_API OURO_NODISCARD int ouro_topology_place(const struct ouro_topology *topology,
                                                const struct ouro_options *options,
                                                uint16_t *cpu /* [OURO_MAX_SHARDS] */, char *why,
                                                size_t why_bytes);

/* The CPU to which a shard of the running runtime is pinned, and that CPU's NUMA node. From
 * anywhere, as ouro_shard_count(). -EINVAL: there is no such shard, or none runs; -ENODATA: it is
 * not pinned (options.no_pinning), or still starts. */
OURO_API int ouro_shard_cpu(unsigned shard);
OURO_API int ouro_shard_node(unsigned shard);

OURO_END_DECLS

#endif
