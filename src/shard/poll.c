/* SPDX-License-Identifier: MIT */
/* Readiness. A source by level is a single poll, armed anew whenever its mask was taken: the kernel
 * looks at the descriptor then. A source by edge is a multishot one.
 *
 *   [POLL-1] The source is in its task's list from open until the last completion.
 *   [POLL-2] `ready` is DONE exactly while there is a mask to take or the end has come.
 *   [POLL-3] A source without an operation in the kernel has a mask to take, or has ended.
 */
#include "shard/fiber.h"
#include "shard/op.h"

#include <ouro/poll.h>

#define CALLER __builtin_return_address(0)

enum source_flag {
    ARMED = 1,    /* an operation is in the kernel */
    ASKED = 2,    /* and its cancellation was asked for */
    STOPPING = 4, /* does not go on */
    ENDED = 8,
    OPEN = 16, /* set from open to close */
    EDGE = 32,
};

void ouro_poll_start(struct ouro_poll *p, int fd, short events)
{
    struct io_uring_sqe *sqe;

    if (fd < 0) {
        op_refuse(&p->op, -EBADF);
        return;
    }
    sqe = op_begin(shard_self, &p->op, IORING_OP_POLL_ADD, CALLER);
    if (sqe == NULL)
        return;
    io_uring_prep_poll_add(sqe, fd, (unsigned short)events);
    op_go(&p->op, sqe, NULL, TAG_OP);
}

/* --- sources --------------------------------------------------------------------------------- */

/* What its parts say of an open source, whenever nobody works on it. */
static void assert_state(const struct ouro_poll_source *p)
{
    bool ended = (p->flags & ENDED) != 0, armed = (p->flags & ARMED) != 0;

    check(ended == (p->op.pprev == NULL));                           /* [POLL-1] */
    check((p->ready.state == OURO_DONE) == (p->mask != 0 || ended)); /* [POLL-2] */
    check(armed || p->mask != 0 || ended);                           /* [POLL-3] */
    check(!armed || !ended);
    (void)ended, (void)armed;
}

static void end(struct shard *s, struct ouro_poll_source *p, int result)
{
    p->flags |= ENDED;
    p->end = result;
    op_complete(s, &p->op, result);
    if (p->ready.state != OURO_DONE)
        future_complete(s, &p->ready, 0);
}

static void arm(struct shard *s, struct ouro_poll_source *p)
{
    struct io_uring_sqe *sqe = ring_sqe(&s->ring);

    if (sqe == NULL) {
        end(s, p, -ENOMEM);
        return;
    }
    if ((p->flags & EDGE) != 0)
        io_uring_prep_poll_multishot(sqe, p->fd, p->events);
    else
        io_uring_prep_poll_add(sqe, p->fd, p->events);
    op_go(&p->op, sqe, NULL, TAG_POLL_SOURCE);
    p->flags |= ARMED;
}

static void ask_cancel(struct shard *s, struct ouro_poll_source *p)
{
    if ((p->flags & ASKED) != 0)
        return;
    p->flags |= ASKED;
    op_cancel(s, &p->op, TAG_POLL_SOURCE);
}

static uint16_t wanted(const struct ouro_poll_source *p)
{
    return p->events | POLLERR | POLLHUP | POLLNVAL;
}

/* The mask is `mask` now. */
static void set_mask(struct shard *s, struct ouro_poll_source *p, uint16_t mask)
{
    p->mask = mask;
    if (mask == 0 && (p->flags & ENDED) == 0)
        p->ready.state = OURO_PENDING; /* [POLL-2] */
    else if (p->ready.state != OURO_DONE)
        future_complete(s, &p->ready, 0);
}

/* The kernel ended the operation: does the source go on, and how? */
static void ended(struct shard *s, struct ouro_poll_source *p, int result)
{
    bool asked = (p->flags & ASKED) != 0;

    p->flags &= (uint8_t) ~(ARMED | ASKED);
    if ((p->flags & STOPPING) != 0)
        end(s, p, -ECANCELED);
    else if (result < 0 && !(asked && result == -ECANCELED))
        end(s, p, result);
    else if (p->mask == 0) /* else when it was taken: [POLL-3] */
        arm(s, p);
}

void poll_source_complete(struct shard *s, struct ouro_op *op, int result, unsigned flags)
{
    struct ouro_poll_source *p = container_of(op, struct ouro_poll_source, op);

    if (result > 0 && (p->flags & STOPPING) == 0)
        set_mask(s, p, p->mask | ((uint16_t)result & wanted(p)));
    if ((flags & IORING_CQE_F_MORE) == 0) {
        op->future.result = result;
        if (op_over(op))
            ended(s, p, result);
    }
    assert_state(p);
}

void poll_source_over(struct shard *s, struct ouro_op *op)
{
    struct ouro_poll_source *p = container_of(op, struct ouro_poll_source, op);

    ended(s, p, op->future.result);
    assert_state(p);
}

int ouro_poll_source_open(struct ouro_poll_source *p, int fd, short events, unsigned flags)
{
    struct shard *s = shard_self;

    if (p == NULL)
        return -EINVAL;
    *p = (struct ouro_poll_source){.fd = fd, .events = (uint16_t)events};
    op_refuse(&p->op, -EINVAL);
    future_init(&p->ready, KIND_EVENT);
    if (s == NULL)
        return -OURO_ENOSHARD;
    if (task_cancelled(s->current))
        return -ECANCELED;
    if (fd < 0)
        return -EBADF;
    if ((flags & ~(unsigned)OURO_POLL_EDGE) != 0)
        return -EINVAL;
    op_init(s, &p->op, KIND_POLL, CALLER);
    p->flags = OPEN | ((flags & OURO_POLL_EDGE) != 0 ? EDGE : 0);
    arm(s, p);
    assert_state(p);
    return 0;
}

static bool foreign(const struct shard *s, const struct ouro_poll_source *p)
{
    return (p->flags & OPEN) != 0 && future_foreign(s, &p->op.future);
}

int ouro_poll_take(struct ouro_poll_source *p)
{
    struct shard *s = shard_self;
    int mask;

    if (p == NULL)
        return -EINVAL;
    if (s == NULL)
        return -OURO_ENOSHARD;
    if (foreign(s, p))
        return -OURO_EOTHERSHARD;
    if (task_cancelled(s->current))
        return -ECANCELED;
    mask = p->mask;
    if (mask == 0)
        return (p->flags & ENDED) != 0 ? p->end : (p->flags & OPEN) != 0 ? -EAGAIN : -EBADF;
    set_mask(s, p, 0);
    if ((p->flags & (ARMED | ENDED)) == 0)
        arm(s, p);
    assert_state(p);
    return mask;
}

int ouro_poll_source_update(struct ouro_poll_source *p, short events)
{
    struct shard *s = shard_self;

    if (p == NULL)
        return -EINVAL;
    if (s == NULL)
        return -OURO_ENOSHARD;
    if (foreign(s, p))
        return -OURO_EOTHERSHARD;
    if ((p->flags & (OPEN | STOPPING | ENDED)) != OPEN)
        return -EBADF;
    p->events = (uint16_t)events;
    set_mask(s, p, p->mask & wanted(p));
    if ((p->flags & ARMED) != 0)
        ask_cancel(s, p); /* armed anew when it has ended */
    else if (p->mask == 0)
        arm(s, p);
    assert_state(p);
    return 0;
}

void ouro_poll_source_stop(struct ouro_poll_source *p)
{
    struct shard *s = shard_self;

    if (s == NULL || p == NULL || (p->flags & (OPEN | STOPPING | ENDED)) != OPEN)
        return;
    future_ensure_own(s, &p->op.future, "ouro_poll_source_stop");
    p->flags |= STOPPING;
    set_mask(s, p, 0);
    if ((p->flags & ARMED) != 0)
        ask_cancel(s, p);
    else
        end(s, p, -ECANCELED);
}

int ouro_poll_source_close(struct ouro_poll_source *p)
{
    struct shard *s = shard_self;
    struct ouro_task *self;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (p == NULL)
        return -EINVAL;
    if ((p->flags & OPEN) == 0)
        return 0;
    if (foreign(s, p))
        return -OURO_EOTHERSHARD;
    ouro_poll_source_stop(p);
    if ((p->flags & ENDED) == 0) {
        self = fiber_required(s, "ouro_poll_source_close");
        while ((p->flags & ENDED) == 0) {
            p->op.future.waiter = self;
            fiber_wait(s, self);
        }
    }
    p->flags = 0;
    p->mask = 0;
    p->ready.state = OURO_IDLE;
    return 0;
}
