/* SPDX-License-Identifier: MIT */
/* What ouro-probe found: the ring's answers and the machine's settings; and the two ways to print
 * it. */
#ifndef OURO_TOOLS_PROBE_REPORT_H
#define OURO_TOOLS_PROBE_REPORT_H

#include <ouro/probe.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/utsname.h>

enum { FINDINGS_MAX = 192, WHY_BYTES = 160, HUGE_SIZES_MAX = 8 };

struct found {
    struct ouro_finding is;
    char why[WHY_BYTES]; /* is.why points here */
};

/* A size of huge pages (/sys/kernel/mm/hugepages). */
struct huge_size {
    uint64_t bytes, total, free;
};

struct machine {
    struct utsname name;
    struct rlimit memlock, nofile;
    /* Of /proc/sys; -1: it cannot be read, so the kernel has no such setting. */
    int64_t io_uring_disabled, io_uring_group, max_map_count;
    struct huge_size huge[HUGE_SIZES_MAX];
    unsigned huge_sizes;
    char transparent[16]; /* always, madvise, never; "": the kernel has none */
};

struct report {
    struct ouro_probe probe;
    struct found found[FINDINGS_MAX];
    unsigned count;
    struct machine machine;
};

void machine_look(struct machine *m);

void text_print(const struct report *r);
void json_print(const struct report *r);

/* "unusable", "floor", "good", "best". */
const char *verdict_name(enum ouro_verdict verdict);

#endif
