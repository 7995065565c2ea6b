/* SPDX-License-Identifier: MIT */
/* Receive sources. Completions are queued through the descriptors of the buffers themselves. The
 * operation is re-armed from here whenever the kernel ended it and the source goes on.
 *
 *   [RECV-1] The source is in its task's list from open until the last completion: its memory
 * stays. [RECV-2] A buffer the kernel named is queued or put back, whatever else the completion
 * says. [RECV-3] `ready` is DONE exactly while there is a buffer to take, an error to tell or the
 * end has come. [RECV-4] A source without an operation in the kernel is PAUSED, PARKED or ended.
 *
 * A source of datagrams (`shape`) is the same with recvmsg. It keeps to its size of buffer, needs
 * no spare ones, as datagrams are lost at times anyway, and outlives what the network reports.
 */
#include "shard/recv_source.h"
#include "shard/fiber.h"

/* A lease's id: the shard, then the group and number of the buffer, plus one. */
#define LEASE_BITS 24

#define FITS_UP   2  /* full buffers in a row before larger ones are used */
#define FITS_DOWN 64 /* receives in a row that a small one would have held */

enum source_flag {
    ARMED = 1,     /* an operation is in the kernel */
    ASKED = 2,     /* and its cancellation was asked for */
    PAUSED = 4,    /* the queue is full */
    PARKED = 8,    /* no buffer was left */
    STOPPING = 16, /* does not go on */
    ENDED = 32,
    OPEN = 64, /* set from open to close */
    OWN =
        128, /* the operation is a single receive into a spare buffer, whose number is in `head` */
};

static struct pool *pool_of(struct shard *s, uint32_t id)
{
    return &s->pools[id >> 16];
}

/* What its parts say of an open source, whenever nobody works on it. */
static void assert_state(const struct ouro_recv_source *r)
{
    bool ended = (r->flags & ENDED) != 0, armed = (r->flags & ARMED) != 0;

    check(ended == (r->op.pprev == NULL));                                            /* [RECV-1] */
    check((r->ready.state == OURO_DONE) == (r->queued != 0 || r->end != 0 || ended)); /* [RECV-3] */
    check(armed || ended || (r->flags & (PAUSED | PARKED)) != 0);                     /* [RECV-4] */
    check(!armed || (r->flags & (PARKED | ENDED)) == 0);
    check(armed || (r->flags & (ASKED | OWN)) == 0);
    (void)ended, (void)armed;
}

/* The last completion was taken, or no operation is in the kernel. */
static void end(struct shard *s, struct ouro_recv_source *r, int result)
{
    r->flags |= ENDED;
    r->end = result;
    op_complete(s, &r->op, result);
    if (r->ready.state != OURO_DONE)
        future_complete(s, &r->ready, 0);
}

static void park(struct shard *s, struct ouro_recv_source *r)
{
    struct pool *p = &s->pools[r->group];

    r->flags |= PARKED;
    r->parked_next = NULL;
    r->parked_pprev = p->parked_tail;
    *p->parked_tail = r;
    p->parked_tail = &r->parked_next;
    s->counters.receives_parked++;
}

static void unpark(struct shard *s, struct ouro_recv_source *r)
{
    struct pool *p = &s->pools[r->group];

    r->flags &= (uint8_t)~PARKED;
    *r->parked_pprev = r->parked_next;
    if (r->parked_next != NULL)
        r->parked_next->parked_pprev = r->parked_pprev;
    else
        p->parked_tail = r->parked_pprev;
}

/* An SQE, with the slot held. NULL: the connection is being closed, or no memory, and so it ended.
 */
static struct io_uring_sqe *begin(struct shard *s, struct ouro_recv_source *r, struct slot **slot)
{
    struct io_uring_sqe *sqe;

    *slot = slots_find(&s->slots, r->conn.id, SLOT_CONN);
    sqe = *slot != NULL ? ring_sqe(&s->ring) : NULL;
    if (sqe == NULL) {
        end(s, r, *slot == NULL ? -ECANCELED : -ENOMEM);
        return NULL;
    }
    r->op.slot = slot_index(&s->slots, *slot);
    (*slot)->inflight++;
    return sqe;
}

static void arm(struct shard *s, struct ouro_recv_source *r)
{
    struct slot *slot;
    struct io_uring_sqe *sqe = begin(s, r, &slot);

    if (sqe == NULL)
        return;
    if (r->shape != NULL)
        io_uring_prep_recvmsg_multishot(sqe, 0, r->shape, MSG_TRUNC);
    else
        io_uring_prep_recv_multishot(sqe, 0, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = s->pools[r->group].group;
    op_go(&r->op, sqe, slot, TAG_RECV_SOURCE);
    r->flags |= ARMED;
}

/* Receives once into a spare buffer: only with an empty queue, so that nobody has more than one.
 * False: there is none. */
static bool arm_own(struct shard *s, struct ouro_recv_source *r)
{
    struct pool *p = &s->pools[0];
    uint32_t bid = r->shape == NULL ? pool_spare_take(p) : POOL_NONE;
    struct io_uring_sqe *sqe;
    struct slot *slot;

    if (bid == POOL_NONE)
        return false;
    sqe = begin(s, r, &slot);
    if (sqe == NULL) {
        pool_spare_put(p, bid);
        return true;
    }
    r->head = bid;
    io_uring_prep_recv(sqe, 0, pool_address(p, bid), p->bytes, 0);
    op_go(&r->op, sqe, slot, TAG_RECV_SOURCE);
    r->flags |= ARMED | OWN;
    return true;
}

static void ask_cancel(struct shard *s, struct ouro_recv_source *r)
{
    if ((r->flags & (ARMED | ASKED)) != ARMED)
        return;
    r->flags |= ASKED;
    op_cancel(s, &r->op, TAG_RECV_SOURCE);
}

static uint16_t fits_enough(const struct ouro_recv_source *r)
{
    return r->group == 0 ? FITS_UP : FITS_DOWN;
}

/* Full buffers argue for larger ones, nearly empty large ones for small ones. When there were
 * enough the operation is ended, and re-armed with the other size. */
static void weigh_size(struct shard *s, struct ouro_recv_source *r, uint32_t len)
{
    bool argues = r->group == 0 ? len == s->pools[0].bytes && !pool_is_dry(&s->pools[1])
                                : len <= s->pools[0].bytes / 2;

    if (s->pools[1].br == NULL || r->shape != NULL || r->fits >= fits_enough(r))
        return; /* decided already: what the kernel still delivers changes nothing */
    r->fits = argues ? (uint16_t)(r->fits + 1) : 0;
    if (r->fits >= fits_enough(r))
        ask_cancel(s, r);
}

static void append(struct shard *s, struct ouro_recv_source *r, uint32_t id)
{
    if (r->queued++ == 0)
        r->head = id;
    else
        pool_of(s, r->tail)->buffer[r->tail & 0xffff].next = id;
    r->tail = id;
    if (r->ready.state != OURO_DONE)
        future_complete(s, &r->ready, 0);
    if (r->queued >= r->hold_max) {
        if ((r->flags & PAUSED) == 0)
            s->counters.receives_paused++;
        r->flags |= PAUSED;
        ask_cancel(s, r);
    }
}

static void queue(struct shard *s, struct ouro_recv_source *r, uint32_t bid, uint32_t len)
{
    pool_taken(&s->pools[r->group], bid, len);
    append(s, r, (uint32_t)r->group << 16 | bid);
    weigh_size(s, r, len);
}

static bool has_buffers(struct pool *p)
{
    return p->in_ring != 0 || pool_grow(p);
}

/* No buffer was left. Another may have come back meanwhile, or there are small ones. True: goes on
 * by its own means, or is parked. */
static bool ran_dry(struct shard *s, struct ouro_recv_source *r)
{
    s->pools[r->group].dry++;
    if (has_buffers(&s->pools[r->group]))
        return false;
    if (r->group == 1 && r->shape == NULL && has_buffers(&s->pools[0])) {
        r->group = 0;
        r->fits = 0;
        return false;
    }
    if (r->queued != 0 || !arm_own(s, r))
        park(s, r);
    return true;
}

/* The queue is empty; whoever holds the buffers may do so for long. */
static void stop_waiting_for_buffers(struct shard *s, struct ouro_recv_source *r)
{
    unpark(s, r);
    if (!arm_own(s, r))
        park(s, r);
}

/* Nothing is wrong with the connection. */
static bool passing(int result)
{
    return result == -ENOBUFS || result == -ECANCELED || result == -EAGAIN || result == -EINTR;
}

/* What ICMP and the like had to say about an earlier datagram. */
static bool from_network(int result)
{
    return result == -ECONNREFUSED || result == -EHOSTUNREACH || result == -ENETUNREACH ||
           result == -EHOSTDOWN || result == -ENETDOWN || result == -ENONET ||
           result == -ENOPROTOOPT || result == -EPROTO || result == -EMSGSIZE ||
           result == -EACCES || result == -ECONNRESET;
}

/* An error that passes is told when what was queued before it has been taken. */
static void tell(struct shard *s, struct ouro_recv_source *r, int error)
{
    r->end = error;
    if (r->ready.state != OURO_DONE)
        future_complete(s, &r->ready, 0);
}

/* The kernel ended the operation: does the source go on, and how? */
static void ended(struct shard *s, struct ouro_recv_source *r, int result)
{
    r->flags &= (uint8_t) ~(ARMED | ASKED);
    op_release_slot(s, &r->op);
    if (r->fits >= fits_enough(r)) {
        r->group ^= 1;
        r->fits = 0;
    }
    if (r->shape != NULL && from_network(result)) {
        tell(s, r, result);
        result = -EAGAIN;
    }
    if (result == 0 || (result < 0 && !passing(result)))
        end(s, r, result);
    else if ((r->flags & STOPPING) != 0)
        end(s, r, -ECANCELED);
    else if (result == -ENOBUFS && ran_dry(s, r))
        return; /* goes on when a buffer comes back */
    else if ((r->flags & PAUSED) == 0)
        arm(s, r);
}

static void own_complete(struct shard *s, struct ouro_recv_source *r, int result)
{
    struct pool *p = &s->pools[0];
    uint32_t bid = r->head;

    r->flags &= (uint8_t)~OWN;
    if (result <= 0) {
        pool_spare_put(p, bid);
        return;
    }
    pool_spare_taken(p, bid, (uint32_t)result);
    append(s, r, bid);
}

void recv_source_complete(struct shard *s, struct ouro_op *op, int result, unsigned flags)
{
    struct ouro_recv_source *r = container_of(op, struct ouro_recv_source, op);
    uint32_t bid = flags >> IORING_CQE_BUFFER_SHIFT;

    if (OURO_UNLIKELY((r->flags & OWN) != 0)) {
        own_complete(s, r, result);
    } else if ((flags & IORING_CQE_F_BUFFER) != 0 && result > 0) { /* [RECV-2] */
        queue(s, r, bid, (uint32_t)result);
    } else if ((flags & IORING_CQE_F_BUFFER) != 0) {
        pool_taken(&s->pools[r->group], bid, 0);
        pool_put(&s->pools[r->group], bid);
    }
    check((flags & IORING_CQE_F_BUFFER) == 0 || result <= 0 || r->queued != 0); /* [RECV-2] */
    if ((flags & IORING_CQE_F_MORE) == 0) {
        r->op.future.result = result;
        if (op_over(op))
            ended(s, r, result);
    }
    assert_state(r);
}

void recv_source_over(struct shard *s, struct ouro_op *op)
{
    struct ouro_recv_source *r = container_of(op, struct ouro_recv_source, op);

    ended(s, r, op->future.result);
    assert_state(r);
}

int recv_source_open(struct ouro_recv_source *source, ouro_conn conn, uint32_t hold_max,
                     struct msghdr *shape, unsigned group, const void *place)
{
    struct shard *s = shard_self;

    *source = (struct ouro_recv_source){.conn = conn, .shape = shape, .group = (uint8_t)group};
    op_refuse(&source->op, -EINVAL);
    future_init(&source->ready, KIND_EVENT);
    if (s == NULL)
        return -OURO_ENOSHARD;
    if (task_cancelled(s->current))
        return -ECANCELED;
    if (slots_find(&s->slots, conn.id, SLOT_CONN) == NULL)
        return slots_missing(&s->slots, conn.id);
    op_init(s, &source->op, KIND_SOURCE, place);
    source->hold_max = hold_max != 0 ? hold_max : HOLD_DEFAULT;
    source->flags = OPEN;
    arm(s, source);
    assert_state(source);
    return 0;
}

int ouro_recv_source_open(struct ouro_recv_source *source, ouro_conn conn, uint32_t hold_max)
{
    if (source == NULL)
        return -EINVAL;
    return recv_source_open(source, conn, hold_max, NULL, 0, __builtin_return_address(0));
}

static bool foreign(const struct shard *s, const struct ouro_recv_source *r)
{
    return (r->flags & OPEN) != 0 && future_foreign(s, &r->op.future);
}

/* Nothing is queued: why? */
static int nothing(struct ouro_recv_source *r)
{
    int told = r->end;

    if ((r->flags & ENDED) != 0)
        return r->end;
    if ((r->flags & OPEN) == 0)
        return -EBADF;
    if (told == 0)
        return -EAGAIN;
    r->end = 0;
    r->ready.state = OURO_PENDING; /* [RECV-3] */
    return told;
}

int ouro_recv_take(struct ouro_recv_source *r, struct ouro_buf *out)
{
    struct shard *s = shard_self;
    struct pool *p;
    uint32_t id;

    if (r == NULL || out == NULL)
        return -EINVAL;
    if (s == NULL)
        return -OURO_ENOSHARD;
    if (foreign(s, r))
        return -OURO_EOTHERSHARD;
    if (task_cancelled(s->current))
        return -ECANCELED;
    if (r->queued == 0)
        return nothing(r);
    id = r->head;
    p = pool_of(s, id);
    r->head = p->buffer[id & 0xffff].next;
    if (--r->queued == 0 && (r->flags & ENDED) == 0 && r->end == 0)
        r->ready.state = OURO_PENDING; /* [RECV-3] */
    *out = (struct ouro_buf){.data = pool_address(p, id & 0xffff),
                             .len = p->buffer[id & 0xffff].len,
                             .id = s->number << LEASE_BITS | (id + 1)};
    if (OURO_UNLIKELY(r->queued == 0 && (r->flags & PARKED) != 0))
        stop_waiting_for_buffers(s, r);
    if ((r->flags & PAUSED) != 0 && r->queued <= r->hold_max / 2) {
        r->flags &= (uint8_t)~PAUSED;
        if ((r->flags & (ARMED | PARKED | ENDED | STOPPING)) == 0)
            arm(s, r);
    }
    assert_state(r);
    return (int)out->len;
}

static void give_back(struct shard *s, uint32_t id)
{
    struct pool *p = pool_of(s, id);

    ensure(p->buffer[id & 0xffff].out, "a receive buffer was released twice");
    if (OURO_UNLIKELY((id & 0xffff) >= p->max))
        pool_spare_put(p, id & 0xffff);
    else
        pool_put(p, id & 0xffff);
}

/* As many as there are buffers. Whoever has nothing to receive takes none and leaves them to the
 * next: so this goes on, turn by turn, until nobody is parked or the ring is empty. */
void recv_sources_unpark(struct shard *s)
{
    for (size_t i = 0; i < array_size(s->pools); i++) {
        struct pool *p = &s->pools[i];

        for (uint32_t n = p->in_ring; n != 0 && p->parked != NULL; n--) {
            struct ouro_recv_source *r = p->parked;

            unpark(s, r);
            if ((r->flags & PAUSED) == 0)
                arm(s, r);
            assert_state(r);
        }
    }
}

void ouro_buf_release(struct ouro_buf *buf)
{
    struct shard *s = shard_self;

    if (buf == NULL || buf->id == 0)
        return;
    ensure(s != NULL, "a receive buffer was released on a thread that is no shard");
    ensure(buf->id >> LEASE_BITS == s->number,
           "a receive buffer of shard %u was released on shard %u", buf->id >> LEASE_BITS,
           s->number);
    give_back(s, (buf->id & ((1u << LEASE_BITS) - 1)) - 1);
    *buf = (struct ouro_buf){0};
}

void ouro_recv_source_stop(struct ouro_recv_source *r)
{
    struct shard *s = shard_self;

    if (s == NULL || r == NULL || (r->flags & (OPEN | ENDED)) != OPEN)
        return;
    future_ensure_own(s, &r->op.future, "ouro_recv_source_stop");
    r->flags |= STOPPING;
    if ((r->flags & PARKED) != 0)
        unpark(s, r);
    if ((r->flags & ARMED) != 0)
        ask_cancel(s, r);
    else
        end(s, r, -ECANCELED);
}

int ouro_recv_source_close(struct ouro_recv_source *r)
{
    struct shard *s = shard_self;
    struct ouro_task *self;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (r == NULL)
        return -EINVAL;
    if ((r->flags & OPEN) == 0)
        return 0;
    if (foreign(s, r))
        return -OURO_EOTHERSHARD;
    ouro_recv_source_stop(r);
    if ((r->flags & ENDED) == 0) {
        self = fiber_required(s, "ouro_recv_source_close");
        while ((r->flags & ENDED) == 0) {
            r->op.future.waiter = self;
            fiber_wait(s, self);
        }
    }
    for (; r->queued != 0; r->queued--) {
        uint32_t id = r->head;

        r->head = pool_of(s, id)->buffer[id & 0xffff].next;
        give_back(s, id);
    }
    r->flags = 0;
    r->ready.state = OURO_IDLE;
    return 0;
}
