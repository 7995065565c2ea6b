/* SPDX-License-Identifier: MIT */
/* The machine, and placing shards on it. The struct is the public one (ouro/topology.h).
 *
 *      the kernel's mask ──┐ MASK                       policy (ouro/parse.h)
 *      hwloc ──────────────┤ CORES, DEVICES ─► struct ouro_topology ─► topo_place() ─► CPUs
 *      XML, synthetic ─────┘                   plain values             pure
 *
 * Shown by tests alone:
 *   [TOPO-1] Only CPUs that are `allowed` are placed on, none twice.
 *   [TOPO-2] The CPUs of k shards are the first k of those of k + 1, and do not depend on the order
 *            in which the machine was read.
 */
#ifndef TOPO_H
#define TOPO_H

#include <ouro/topology.h>

/* Each costs more than the one before: microseconds; a millisecond or two with few CPUs; ten. */
enum topo_depth {
    TOPO_MASK,    /* which CPUs there are; each looks like a core, and all are on one node */
    TOPO_CORES,   /* all but devices */
    TOPO_DEVICES, /* everything */
};

/* As much as the policy asks for. */
enum topo_depth topo_depth_for(enum ouro_cpus_policy policy);

/* Each allocates *out, which ouro_topology_free() frees, and leaves `quota` 0. 0, or -errno with a
 * sentence. */
int topo_read(struct ouro_topology **out, enum topo_depth depth, char *why, size_t why_bytes);
int topo_from_xml(struct ouro_topology **out, const char *path, char *why, size_t why_bytes);
int topo_from_synthetic(struct ouro_topology **out, const char *text, char *why, size_t why_bytes);

/* The CPUs that `want` means, the first `max` of them at most. > 0: how many; or -errno with a
 * clause. */
int topo_place(const struct ouro_topology *t, const struct ouro_cpus *want, uint16_t *cpu,
               unsigned max, char *why, size_t why_bytes);

/* The CPU time that cgroups of either version grant to this process, in thousandths of a CPU; 0: no
 * bound. `root` stands before the paths of /proc and of the mounts: "" but in tests. */
unsigned topo_quota(const char *root);

#endif
