/* SPDX-License-Identifier: MIT */
/* What the kernel has on loan from an operation's start to its end: the memory that it writes, and
 * one word of the operation. Where AddressSanitizer or memcheck looks on, whoever touches it
 * meanwhile is told at once, and so is who frees it; other builds have none of this.
 *
 * Shown by tests alone:
 *   [LOAN-1] What is lent follows from the SQE (loan.c), for every operation alike: no start can
 *            forget it.
 *   [LOAN-2] Of the operation only `place` is lent: the rest is read by inline waits, and linked.
 *            That is enough to find one that is copied, cleared, started again or freed.
 *   [LOAN-3] What the kernel only reads is not lent, since several operations may send the same
 *            memory at once. The start looks at it as write(2) would have been looked at.
 *   [LOAN-4] Several operations may receive into the same memory, when nobody wants what comes. The
 *            first that ends returns it.
 */
#ifndef SHARD_LOAN_H
#define SHARD_LOAN_H

#include <ouro/future.h>
#include <stdbool.h>
#include "base/poison.h"

#define LOANS (POISON_ASAN || POISON_MEMCHECK)

struct io_uring_sqe;

/* Where it was started: while it is on loan, only reports may look. */
SEES_POISON static inline const void *op_place(const struct ouro_op *op)
{
    return op->place;
}

#if LOANS

#define LOAN_BUCKETS 256

struct loans {
    struct loan *bucket[LOAN_BUCKETS]; /* by operation */
};

/* Has the free hook installed: once per process. */
void loans_init(struct loans *l);

/* `sqe` NULL: lends the operation alone. Again for the same operation: nothing. */
void loan_begin(struct loans *l, const struct ouro_op *op, const struct io_uring_sqe *sqe);
void loan_end(struct loans *l, const struct ouro_op *op);

/* True when something that this operation lent lies in [low, end). */
bool loan_within(const struct loans *l, const struct ouro_op *op, const void *low, const void *end);

#else

struct loans {
};

static inline void loans_init(struct loans *l)
{
    (void)l;
}

static inline void loan_begin(struct loans *l, const struct ouro_op *op,
                              const struct io_uring_sqe *sqe)
{
    (void)l, (void)op, (void)sqe;
}

static inline void loan_end(struct loans *l, const struct ouro_op *op)
{
    (void)l, (void)op;
}

static inline bool loan_within(const struct loans *l, const struct ouro_op *op, const void *low,
                               const void *end)
{
    (void)l, (void)op, (void)low, (void)end;
    return false;
}

#endif
#endif
