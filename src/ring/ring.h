/* SPDX-License-Identifier: MIT */
/* One io_uring instance: set-up by a ladder of flags, room for SQEs, one call per turn.
 *
 *        ring_sqe()                      ring_enter()
 *   starts ───────► SQ ──┐          ┌──► kernel ──► CQ ──► ring_for_each_cqe, ring_advance
 *            full │      ├─ publish ┘
 *                 └► backlog (copied into the SQ, in order, as it gets room)
 *
 * Invariants
 *   [RING-1] SQEs reach the kernel in the order of ring_sqe(): while the backlog holds one, new
 * ones go behind it. So a cancellation never overtakes what it cancels, and never meets an
 *            operation started after it at the same address.
 *   [RING-4] Nothing is lost: what the kernel did not take stays in the SQ for the next turn.
 * Shown by tests alone:
 *   [RING-2] ring_sqe() fails only when the backlog cannot grow (no memory).
 *   [RING-3] At most one io_uring_enter per ring_enter(), except to hand over a backlog.
 * One thread owns a ring: the one that made it.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <liburing.h>
#include "base/atomic.h"
#include "base/check.h"
#include "ring/kernel.h"

/* Newer than liburing 2.9. */
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT  (1U << 17)
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif

/* What this ring can do, asked of it at set-up, never of the version string. */
struct ring_caps {
    unsigned granted;    /* IORING_SETUP_* */
    unsigned refused;    /* asked for and refused */
    unsigned features;   /* IORING_FEAT_* */
    unsigned last_op;    /* highest opcode */
    uint64_t ops[4];     /* bit per opcode */
    bool registered_fd;  /* the ring descriptor is registered */
    bool direct;         /* a table of direct descriptors is registered, and closes at once */
    bool direct_sockets; /* and serves for sockets: options, and a way out to an ordinary one */
    bool no_iowait;      /* waits can be kept out of iowait */
};

struct ring_options {
    unsigned sq_entries, cq_entries;
    unsigned flags_off;
    unsigned descriptors; /* size of the direct table wanted, 0: none */
    unsigned iowq_bounded, iowq_unbounded;
    bool restricted; /* takes only what the runtime uses */
};

struct ring_backlog {
    struct io_uring_sqe *sqes;
    unsigned head, count, capacity; /* a circle */
};

struct ring {
    struct io_uring u; /* liburing's structures, filled in here */
    const struct kernel *kernel;
    struct ring_backlog backlog;
    size_t sqes_bytes; /* mapped */
    struct ring_caps caps;
    unsigned enter_flags;
    int enter_fd;
    unsigned direct_entries;
    uint64_t enters, submitted, spills, overflows;
};

/* Makes the ring on the calling thread. 0 or -errno; `why` (may be NULL) gets a sentence on
 * failure. */
int ring_init(struct ring *r, const struct ring_options *o, char *why, size_t why_bytes);
void ring_destroy(struct ring *r);

/* Room in the backlog when the SQ is full; NULL: no memory. */
struct io_uring_sqe *ring_sqe_slow(struct ring *r);

/* An SQE, initialised by liburing except for what the prep helper writes. Not io_uring_get_sqe():
 * the kernel moves its head only in this thread's calls, after which sqe_head is the same, and no
 * ring has large entries or a polling thread. */
static inline struct io_uring_sqe *ring_sqe(struct ring *r)
{
    struct io_uring_sq *sq = &r->u.sq;
    struct io_uring_sqe *sqe;

    if (OURO_UNLIKELY(r->backlog.count != 0 || sq->sqe_tail - sq->sqe_head == sq->ring_entries))
        return ring_sqe_slow(r);
    sqe = &sq->sqes[sq->sqe_tail++ & sq->ring_mask];
    io_uring_initialize_sqe(sqe);
    return sqe;
}

/* True when the kernel has everything: no message to another ring is on its way. */
static inline bool ring_all_submitted(const struct ring *r)
{
    return r->u.sq.sqe_tail == r->u.sq.sqe_head && r->backlog.count == 0;
}

/* True when a call into the kernel has something to do besides waiting. */
static inline bool ring_has_work(const struct ring *r)
{
    /* Relaxed: the kernel sets these bits in this thread's own calls, or before it wakes it. */
    unsigned flags = shared_load_relaxed(r->u.sq.kflags);

    return r->u.sq.sqe_tail != r->u.sq.sqe_head || r->backlog.count != 0 ||
           (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* True when completions wait to be taken. */
static inline bool ring_cq_ready(const struct ring *r)
{
    /* Acquire pairs with the kernel's release of the CQ tail. */
    return shared_load_acquire(r->u.cq.ktail) != *r->u.cq.khead;
}

/* Hands everything over and takes what is ready; `timeout_ns` 0: does not wait; OURO_FOREVER: waits
 * until a completion comes. Returns 0, or -EAGAIN / -EBUSY when the kernel could take nothing (try
 * again after reaping). Other failures of the call are broken invariants. */
int ring_enter(struct ring *r, uint64_t timeout_ns);

#define ring_for_each_cqe(r, head, cqe) io_uring_for_each_cqe(&(r)->u, head, cqe)

static inline void ring_advance(struct ring *r, unsigned n)
{
    io_uring_cq_advance(&r->u, n);
}

static inline bool ring_has_op(const struct ring *r, unsigned op)
{
    return op < 256 && (r->caps.ops[op / 64] >> (op % 64) & 1) != 0;
}

/* The name of an opcode, for reports; and whether the runtime uses it: only those have one. */
__attribute__((const)) const char *ring_op_name(unsigned op);
bool ring_op_used(unsigned op);

/* A registered ring of provided buffers. `entries` is a power of two up to 32768. */
int ring_register_buffers(struct ring *r, struct io_uring_buf_ring *br, unsigned entries,
                          unsigned group);
int ring_unregister_buffers(struct ring *r, unsigned group);

#endif
