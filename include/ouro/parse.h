/* SPDX-License-Identifier: MIT */
/*
 * Values as people write them on command lines and in configuration: numbers, durations, sizes,
 * CPUs.
 *
 * These functions need no runtime, keep no state, allocate nothing and may be called on any thread.
 *
 * All follow one contract. The whole text must be the value: no blanks, no signs, decimal digits.
 * They return 0 and set *out, or return
 *   -EINVAL  the text is no such value, or out or text is NULL
 *   -ERANGE  it is one, but too small or too large
 * and then leave *out untouched and write a message into err, cut to err_size bytes and
 * NUL-terminated: one line of printable ASCII that begins with the text in quotes, without a full
 * stop. Foreign bytes are shown as \xNN and long texts are shortened. err may be NULL;
 * OURO_PARSE_ERROR_BYTES is room for every message. On success err is untouched. Since version 0.1.
 */
#ifndef OURO_PARSE_H
#define OURO_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include <ouro/base.h>

OURO_BEGIN_DECLS

/* Room for the longest message, with its terminating NUL. */
#define OURO_PARSE_ERROR_BYTES 256

/* CPUs are numbered 0 … OURO_CPULIST_MAX - 1. */
#define OURO_CPULIST_MAX 1024

/* A number from min to max, both included. -EINVAL too when min > max. */
OURO_API OURO_NODISCARD int ouro_parse_uint(uint64_t *out, const char *text, uint64_t min,
                                            uint64_t max, char *err, size_t err_size);

/*
 * A duration, in nanoseconds: a number and one unit of ns, us, ms, s, m (minutes), h. A number
 * without a unit is an error, except 0. At most INT64_MAX ns (292 years), so that adding it to a
 * clock's reading cannot overflow.
 */
OURO_API OURO_NODISCARD int ouro_parse_duration(uint64_t *out_ns, const char *text, char *err,
                                                size_t err_size);

/*
 * A size, in bytes: a number, alone or with one unit of k, M, G, T, in either case, each 1024 times
 * the one before; also written KiB, MiB, GiB, TiB. kB and MB are errors: readers do not agree on
 * them.
 */
OURO_API OURO_NODISCARD int ouro_parse_size(uint64_t *out_bytes, const char *text, char *err,
                                            size_t err_size);

/* CPUs in the order in which they were written: the order can be the placement. */
struct ouro_cpulist {
    unsigned int count;
    uint16_t cpu[OURO_CPULIST_MAX];
};

/*
 * A list such as 0-3,8,10-11: numbers and ascending ranges, separated by commas, each CPU at most
 * once and at least one in all. Whether the machine has these CPUs is not asked.
 */
OURO_API OURO_NODISCARD int ouro_parse_cpulist(struct ouro_cpulist *out, const char *text,
                                               char *err, size_t err_size);

/* Room for the name of a device, with its terminating NUL. */
#define OURO_DEVICE_BYTES 64

/* Which CPUs, in which order: where k shards are started, they get the first k. */
enum ouro_cpus_policy {
    OURO_CPUS_ALL = 0,     /* "all": by number */
    OURO_CPUS_CORES = 1,   /* "cores": one of each core, fast kinds of core first, by number */
    OURO_CPUS_SPREAD = 2,  /* "spread": as far apart as can be; SMT siblings last, before them slow
                              kinds of core; else the package, the node, the L3 cache in turn */
    OURO_CPUS_COMPACT = 3, /* "compact": as near as can be: SMT siblings, the L3 cache, the node,
                              the nearest nodes; slow kinds of core last */
    OURO_CPUS_NODE = 4,    /* "node:1": those of NUMA node 1, spread */
    OURO_CPUS_NEAR = 5,    /* "near:eth0": those next to that device, spread */
    OURO_CPUS_LIST = 6,    /* "0-3,8": these, in this order */
};

struct ouro_cpus {
    enum ouro_cpus_policy policy;
    unsigned count;                 /* ALL to COMPACT: how many, as in "spread:8"; 0: every one */
    unsigned node;                  /* NODE */
    char device[OURO_DEVICE_BYTES]; /* NEAR */
    struct ouro_cpulist list;       /* LIST */
};

/*
 * CPUs as options.cpus and `--cpus` name them: a list as above, or one of the words in enum
 * ouro_cpus_policy. "all", "cores", "spread" and "compact" may be followed by how many, from 1 to
 * OURO_CPULIST_MAX: "spread:8". A device may be written with its directory: near:/dev/nvme0n1 is
 * near:nvme0n1. Whether the machine has them is not asked; ouro_topology_place() (ouro/topology.h)
 * does.
 */
OURO_API OURO_NODISCARD int ouro_parse_cpus(struct ouro_cpus *out, const char *text, char *err,
                                            size_t err_size);

OURO_END_DECLS

#endif /* OURO_PARSE_H */
