/* SPDX-License-Identifier: MIT */
/* Closing: refuse new operations, end those in flight, await them, close the descriptor, free the
 * slot. */
#include "io/close.h"
#include "io/port.h"

#include <string.h>

/* Only a cancellation: a shutdown is carried out by a worker of the kernel, which looks the
 * descriptor up when it gets to it and may find the next owner of a direct one; and before a reset
 * the peer would see an end of the stream.
 *
 * What is on its way from one hand of the kernel to another is missed by a cancellation: what has
 * not ended this long after one is cancelled again. */
#define AGAIN_NS OURO_NSEC_PER_MSEC

static void ask_cancel_all(struct shard *s, const struct slot *slot)
{
    struct io_uring_sqe *sqe = ring_sqe(&s->ring);

    if (sqe == NULL)
        return; /* no memory: asked again later */
    io_uring_prep_cancel_fd(sqe, slot->fd,
                            IORING_ASYNC_CANCEL_ALL |
                                (slot->direct ? (unsigned)IORING_ASYNC_CANCEL_FD_FIXED : 0u));
    sqe->user_data = op_internal_data(INTERNAL_CANCEL, 0);
    s->counters.cancels++;
}

static struct slot *slot_of(struct ouro_close *c)
{
    return &shard_self->slots.slot[handle_slot(c->id)];
}

static void close_step(struct ouro_close *c)
{
    struct slot *slot = slot_of(c);
    struct io_uring_sqe *sqe = op_begin(shard_self, &c->step, IORING_OP_CLOSE, c->op.place);

    if (sqe == NULL)
        return;
    if (slot->direct)
        io_uring_prep_close_direct(sqe, (unsigned)slot->fd);
    else
        io_uring_prep_close(sqe, slot->fd);
    op_go(&c->step, sqe, NULL, TAG_OP);
}

/* Only after the close may the next one bind there. */
static void leave_port(struct shard *s, const struct slot *slot)
{
    if (slot->kind == SLOT_CONN)
        port_close(s->number, slot->object);
}

static void close_resume(struct ouro_task *task)
{
    struct ouro_close *c = OURO_FRAME(task, struct ouro_close, task);
    struct shard *s = shard_self;

    OURO_BEGIN(task);
    while (slot_of(c)->inflight != 0) {
        ask_cancel_all(s, slot_of(c));
        future_init(&c->drained, KIND_EVENT);
        slot_of(c)->drained = &c->drained;
        OURO_AWAIT_UNTIL(task, &c->drained, &c->again, ouro_after_ns(AGAIN_NS));
        slot_of(c)->drained = NULL;
    }
    close_step(c);
    OURO_AWAIT(task, &c->step.future);
    leave_port(s, slot_of(c));
    slots_free(&s->slots, c->id); /* nothing if the entry was handed out again: [SLOT-3] */
    CALL_END(task, c->step.future.result);
}

void close_slot_start(struct ouro_close *c, struct slot *slot, const void *place)
{
    slot_begin_close(slot);
    c->id = slot->id;
    call_start(shard_self, (struct call *)&c->op, close_resume, "close", place, true);
}

static void start(struct ouro_close *c, uint64_t id, enum slot_kind kind, const void *place)
{
    struct shard *s = shard_self;
    struct slot *slot = s != NULL ? slots_find(&s->slots, id, kind) : NULL;

    if (slot == NULL)
        op_refuse(&c->op, s == NULL ? -OURO_ENOSHARD : slots_missing(&s->slots, id));
    else
        close_slot_start(c, slot, place);
}

void ouro_close_start(struct ouro_close *c, ouro_conn conn)
{
    start(c, conn.id, SLOT_CONN, __builtin_return_address(0));
}

void ouro_file_close_start(struct ouro_close *c, ouro_file file)
{
    start(c, file.id, SLOT_FILE, __builtin_return_address(0));
}

int ouro_file_close(ouro_file file)
{
    struct ouro_close c;

    ouro_file_close_start(&c, file);
    return ouro_await(&c.op.future);
}

int ouro_close(ouro_conn conn)
{
    struct shard *s = shard_self;
    struct slot *slot;
    struct ouro_close c;

    if (s == NULL)
        return -OURO_ENOSHARD;
    slot = slots_find(&s->slots, conn.id, SLOT_CONN);
    if (slot == NULL)
        return slots_missing(&s->slots, conn.id);
    if (slot->inflight == 0 && slot->object == NULL) {
        op_close_detached(s, slot);
        return 0;
    }
    close_slot_start(&c, slot, __builtin_return_address(0));
    return ouro_await(&c.op.future);
}

int ouro_close_reset(ouro_conn conn)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    int error;

    error = ouro_shield_enter();
    if (error != 0)
        return error;
    ouro_setsockopt(conn, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    error = ouro_close(conn);
    ouro_shield_leave();
    return error;
}
