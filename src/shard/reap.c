/* SPDX-License-Identifier: MIT */
/* Taking completions: each is stored in its operation, and the waiter is linked into the run queue.
 * No user code runs here. */
#include "shard/reap.h"
#include "shard/op.h"

#include <ouro/raw.h>
#include <poll.h>
#include <sys/epoll.h>

void reap_arm_bell(struct shard *s)
{
    struct io_uring_sqe *sqe = ring_sqe(&s->ring);

    if (sqe == NULL)
        return; /* tried again next turn */
    io_uring_prep_poll_multishot(sqe, s->mesh.mesh->bells[s->number].eventfd, POLLIN | EPOLLET);
    sqe->user_data = op_internal_data(INTERNAL_BELL, 0);
    s->bell_armed = true;
}

bool mesh_ring_message(struct shard *s, unsigned to, int ring_fd)
{
    struct io_uring_sqe *sqe = ring_sqe(&s->ring);

    if (sqe == NULL)
        return false;
    io_uring_prep_msg_ring(sqe, ring_fd, 0, op_internal_data(INTERNAL_RUNG, 0), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = op_internal_data(INTERNAL_WAKE, to);
    return true;
}

/* An interrupted system call: also the codes by which the kernel would restart one (512 and on),
 * which some operations let out of a worker thread. */
static inline bool interrupted(int result)
{
    return result == -EINTR || result <= -512;
}

/* The end of an operation that was cancelled, or interrupted: a worker thread of the kernel that is
 * told to stop says the latter. */
static void cut_short(struct shard *s, struct ouro_op *op, int result)
{
    bool closing = op->slot != SLOT_NONE && s->slots.slot[op->slot].closing;

    if (interrupted(result))
        result = closing || op->future.state == OURO_CANCELLING ? -ECANCELED : -EINTR;
    op->future.result = result;
    if (op->future.state == OURO_CANCELLING && !op_over(op))
        return;
    op->cqe_flags = 0;
    op_release_slot(s, op);
    op_complete(s, op, result);
}

static void zc_over(struct shard *s, struct ouro_send_zc *z)
{
    loan_end(&s->loans, &z->op);
    op_unlink(&z->op);
    if (z->op.future.state != OURO_DONE)
        future_complete(s, &z->op.future, z->op.future.result);
    future_complete(s, &z->released, z->released.result);
}

/* Zero-copy send: the first completion says what was sent, the second that the buffer is free. Only
 * the second ends it; an error may come without a second one. */
static void zc_complete(struct shard *s, struct ouro_op *op, int result, unsigned flags)
{
    struct ouro_send_zc *z = container_of(op, struct ouro_send_zc, op);
    bool more = (flags & IORING_CQE_F_MORE) != 0;
    bool notice_only = (flags & IORING_CQE_F_NOTIF) != 0;

    /* What was sent needs the descriptor no longer: a close does not wait for a peer to read. */
    op_release_slot(s, op);
    if (!notice_only)
        op->future.result = result;
    if (more) {
        future_complete(s, &op->future, result);
        return;
    }
    z->released.result = notice_only && ((unsigned)result & IORING_NOTIF_USAGE_ZC_COPIED) != 0;
    if (op_over(op))
        zc_over(s, z);
}

/* An operation that the caller filled in. What else an opcode unknown to the start completes with
 * is nobody's: it is cancelled, and over with the last. */
static void raw_complete(struct shard *s, struct ouro_op *op, int result, unsigned flags)
{
    struct ouro_op_raw *r = container_of(op, struct ouro_op_raw, op);

    if (!r->more) {
        r->cqe_flags = flags;
        op->future.result = result;
    }
    if ((flags & IORING_CQE_F_MORE) != 0) {
        r->more = true;
        future_cancel(s, &op->future);
        return;
    }
    cut_short(s, op, op->future.result);
}

/* The kernel's answer to a cancellation. */
static void answer(struct shard *s, uint64_t user_data, int result)
{
    struct ouro_op *op = (struct ouro_op *)(uintptr_t)(user_data & ~UINT64_C(7));
    enum op_tag tag = (enum op_tag)(user_data & 7);
    bool over = (op->cqe_flags & CANCEL_OVER) != 0;

    op->cqe_flags = 0;
    if (!over) {
        if (result == -ENOENT && op->future.state != OURO_DONE) /* not what was sent already */
            op_cancel(s, op, tag);
        return;
    }
    switch (tag) {
    case TAG_ZC:
        zc_over(s, container_of(op, struct ouro_send_zc, op));
        break;
    case TAG_RECV_SOURCE:
        recv_source_over(s, op);
        break;
    case TAG_ACCEPT_SOURCE:
        accept_source_over(s, op);
        break;
    case TAG_POLL_SOURCE:
        poll_source_over(s, op);
        break;
    default:
        cut_short(s, op, op->future.result);
        break;
    }
}

/* What the completion of a close says about its slot: the number, and 24 bits of the generation. */
static uint64_t close_payload(const struct slot *slot)
{
    uint64_t generation = handle_generation(slot->id) & 0xffffff;

    return generation << HANDLE_SLOT_BITS | handle_slot(slot->id);
}

static void internal(struct shard *s, const struct io_uring_cqe *cqe)
{
    switch ((cqe->user_data >> 3) & 31) {
    case INTERNAL_BELL:
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            s->bell_armed = false;
        break;
    case INTERNAL_WAKE:
        if (cqe->res < 0)
            mesh_ring_again(&s->mesh, (unsigned)(cqe->user_data >> 8));
        break;
    case INTERNAL_ANSWER:
        answer(s, cqe->user_data >> 8, cqe->res);
        break;
    case INTERNAL_CLOSE: {
        uint64_t payload = cqe->user_data >> 8;
        struct slot *slot = &s->slots.slot[handle_slot(payload)];

        /* [SLOT-3]: the slot may have been handed out again; then it is not closing. */
        if (slot->closing && payload == close_payload(slot))
            slots_free(&s->slots, slot->id);
        break;
    }
    default:
        break;
    }
}

void op_close_detached(struct shard *s, struct slot *slot)
{
    struct io_uring_sqe *sqe = ring_sqe(&s->ring);

    slot_begin_close(slot);
    if (sqe == NULL)
        return; /* no memory: it stays open, is counted at stop, and ends with the ring */
    if (slot->direct)
        io_uring_prep_close_direct(sqe, (unsigned)slot->fd);
    else
        io_uring_prep_close(sqe, slot->fd);
    sqe->user_data = op_internal_data(INTERNAL_CLOSE, close_payload(slot));
}

static inline void one(struct shard *s, const struct io_uring_cqe *cqe)
{
    struct ouro_op *op = (struct ouro_op *)(uintptr_t)(cqe->user_data & ~UINT64_C(7));

    switch (cqe->user_data & 7) {
    case TAG_OP:
        if (OURO_UNLIKELY(op->future.state == OURO_CANCELLING || interrupted(cqe->res))) {
            cut_short(s, op, cqe->res);
            break;
        }
        op->cqe_flags = cqe->flags;
        op_release_slot(s, op);
        op_complete(s, op, cqe->res);
        break;
    case TAG_ZC:
        zc_complete(s, op, cqe->res, cqe->flags);
        break;
    case TAG_RECV_SOURCE:
        recv_source_complete(s, op, cqe->res, cqe->flags);
        break;
    case TAG_ACCEPT_SOURCE:
        accept_source_complete(s, op, cqe->res, cqe->flags);
        break;
    case TAG_INTERNAL:
        internal(s, cqe);
        break;
    case TAG_POLL_SOURCE:
        poll_source_complete(s, op, cqe->res, cqe->flags);
        break;
    case TAG_RAW:
        raw_complete(s, op, cqe->res, cqe->flags);
        break;
    default:
        fatal("a completion with user data %#llx", (unsigned long long)cqe->user_data);
    }
}

void reap(struct shard *s)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;

    ring_for_each_cqe(&s->ring, head, cqe)
    {
        one(s, cqe);
        n++;
    }
    if (n != 0)
        ring_advance(&s->ring, n);
    s->counters.completions += n;
}
