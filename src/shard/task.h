/* SPDX-License-Identifier: MIT */
/* Tasks, inside: the run queue, waking, operations in flight. The public side is ouro/task.h.
 *
 * Waking follows the discipline of condition variables: a future stores its waiter, completion
 * wakes the waiter once, and whoever wakes looks again at what it waits for. A wake-up too many is
 * harmless.
 *
 * Invariants
 *   [TASK-1] A task is in the run queue exactly when it is READY.
 *   [TASK-2] A task in the list `ops` of an operation lives: it ends only with that list empty.
 *   [TASK-3] A future has a waiter only until it fires or its wait ends; completion clears it.
 *   [TASK-4] An operation that the kernel has is in the list of the task that started it.
 *   [TASK-5] A scope links exactly its living tasks, `live` of them; its future is DONE when none.
 */
#ifndef SHARD_TASK_H
#define SHARD_TASK_H

#include "shard/shard.h"

enum task_flag {
    TASK_CANCELLED = 1,
    TASK_ABORTED = 2, /* cancelled before it ran */
    TASK_SHIELD_ONE = 16,
    TASK_SHIELD_MASK = 0xf0,
};

/* Kinds of futures: how they are cancelled, what they are called in reports (future.c). */
enum future_kind {
    KIND_OP = 1,     /* one completion from the kernel */
    KIND_ZC = 2,     /* two completions */
    KIND_SOURCE = 3, /* many */
    KIND_CALL = 4,   /* several steps: struct call */
    KIND_TIMER = 5,
    KIND_JOIN = 6,
    KIND_EVENT = 7, /* a condition: not cancellable, the wait is */
    KIND_SCOPE = 8,
    KIND_SIGNAL = 9,
    KIND_RELEASED = 10, /* of a zero-copy send: the send is cancelled, the wait is not cut short */
    KIND_RAW = 11,      /* one completion, and no other if it can be helped */
    KIND_PROMISE = 12,  /* the wait for a promise: it is given up, the promise stays */
    KIND_POLL = 13,     /* readiness, many times */
    KIND_REMOTE = 14,   /* a call on another shard: its answer always comes */
};

/* What every call of several steps begins with. */
struct call {
    struct ouro_op op;
    struct ouro_task task;
};

/* How a task ended: an enum ouro_end. */
static inline uint8_t task_how(const struct ouro_task *t)
{
    return (t->flags & TASK_ABORTED) != 0     ? OURO_END_ABORTED
           : (t->flags & TASK_CANCELLED) != 0 ? OURO_END_CANCELLED
                                              : OURO_END_RETURNED;
}

/* Cancelled, and in no shield. (An aborted one does nothing that asks.) */
static inline bool task_cancelled(const struct ouro_task *t)
{
    return t->flags == TASK_CANCELLED;
}

static inline void task_push(struct shard *s, struct ouro_task *t)
{
    check(t->state != OURO_TASK_READY && t->state != OURO_TASK_ENDED); /* [TASK-1] */
    t->state = OURO_TASK_READY;
    t->run_next = NULL;
    *s->ready_tail = t;
    s->ready_tail = &t->run_next;
}

static inline struct ouro_task *task_pop(struct shard *s)
{
    struct ouro_task *t = s->ready;

    if (t != NULL) {
        check(t->state == OURO_TASK_READY); /* [TASK-1] */
        s->ready = t->run_next;
        if (s->ready == NULL)
            s->ready_tail = &s->ready;
    }
    return t;
}

static inline void task_wake(struct shard *s, struct ouro_task *t)
{
    if (t->state == OURO_TASK_WAITING)
        task_push(s, t);
}

static inline void future_init_on(const struct shard *s, struct ouro_future *f,
                                  enum future_kind kind)
{
    *f = s->fresh;
    f->kind = (uint8_t)kind;
}

/* The same where the shard is not at hand, or there is none: then nobody waits for it. */
static inline void future_init(struct ouro_future *f, enum future_kind kind)
{
    uint8_t shard = shard_self != NULL ? (uint8_t)shard_self->number : 0;

    *f = (struct ouro_future){.state = OURO_PENDING, .kind = (uint8_t)kind, .shard = shard};
}

/* What is not DONE is for its own shard only. */
static inline bool future_foreign(const struct shard *s, const struct ouro_future *f)
{
    return OURO_UNLIKELY(f->shard != s->number);
}

/* For calls that can return no error. */
static inline void future_ensure_own(const struct shard *s, const struct ouro_future *f,
                                     const char *call)
{
    ensure(!future_foreign(s, f), "%s was called on shard %u for what belongs to shard %u", call,
           s->number, f->shard);
}

/* A task that runs belongs to the shard of its scope; steps of calls have none, and are nobody's to
 * ask about. */
static inline const struct ouro_future *task_owner(const struct ouro_task *t)
{
    return t->state != OURO_TASK_NONE && t->state != OURO_TASK_ENDED && t->scope != NULL
               ? &t->scope->op.future
               : NULL;
}

static inline void future_complete(struct shard *s, struct ouro_future *f, int result)
{
    struct ouro_task *w = f->waiter;

    /* Nothing else leads to DONE in the drawing in ouro/future.h. */
    check(f->state == OURO_PENDING || f->state == OURO_CANCELLING);
    f->result = result;
    f->state = OURO_DONE;
    if (w != NULL) {
        f->waiter = NULL; /* [TASK-3] */
        task_wake(s, w);
    }
}

static inline void op_link(struct ouro_task *t, struct ouro_op *op)
{
    op->next = t->ops;
    op->pprev = &t->ops;
    if (op->next != NULL)
        op->next->pprev = &op->next;
    t->ops = op;
}

static inline void op_unlink(struct ouro_op *op)
{
    check(op->pprev != NULL); /* [TASK-4] */
    *op->pprev = op->next;
    if (op->next != NULL)
        op->next->pprev = op->pprev;
    op->pprev = NULL;
}

/* What a future is, for people: "recv", "timer", "join", … */
__attribute__((pure)) const char *future_name(const struct ouro_future *f);

static inline size_t op_note_index(const struct ouro_op *op)
{
    return ((uintptr_t)op >> 4) % OP_NOTES;
}

static inline void op_note(struct shard *s, const struct ouro_op *op, const char *name)
{
#if OURO_CHECKED
    s->notes[op_note_index(op)] = (struct op_note){op, name, op->place};
#else
    (void)s;
    (void)op;
    (void)name;
#endif
}

/* What an operation is, by its note. */
struct op_note op_look(const struct shard *s, const struct ouro_op *op);

/* Whether an operation is as it must be while `link` links it. One in a dead frame that others have
 * grown over is not, and its links lead nowhere. */
static inline __attribute__((always_inline)) bool op_intact(const struct ouro_op *op,
                                                            struct ouro_op *const *link)
{
    return op->pprev == link && op->future.state != OURO_IDLE && op->future.state <= OURO_DONE &&
           op->future.kind >= KIND_OP && op->future.kind <= KIND_REMOTE;
}

/* What a task leaves behind, the newest first. Inline: a call from here would grow over the frames
 * that were left, where these operations lie. */
struct op_left {
    const char *call; /* name of a call of several steps, else NULL */
    const void *place;
    uint16_t opcode;
    uint8_t kind;
};

static inline __attribute__((always_inline)) unsigned ops_left(const struct ouro_task *t,
                                                               struct op_left *left)
{
    struct ouro_op *const *link = &t->ops;
    unsigned n = 0;

    for (const struct ouro_op *op = *link; op != NULL && n < REPORTED_OPS && op_intact(op, link);
         link = &op->next, op = *link)
        left[n++] =
            (struct op_left){.call = op->future.kind == KIND_CALL
                                         ? ((const struct call *)(const void *)op)->task.name
                                         : NULL,
                             .place = op_place(op),
                             .opcode = op->future.opcode,
                             .kind = op->future.kind};
    return n;
}

/* Says so, and ends the process: the kernel would write into a frame that is gone. */
_Noreturn void task_abandons(const struct shard *s, const struct ouro_task *t,
                             const struct op_left *left, unsigned n);

/* Makes `op` pending and the running task accountable for it. */
static inline void op_init(struct shard *s, struct ouro_op *op, enum future_kind kind,
                           const void *place)
{
    future_init_on(s, &op->future, kind);
    op->place = place;
    op->slot = SLOT_NONE;
    op->cqe_flags = 0;
    op_note(s, op, kind == KIND_CALL ? "call" : future_name(&op->future));
    op_link(s->current, op);
}

/* Ends it. */
static inline void op_complete(struct shard *s, struct ouro_op *op, int result)
{
    loan_end(&s->loans, op);
    op_unlink(op);
    future_complete(s, &op->future, result);
}

/* An operation that never was: DONE with an error, in no list. */
static inline void op_refuse(struct ouro_op *op, int error)
{
    future_init(&op->future, KIND_OP);
    op->pprev = NULL;
    op->slot = SLOT_NONE;
    op->future.result = error;
    op->future.state = OURO_DONE;
}

/* What `opcode` says of a timer. Other values: it is noted in the fiber in whose frame it lies. */
enum timer_mark {
    TIMER_PLAIN = 0,
    TIMER_DEADLINE = UINT8_MAX, /* of a wait for something else */
};

/* A timer that is started in a frame is noted there until it has fired or was cancelled: nothing
 * else would find it when the frame is left. */
#if OURO_CHECKED
void frame_timer_note(struct shard *s, struct ouro_timer *t, const void *place);
void frame_timer_forget(struct shard *s, struct ouro_timer *t);
#else
static inline void frame_timer_note(struct shard *s, struct ouro_timer *t, const void *place)
{
    (void)s;
    (void)t;
    (void)place;
}

static inline void frame_timer_forget(struct shard *s, struct ouro_timer *t)
{
    (void)s;
    (void)t;
}
#endif

/* Asks for cancellation; see ouro_cancel(). */
void future_cancel(struct shard *s, struct ouro_future *f);

void task_cancel(struct shard *s, struct ouro_task *t);

/* Takes leave of the running task: joins, scope. A stackless one's memory is the user's then. */
void task_finish(struct shard *s, struct ouro_task *t, int value);

/* Whether a task may be spawned into it: 0, -EINVAL (closed, or never opened), -OURO_EOTHERSHARD,
 * -ECANCELED. */
static inline int scope_admits(const struct shard *s, const struct ouro_scope *scope)
{
    if (OURO_UNLIKELY(scope->op.pprev == NULL && scope != &s->root))
        return -EINVAL;
    if (future_foreign(s, &scope->op.future))
        return -OURO_EOTHERSHARD;
    return OURO_UNLIKELY(scope->cancelled) ? -ECANCELED : 0;
}

void task_enter_scope(struct ouro_scope *scope, struct ouro_task *t);
void scope_child_ended(struct shard *s, struct ouro_scope *scope, struct ouro_task *t);
void scope_init(struct ouro_scope *scope, unsigned flags);
void scope_cancel(struct shard *s, struct ouro_scope *scope);

/* Begins a call of several steps: links it and runs the first step at once. `shielded`: a release.
 */
void call_start(struct shard *s, struct call *c, void (*resume)(struct ouro_task *),
                const char *name, const void *place, bool shielded);

/* Ends the call from its own step, with its result. Its struct may be gone afterwards. */
void call_end(struct ouro_task *task, int result);

/* What OURO_BEGIN opened; and the end of a call that got there. */
#define OURO_BEGIN_END }
#define CALL_END(task, result)                                                                     \
    OURO_BEGIN_END                                                                                 \
    call_end(task, result)

/* Makes the running task wait for `t`. */
int join_on(struct shard *s, struct ouro_join *j, struct ouro_task *t, const void *place);

/* Asks the target to cancel what a call runs there. */
struct ouro_call;
void remote_cancel(struct shard *s, struct ouro_call *c);

/* Puts a wait at the end of its promise's list, and takes it out. */
struct ouro_promise_wait;
void promise_note(struct shard *s, struct ouro_promise_wait *w);
void promise_forget(struct shard *s, struct ouro_promise_wait *w);

int fibers_init(struct shard *s);
void fibers_destroy(struct shard *s);
void fiber_handle_forget(struct shard *s, uint64_t zombies);

#endif
