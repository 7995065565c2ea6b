/* SPDX-License-Identifier: MIT */
#include "ring/ring.h"
#include "ring/caps.h"
#include "ring/restrict.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLAGS_BASE (IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP)
#define FLAGS_DEFER                                                                                \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

/* The ladder: the best first. A kernel that refuses a rung with -EINVAL is offered the next. */
static const unsigned ladder[] = {
    FLAGS_BASE | FLAGS_DEFER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_NO_SQARRAY,
    FLAGS_BASE | FLAGS_DEFER | IORING_SETUP_COOP_TASKRUN,
    FLAGS_BASE | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    FLAGS_BASE,
};

static int setup(struct ring *r, const struct ring_options *o, struct io_uring_params *p)
{
    int fd = -EINVAL;

    for (size_t i = 0; i < array_size(ladder) && fd == -EINVAL; i++) {
        memset(p, 0, sizeof *p);
        p->flags = ladder[i] & ~o->flags_off;
        p->flags |= o->restricted ? IORING_SETUP_R_DISABLED : 0;
        if ((p->flags & IORING_SETUP_SINGLE_ISSUER) == 0)
            p->flags &=
                ~(unsigned)IORING_SETUP_DEFER_TASKRUN; /* the kernel wants both or neither */
        if ((p->flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN)) == 0)
            p->flags &= ~(unsigned)IORING_SETUP_TASKRUN_FLAG;
        p->cq_entries = o->cq_entries;
        fd = r->kernel->setup(o->sq_entries, p);
        if (fd >= 0)
            r->caps.refused = ladder[0] & ~ladder[i];
    }
    if (fd >= 0)
        r->caps.granted = p->flags & ~(unsigned)IORING_SETUP_R_DISABLED;
    return fd;
}

static void unmap_rings(struct ring *r)
{
    if (r->u.sq.sqes != NULL)
        r->kernel->unmap(r->u.sq.sqes, r->sqes_bytes);
    if (r->u.sq.ring_ptr != NULL)
        r->kernel->unmap(r->u.sq.ring_ptr, r->u.sq.ring_sz);
}

/* Every kernel from 5.4 on maps both rings at once (IORING_FEAT_SINGLE_MMAP). */
static int map_rings(struct ring *r, const struct io_uring_params *p)
{
    struct io_uring_sq *sq = &r->u.sq;
    struct io_uring_cq *cq = &r->u.cq;
    size_t sq_bytes = p->sq_off.array + p->sq_entries * sizeof(unsigned);
    size_t cq_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    char *base;
    int error;

    sq->ring_sz = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    base = r->kernel->map(sq->ring_sz, r->u.ring_fd, IORING_OFF_SQ_RING, &error);
    if (base == NULL)
        return error;
    sq->ring_ptr = base;
    r->sqes_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    sq->sqes = r->kernel->map(r->sqes_bytes, r->u.ring_fd, IORING_OFF_SQES, &error);
    if (sq->sqes == NULL)
        return error;

    sq->khead = (void *)(base + p->sq_off.head);
    sq->ktail = (void *)(base + p->sq_off.tail);
    sq->kflags = (void *)(base + p->sq_off.flags);
    sq->kdropped = (void *)(base + p->sq_off.dropped);
    sq->ring_mask = p->sq_entries - 1;
    sq->ring_entries = p->sq_entries;
    if ((p->flags & IORING_SETUP_NO_SQARRAY) == 0) {
        sq->array = (void *)(base + p->sq_off.array);
        for (unsigned i = 0; i < p->sq_entries; i++)
            sq->array[i] = i;
    }
    cq->ring_ptr = base;
    cq->khead = (void *)(base + p->cq_off.head);
    cq->ktail = (void *)(base + p->cq_off.tail);
    cq->kflags = (void *)(base + p->cq_off.flags);
    cq->koverflow = (void *)(base + p->cq_off.overflow);
    cq->cqes = (void *)(base + p->cq_off.cqes);
    cq->ring_mask = p->cq_entries - 1;
    cq->ring_entries = p->cq_entries;
    return 0;
}

/* A thread can register 16 ring descriptors; beyond that the plain one serves. */
static void register_own_fd(struct ring *r)
{
    struct io_uring_rsrc_update u = {.offset = -1U, .data = (unsigned)r->u.ring_fd};

    r->enter_fd = r->u.ring_fd;
    if (r->kernel->control(r->u.ring_fd, IORING_REGISTER_RING_FDS, &u, 1) == 1) {
        r->enter_fd = (int)u.offset;
        r->enter_flags |= IORING_ENTER_REGISTERED_RING;
        r->caps.registered_fd = true;
    }
}

static void unregister_own_fd(struct ring *r)
{
    struct io_uring_rsrc_update u = {.offset = (unsigned)r->enter_fd};

    if (r->caps.registered_fd)
        r->kernel->control(r->u.ring_fd, IORING_UNREGISTER_RING_FDS, &u, 1);
}

static void limit_workers(struct ring *r, const struct ring_options *o)
{
    unsigned max[2] = {o->iowq_bounded, o->iowq_unbounded};

    /* 0 leaves a limit as it is. Refusal only means the kernel's own limits hold. */
    if (max[0] != 0 || max[1] != 0)
        r->kernel->control(r->u.ring_fd, IORING_REGISTER_IOWQ_MAX_WORKERS, max, 2);
}

int ring_init(struct ring *r, const struct ring_options *o, char *why, size_t why_bytes)
{
    struct io_uring_params p;
    int fd, error;

    memset(r, 0, sizeof *r);
    r->kernel = kernel_default;
    fd = setup(r, o, &p);
    if (fd < 0) {
        caps_explain(fd, why, why_bytes);
        r->kernel = NULL; /* there is nothing to destroy */
        return fd;
    }
    r->u.ring_fd = fd;
    r->u.flags = p.flags;
    r->u.features = p.features;
    r->caps.features = p.features;
    error = map_rings(r, &p);
    if (error == 0 && o->restricted) {
        error = ring_restrict(r);
        if (error != 0) {
            snprintf(why, why_bytes, "options.restrict_ring: the kernel refuses restrictions: %s",
                     strerror(-error));
            ring_destroy(r);
            return error;
        }
    }
    if (error == 0)
        error = caps_ask(r, o);
    if (error != 0) {
        caps_explain_late(error, why, why_bytes);
        ring_destroy(r);
        return error;
    }
    register_own_fd(r);
    limit_workers(r, o);
    return 0;
}

void ring_destroy(struct ring *r)
{
    if (r->kernel == NULL)
        return;
    unregister_own_fd(r);
    unmap_rings(r);
    r->kernel->close(r->u.ring_fd);
    free(r->backlog.sqes);
    memset(r, 0, sizeof *r);
}

static bool backlog_grow(struct ring_backlog *b)
{
    unsigned capacity = b->capacity == 0 ? 256 : b->capacity * 2;
    struct io_uring_sqe *sqes = malloc(capacity * sizeof *sqes);

    if (sqes == NULL)
        return false;
    for (unsigned i = 0; i < b->count; i++)
        sqes[i] = b->sqes[(b->head + i) & (b->capacity - 1)];
    free(b->sqes);
    *b = (struct ring_backlog){.sqes = sqes, .head = 0, .count = b->count, .capacity = capacity};
    return true;
}

struct io_uring_sqe *ring_sqe_slow(struct ring *r)
{
    struct ring_backlog *b = &r->backlog;
    struct io_uring_sqe *sqe;

    if (b->count == b->capacity && !backlog_grow(b))
        return NULL;
    sqe = &b->sqes[(b->head + b->count++) & (b->capacity - 1)];
    memset(sqe, 0, sizeof *sqe);
    r->spills++;
    return sqe;
}

static void backlog_move(struct ring *r)
{
    struct ring_backlog *b = &r->backlog;
    struct io_uring_sqe *sqe;

    while (b->count != 0 && (sqe = io_uring_get_sqe(&r->u)) != NULL) {
        *sqe = b->sqes[b->head];
        b->head = (b->head + 1) & (b->capacity - 1);
        b->count--;
    }
    /* [RING-1]: what starts next finds the backlog, or room behind all that came before. */
    check(b->count == 0 || r->u.sq.sqe_tail - r->u.sq.sqe_head == r->u.sq.ring_entries);
}

/* One call. Returns what the kernel took, or -errno. */
static int enter_once(struct ring *r, uint64_t timeout_ns)
{
    struct io_uring_sq *sq = &r->u.sq;
    struct __kernel_timespec ts;
    struct io_uring_getevents_arg arg = {.sigmask_sz = _NSIG / 8};
    unsigned flags = r->enter_flags | IORING_ENTER_GETEVENTS;
    unsigned wait = timeout_ns != 0, moved;
    int n;

    /* Release: pairs with the kernel's acquire of the tail; the SQEs before it are whole. */
    shared_store_release(sq->ktail, sq->sqe_tail);
    if (wait && timeout_ns != OURO_FOREVER) {
        ts.tv_sec = (long long)(timeout_ns / OURO_NSEC_PER_SEC);
        ts.tv_nsec = (long long)(timeout_ns % OURO_NSEC_PER_SEC);
        arg.ts = (uintptr_t)&ts;
        n = r->kernel->enter(r->enter_fd, sq->sqe_tail - sq->sqe_head, wait,
                             flags | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
    } else {
        n = r->kernel->enter(r->enter_fd, sq->sqe_tail - sq->sqe_head, wait, flags, NULL, 0);
    }
    r->enters++;
    /* Acquire: pairs with the kernel's release of the head; SQEs before it may be written anew. */
    moved = shared_load_acquire(sq->khead) - sq->sqe_head;
    check(moved <= sq->sqe_tail - sq->sqe_head); /* [RING-4] */
    sq->sqe_head += moved;
    r->submitted += moved;
    return n < 0 && moved == 0 ? n : (int)moved;
}

int ring_enter(struct ring *r, uint64_t timeout_ns)
{
    int n;

    if (OURO_UNLIKELY((shared_load_relaxed(r->u.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0))
        r->overflows++;
    do {
        backlog_move(r);
        n = enter_once(r, r->backlog.count != 0 ? 0 : timeout_ns);
    } while (n > 0 && r->backlog.count != 0);
    switch (n) {
    case -EINTR: /* a signal: the turn goes on */
    case -ETIME: /* the wait's own deadline */
        return 0;
    case -EAGAIN: /* no memory for a request */
    case -EBUSY:  /* completions must be taken first */
        return n;
    default:
        ensure(n >= 0, "io_uring_enter failed: %s", strerror(-n));
        return 0;
    }
}

int ring_register_buffers(struct ring *r, struct io_uring_buf_ring *br, unsigned entries,
                          unsigned group)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)br, .ring_entries = entries, .bgid = (uint16_t)group};

    return r->kernel->control(r->u.ring_fd, IORING_REGISTER_PBUF_RING, &reg, 1);
}

int ring_unregister_buffers(struct ring *r, unsigned group)
{
    struct io_uring_buf_reg reg = {.bgid = (uint16_t)group};

    return r->kernel->control(r->u.ring_fd, IORING_UNREGISTER_PBUF_RING, &reg, 1);
}
