/* SPDX-License-Identifier: MIT */
/* What io_uring offers to this process. It is asked of rings that are made for the purpose and
 * thrown away, never read off the kernel's version. Needs no runtime. Since version 0.1.
 *
 *   floor   what Ouro cannot do without: DEFER_TASKRUN, multishot accept and receive, rings of
 * provided buffers, zero-copy send                                              (Linux 6.1 has it)
 *   good    incremental and cloned buffers, bundles, minimum waits                          (6.12)
 *   best    registered waits, ring resize, guard regions, waits that are no iowait, vectored fixed
 * I/O, zero-copy receive, completions of mixed size                             (6.13 to 6.18)
 */
#ifndef OURO_PROBE_H
#define OURO_PROBE_H

#include <ouro/base.h>

OURO_BEGIN_DECLS

enum ouro_verdict {
    OURO_UNUSABLE = 0, /* io_uring is forbidden here, or lacks something of the floor */
    OURO_FLOOR = 1,
    OURO_GOOD = 2,
    OURO_BEST = 3,
};

enum ouro_finding_kind {
    OURO_FINDING_FLAG = 0,    /* of io_uring_setup(2): IORING_SETUP_… */
    OURO_FINDING_FEATURE = 1, /* that the kernel says it has: IORING_FEAT_… */
    OURO_FINDING_OPCODE = 2,  /* IORING_OP_… */
    OURO_FINDING_SERVICE = 3, /* something that was tried, or that Ouro decided from the rest */
};

/* One thing that was asked for. */
struct ouro_finding {
    enum ouro_finding_kind kind;
    enum ouro_verdict needed_for; /* OURO_UNUSABLE: no verdict depends on it */
    bool asked;                   /* a flag that the runtime asks for; true for the other kinds */
    bool granted;
    const char *name; /* "DEFER_TASKRUN", "SEND_ZC", "direct sockets"; lasts */
    const char *why;  /* why it is not granted, a clause; "" if it is. Until `each` returns */
};

struct ouro_probe {
    size_t size; /* sizeof(struct ouro_probe), set by the caller */
    enum ouro_verdict verdict;
    int error;               /* when UNUSABLE: what was refused, as -errno */
    unsigned iowq_bounded;   /* kernel worker threads that a ring may have for files, */
    unsigned iowq_unbounded; /* and for the rest; 0: the kernel does not say */
    char liburing[16];       /* that the library was built with: "2.15" */
    char why[512];           /* when UNUSABLE: what forbids it or is missing, and what to change */
};

/* Asks, fills *out, and calls each(ctx, finding) for everything found (`each` may be NULL), in the
 * order flags, features, opcodes, services. On any thread; takes some milliseconds, several
 * descriptors and a few pages of locked memory meanwhile. Where no ring can be made at all, nothing
 * is found. Returns 0, also when the verdict is UNUSABLE; -EINVAL: out is NULL or its size is not
 * that of this version. */
OURO_API OURO_NODISCARD int ouro_probe(struct ouro_probe *out,
                                       void (*each)(void *ctx, const struct ouro_finding *finding),
                                       void *ctx);

OURO_END_DECLS

#endif
