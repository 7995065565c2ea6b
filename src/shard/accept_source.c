/* SPDX-License-Identifier: MIT */
/* Accepting: one multishot operation per listener into a queue of slots. */
#include "shard/accept_source.h"

#include <ouro/timer.h>
#include <sys/socket.h>
#include <unistd.h>

/* After a passing failure (no descriptors, no memory). */
#define PAUSE_NS (10 * OURO_NSEC_PER_MSEC)

static bool direct(const struct shard *s)
{
    return s->ring.caps.direct_sockets;
}

/* What its parts say, whenever nobody works on it. */
static void assert_state(const struct accept_source *a)
{
    /* [ACCEPT-1], until a close tells whoever still waits. */
    check(a->slot->closing ||
          (a->ready.state == OURO_DONE) == (a->queued != 0 || a->error != 0)); /* [ACCEPT-1] */
    check(a->armed || a->stopped || a->paused || a->error != 0 ||
          wheel_node_pending(&a->pause.node) || a->task.state == OURO_TASK_READY); /* [ACCEPT-3] */
    check(a->armed == (a->op.pprev != NULL));
    (void)a;
}

static void fail(struct shard *s, struct accept_source *a, int error)
{
    a->error = error;
    if (a->ready.state != OURO_DONE)
        future_complete(s, &a->ready, error);
}

static void pause_for(struct shard *s, struct accept_source *a, uint64_t ns)
{
    future_init(&a->pause.future, KIND_TIMER);
    a->pause.future.waiter = &a->task;
    a->task.state = OURO_TASK_WAITING;
    wheel_insert(&s->wheel, &a->pause.node, s->now_ns + ns);
}

static void prep(struct shard *s, struct accept_source *a, struct io_uring_sqe *sqe)
{
    if (!direct(s))
        io_uring_prep_multishot_accept(sqe, 0, NULL, NULL, SOCK_CLOEXEC);
    else if (a->multishot)
        io_uring_prep_multishot_accept_direct(sqe, 0, NULL, NULL, 0);
    else
        io_uring_prep_accept_direct(sqe, 0, NULL, NULL, 0, IORING_FILE_INDEX_ALLOC);
}

/* A multishot accept takes all peers that wait, and there has to be an entry for each; with fewer
 * they are taken one by one. False: there is not even one. */
static bool reserve(struct shard *s, struct accept_source *a)
{
    a->multishot = !direct(s) || slots_free_direct(&s->slots) >= s->slots.bursts + a->burst;
    a->reserved = direct(s) && (a->multishot || slots_free_direct(&s->slots) != 0);
    if (!a->reserved)
        return a->multishot;
    if (!a->multishot)
        return direct_promise(s);
    s->slots.bursts += a->burst;
    a->next = s->multishots;
    a->pprev = &s->multishots;
    if (a->next != NULL)
        a->next->pprev = &a->next;
    s->multishots = a;
    return true;
}

static void unreserve(struct shard *s, struct accept_source *a)
{
    if (!a->reserved)
        return;
    a->reserved = false;
    if (!a->multishot) {
        direct_keep(s);
        return;
    }
    s->slots.bursts -= a->burst;
    *a->pprev = a->next;
    if (a->next != NULL)
        a->next->pprev = a->pprev;
}

static void arm(struct shard *s, struct accept_source *a)
{
    struct io_uring_sqe *sqe;
    struct ouro_task *caller = s->current;

    sqe = reserve(s, a) ? ring_sqe(&s->ring) : NULL;
    if (sqe == NULL) {
        unreserve(s, a);
        pause_for(s, a, PAUSE_NS);
        return;
    }
    prep(s, a, sqe);
    s->current = &s->idle_task; /* a listener outlives the task that opened it */
    op_init(s, &a->op, KIND_OP, NULL);
    s->current = caller;
    a->op.future.opcode = IORING_OP_ACCEPT;
    a->op.slot = slot_index(&s->slots, a->slot);
    a->slot->inflight++;
    op_go(&a->op, sqe, a->slot, TAG_ACCEPT_SOURCE);
    a->armed = true;
}

static void resume(struct ouro_task *task)
{
    struct accept_source *a = container_of(task, struct accept_source, task);

    task->state = OURO_TASK_WAITING;
    if (!a->stopped && !a->armed)
        arm(shard_self, a);
    assert_state(a);
}

void accept_source_start(struct shard *s, struct accept_source *a)
{
    future_init(&a->ready, KIND_EVENT);
    a->head = a->tail = SLOT_NONE;
    a->task = (struct ouro_task){.resume = resume, .name = "accept", .state = OURO_TASK_WAITING};
    arm(s, a);
}

static void ask_cancel(struct shard *s, struct accept_source *a)
{
    if (!a->armed || a->asked)
        return;
    a->asked = true;
    op_cancel(s, &a->op, TAG_ACCEPT_SOURCE);
}

void accept_source_stop(struct shard *s, struct accept_source *a)
{
    a->stopped = true;
    wheel_cancel(&s->wheel, &a->pause.node);
    ask_cancel(s, a);
}

void accept_sources_give_way(struct shard *s)
{
    for (struct accept_source *a = s->multishots; a != NULL; a = a->next)
        ask_cancel(s, a);
}

static void queue(struct shard *s, struct accept_source *a, int result)
{
    struct slot *slot = direct(s) ? slots_take_direct(&s->slots, (uint32_t)result, SLOT_CONN)
                                  : slots_take(&s->slots, result, SLOT_CONN);
    uint32_t i;

    if (slot == NULL) { /* ordinary descriptors: the table of slots is full */
        close(result);
        s->counters.accept_errors++;
        return;
    }
    s->counters.accepts++;
    i = slot_index(&s->slots, slot);
    if (a->queued++ == 0)
        a->head = i;
    else
        s->slots.slot[a->tail].next = i;
    a->tail = i;
    if (a->ready.state != OURO_DONE)
        future_complete(s, &a->ready, 0);
    if (a->queued >= a->queue_max) {
        s->counters.accepts_paused += !a->paused;
        a->paused = true;
        ask_cancel(s, a);
    } else if (slots_free_direct(&s->slots) < s->slots.bursts) {
        accept_sources_give_way(s);
    }
}

static bool passing(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM ||
           error == -EAGAIN;
}

/* The operation is over: does the source go on, and how? */
static void ended(struct shard *s, struct accept_source *a, int result)
{
    a->armed = a->asked = false;
    op_release_slot(s, &a->op);
    op_complete(s, &a->op, result);
    if (a->stopped || a->paused || a->error != 0)
        return;
    if (passing(result))
        pause_for(s, a, PAUSE_NS);
    else
        arm(s, a);
}

void accept_source_over(struct shard *s, struct ouro_op *op)
{
    struct accept_source *a = container_of(op, struct accept_source, op);

    ended(s, a, op->future.result);
    assert_state(a);
}

void accept_source_complete(struct shard *s, struct ouro_op *op, int result, unsigned flags)
{
    struct accept_source *a = container_of(op, struct accept_source, op);
    bool more = (flags & IORING_CQE_F_MORE) != 0;

    if (!more) {
        unreserve(s, a);
        a->asked = true; /* there is nothing to cancel any more */
    }
    if (result >= 0) {
        queue(s, a, result);
    } else if (result != -ECANCELED && !a->stopped) { /* one that was shut says EINVAL */
        s->counters.accept_errors++;
        /* The peer's own failures (ECONNABORTED, EPERM, what the network said) end nothing. */
        if (result == -EBADF || result == -EINVAL || result == -ENOTSOCK || result == -EOPNOTSUPP)
            fail(s, a, result);
    }
    if (!more) {
        op->future.result = result;
        if (op_over(op))
            ended(s, a, result);
    }
    assert_state(a);
}

int accept_source_take(struct shard *s, struct accept_source *a, uint64_t *id)
{
    struct slot *slot;

    if (a->queued == 0)
        return a->error != 0 ? a->error : -EAGAIN;
    slot = &s->slots.slot[a->head];
    a->head = slot->next;
    slot->next = SLOT_NONE;
    *id = slot->id;
    if (--a->queued == 0 && a->error == 0)
        a->ready.state = OURO_PENDING;
    if (a->paused && a->queued <= a->queue_max / 2) {
        a->paused = false;
        if (!a->armed && !a->stopped)
            arm(s, a);
    }
    assert_state(a);
    return 0;
}
