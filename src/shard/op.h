/* SPDX-License-Identifier: MIT */
/* Starting operations: from a handle to an SQE, and what the completion finds in user_data.
 *
 * user_data of an operation is its address with a tag in the low three bits; the reaper (reap.c)
 * needs no table and calls nothing through a pointer. */
#ifndef SHARD_OP_H
#define SHARD_OP_H

#include <errno.h>
#include <ouro/timer.h>
#include "shard/task.h"

enum op_tag {
    TAG_OP = 0,
    TAG_ZC = 1,
    TAG_RECV_SOURCE = 2,
    TAG_ACCEPT_SOURCE = 3,
    TAG_INTERNAL = 4, /* no address: enum op_internal in bits 3-7, payload above */
    TAG_RAW = 5,
    TAG_POLL_SOURCE = 6,
};

enum op_internal {
    INTERNAL_CANCEL = 0, /* the answer to a cancellation: nothing to do */
    INTERNAL_BELL = 1,
    INTERNAL_CLOSE = 2,  /* of a descriptor nobody waits for; payload: its slot */
    INTERNAL_RUNG = 4,   /* another shard's message: nothing to do but wake */
    INTERNAL_WAKE = 5,   /* such a message failed; payload: whom it was for */
    INTERNAL_ANSWER = 3, /* to the cancellation of the operation whose user_data is the payload */
};

/* Notes in cqe_flags of an operation that is CANCELLING. */
enum op_cancelling {
    CANCEL_ASKED = 1, /* the kernel's answer is on its way: the operation stays until then */
    CANCEL_OVER = 2,  /* its last completion came meanwhile */
};

static inline uint64_t op_user_data(const struct ouro_op *op, enum op_tag tag)
{
    return (uint64_t)(uintptr_t)op | tag;
}

static inline uint64_t op_internal_data(enum op_internal what, uint64_t payload)
{
    return payload << 8 | (uint64_t)what << 3 | TAG_INTERNAL;
}

/* The first half of every start: the shard, the task's consent, an SQE. On NULL the future is DONE
 * with the error. */
static inline struct io_uring_sqe *op_begin(struct shard *s, struct ouro_op *op, unsigned opcode,
                                            const void *place)
{
    struct io_uring_sqe *sqe;

    if (OURO_UNLIKELY(s == NULL)) {
        op_refuse(op, -OURO_ENOSHARD);
        return NULL;
    }
    if (OURO_UNLIKELY(task_cancelled(s->current))) {
        op_refuse(op, -ECANCELED);
        return NULL;
    }
    sqe = ring_sqe(&s->ring);
    if (OURO_UNLIKELY(sqe == NULL)) {
        op_refuse(op, -ENOMEM);
        return NULL;
    }
    op_init(s, op, KIND_OP, place);
    op->future.opcode = (uint8_t)opcode;
    op_note(s, op, ring_op_name(opcode));
    return sqe;
}

/* The same on a handle: also checks it and holds its slot until completion. */
static inline struct io_uring_sqe *op_begin_on(struct shard *s, struct ouro_op *op, uint64_t handle,
                                               enum slot_kind kind, unsigned opcode,
                                               const void *place, struct slot **slot)
{
    struct io_uring_sqe *sqe;

    *slot = s != NULL ? slots_find(&s->slots, handle, kind) : NULL;
    if (OURO_UNLIKELY(s != NULL && *slot == NULL)) {
        op_refuse(op, slots_missing(&s->slots, handle));
        return NULL;
    }
    sqe = op_begin(s, op, opcode, place);
    if (OURO_LIKELY(sqe != NULL)) {
        op->slot = slot_index(&s->slots, *slot);
        (*slot)->inflight++;
    }
    return sqe;
}

/* The second half, after the prep helper: aims at the descriptor and names the operation. From here
 * on the kernel owns it. (The buffers of receive sources are the pool's to guard.) */
static inline void op_go(struct ouro_op *op, struct io_uring_sqe *sqe, const struct slot *slot,
                         enum op_tag tag)
{
    loan_begin(&shard_self->loans, op, tag == TAG_RECV_SOURCE ? NULL : sqe);
    if (slot != NULL)
        slot_aim(slot, sqe);
    sqe->user_data = op_user_data(op, tag);
}

/* An operation on the slot is over. */
static inline void op_release_slot(struct shard *s, struct ouro_op *op)
{
    struct slot *slot;

    if (op->slot == SLOT_NONE)
        return;
    slot = &s->slots.slot[op->slot];
    op->slot = SLOT_NONE;
    if (--slot->inflight == 0 && slot->drained != NULL)
        future_complete(s, slot->drained, 0);
}

/* What a call's step on a handle gave that was good at the call's start: closed between two steps
 * it ends the call as it does during one. */
static inline int op_step_result(struct shard *s, uint64_t handle, enum slot_kind kind, int result)
{
    if (OURO_UNLIKELY(result == -EBADF) && slots_find(&s->slots, handle, kind) == NULL)
        return -ECANCELED;
    return result;
}

/* Asks the kernel to cancel an operation. On its way from one hand of the kernel to another an
 * operation is not found (-ENOENT) and would go on: so the answer comes back to it, and the
 * question is repeated until the operation has been found or is over (reap.c). */
static inline void op_cancel(struct shard *s, struct ouro_op *op, enum op_tag tag)
{
    struct io_uring_sqe *sqe = ring_sqe(&s->ring);

    op->cqe_flags = 0;
    if (sqe == NULL)
        return; /* no memory: the operation ends in its own time, and is waited for */
    io_uring_prep_cancel64(sqe, op_user_data(op, tag), 0);
    sqe->user_data = op_internal_data(INTERNAL_ANSWER, op_user_data(op, tag));
    op->cqe_flags = CANCEL_ASKED;
    s->counters.cancels++;
}

/* After the last completion of an operation: true if it is over. Else it stays until the answer to
 * its cancellation has come, and is reaped once more then. */
static inline bool op_over(struct ouro_op *op)
{
    if (OURO_LIKELY((op->cqe_flags & CANCEL_ASKED) == 0))
        return true;
    op->cqe_flags |= CANCEL_OVER;
    return false;
}

/* Of a pending timer. */
static inline void timer_cancel(struct shard *s, struct ouro_timer *t)
{
    wheel_cancel(&s->wheel, &t->node);
    frame_timer_forget(s, t);
    future_complete(s, &t->future, -ECANCELED);
}

/* Sources, reaped (recv_source.c, accept_source.c). */
void recv_source_complete(struct shard *s, struct ouro_op *op, int result, unsigned flags);
void recv_sources_unpark(struct shard *s); /* each turn, before the pools are published */
void accept_source_complete(struct shard *s, struct ouro_op *op, int result, unsigned flags);
void recv_source_over(struct shard *s,
                      struct ouro_op *op); /* their operation, with its last result */
void accept_source_over(struct shard *s, struct ouro_op *op);
void poll_source_complete(struct shard *s, struct ouro_op *op, int result, unsigned flags);
void poll_source_over(struct shard *s, struct ouro_op *op);

/* Ends multishot accepts, which go on one by one, when the free entries might not suffice:
 * [SLOT-4]. */
void accept_sources_give_way(struct shard *s);

/* Before an operation that takes a direct entry. False: the table is full. */
static inline bool direct_promise(struct shard *s)
{
    if (slots_free_direct(&s->slots) == 0) {
        s->slots.refused++;
        return false;
    }
    s->slots.promised++;
    if (OURO_UNLIKELY(slots_free_direct(&s->slots) < s->slots.bursts))
        accept_sources_give_way(s);
    return true;
}

/* It is over: the entry, if it took one, is counted as open. */
static inline void direct_keep(struct shard *s)
{
    check(s->slots.promised != 0);
    s->slots.promised--;
}

/* Closes a slot's descriptor without anyone waiting. Nothing may be in flight on it. */
void op_close_detached(struct shard *s, struct slot *slot);

#endif
