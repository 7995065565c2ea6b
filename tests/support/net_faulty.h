/* SPDX-License-Identifier: MIT */
/* A kernel that fails on purpose: the k-th call of some sort, or the k-th operation in the queue.
 * One shard at a time. What it says is always true: a call that failed did nothing, an operation
 * that failed moved nothing, and a short one moved what it reports. */
#ifndef SUPPORT_NET_FAULTY_H
#define SUPPORT_NET_FAULTY_H

#include <ouro/base.h>
#include "ring/ring.h"

enum fault_where {
    FAULT_NONE = 0,
    FAULT_SETUP,
    FAULT_MAP,
    FAULT_REGISTER,
    FAULT_ENTER,         /* the call fails with `error` and takes nothing */
    FAULT_ENTER_PART,    /* it takes half of what is in the queue */
    FAULT_OPERATION,     /* one operation completes with `error` instead of being carried out */
    FAULT_SHORT,         /* one that moves bytes gets half of its length */
    FAULT_SHORT_ALL,     /* all of them get at most three bytes */
    FAULT_CANCEL_MISSES, /* a cancellation finds nothing: -ENOENT */
    FAULT_LATE,          /* completions are held back for some calls, by chance: `at` is the seed */
    FAULT_SHUFFLED,      /* and come in another order */
};

struct fault {
    enum fault_where where;
    int error;
    unsigned at; /* the k-th chance, from 1 on; 0: every one */
};

/* The kernel that is asked: kernel_linux, unless a test chooses another one before it begins. */
extern const struct kernel *faulty_below;

/* From here on new rings are on this kernel. Counts start anew. */
void faulty_begin(const struct fault *fault);

/* Back to the real one. How many faults were injected, or completions held back or overtaken; fails
 * the test if a mapping or a ring was left. */
unsigned faulty_end(void);

#endif
