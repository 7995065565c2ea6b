/* SPDX-License-Identifier: MIT */
#ifndef SHARD_FIBER_H
#define SHARD_FIBER_H

#include "shard/task.h"

/* Checked builds note timers that were started in frames of a fiber (frame_timer.c). */
#define FRAME_TIMERS 6
struct frame_timer {
    const struct ouro_timer *timer; /* NULL: none */
    const void *place;              /* where it was started */
};

struct fiber {
    struct ouro_task task;
    struct context context;
    ouro_task_fn *fn;
    void *arg;
    void *top; /* of the stack */
    struct stack_pool *pool;
    uint32_t handle;
    bool joinable, must_run;
#if OURO_CHECKED
    struct frame_timer timers[FRAME_TIMERS];
#endif
};

/* A multiple of 16, so that what follows below it is aligned. */
#define FIBER_BLOCK_BYTES ((sizeof(struct fiber) + 15) & ~(size_t)15)

/* [FIBER-1] The control block leaves the first page to the frames (see the sum in stack.h). */
#if !CONTEXT_ASAN && !defined(OURO_VALGRIND)
_Static_assert(FIBER_BLOCK_BYTES <= 256, "control block of a fiber");
#endif

/* No fiber runs: NULL outside of any task. A stackless one called a function that only a fiber can
 * wait in, which ends the process. */
struct ouro_task *fiber_missing(const struct shard *s, const char *what);

struct fiber_handle {
    uint64_t id;
    struct fiber *fiber; /* NULL: a zombie */
    struct ouro_scope *scope;
    int32_t result;
    uint32_t next, previous; /* free list, zombies of a scope */
    uint8_t how;
};

/* The fiber whose stack has this top. */
static inline struct fiber *fiber_at(const void *top)
{
    return (struct fiber *)((uintptr_t)top - FIBER_BLOCK_BYTES);
}

static inline struct fiber *fiber_of(struct ouro_task *t)
{
    return container_of(t, struct fiber, task);
}

/* A fiber has no resume function: the scheduler switches to it. (The idle task has one.) */
static inline bool task_is_fiber(const struct ouro_task *t)
{
    return t->resume == NULL;
}

#if OURO_CHECKED
/* Aborts, naming it, if a timer is pending in this fiber's stack below `sp`. */
void frame_timers_check(const struct shard *s, const struct fiber *f, const void *sp);

/* An operation on this stack below the stack pointer lies in a frame that was left: the kernel is
 * about to write into whatever comes to lie there. Aborts, naming it. */
void fiber_check_frames(struct shard *s, struct fiber *f, const void *sp);
#endif

/* The running fiber; aborts with a sentence naming `what` in a stackless task. NULL off tasks. */
static inline struct ouro_task *fiber_running(struct shard *s, const char *what)
{
    struct ouro_task *t = s->current;

    return OURO_LIKELY(task_is_fiber(t)) ? t : fiber_missing(s, what);
}

/* For those who can return no error. */
static inline struct ouro_task *fiber_required(struct shard *s, const char *what)
{
    struct ouro_task *t = fiber_running(s, what);

    ensure(t != NULL, "%s was called on shard %u outside of any task", what, s->number);
    return t;
}

/* The same as fiber_suspend() with C++ exceptions in its hands. */
void fiber_suspend_holding(struct shard *s, struct fiber *f);

/* Switches to the scheduler until the task is run again. Its state must say what it waits for.
 *
 * Suspending and resuming are inline on both sides, so that as few return instructions as possible
 * run after a switch: the processor predicts a return from the calls before it, and those were
 * another flow's. */
static inline __attribute__((always_inline)) void fiber_suspend(struct shard *s,
                                                                struct ouro_task *self)
{
    struct fiber *f = fiber_of(self);

#if OURO_CHECKED
    fiber_check_frames(s, f, __builtin_frame_address(0));
#endif
    if (OURO_UNLIKELY(exceptions_held(s->exceptions)))
        fiber_suspend_holding(s, f);
    else
        context_switch(&f->context, &s->context, NULL);
}

/* Waits to be woken. */
static inline __attribute__((always_inline)) void fiber_wait(struct shard *s,
                                                             struct ouro_task *self)
{
    check(self->state == OURO_TASK_RUNNING);
    self->state = OURO_TASK_WAITING;
    fiber_suspend(s, self);
}

/* After a fiber switched back to the scheduler for the last time. */
void fiber_bury(struct shard *s, struct fiber *ended);

/* The scheduler's side: on with it, until it waits or ends. */
static inline __attribute__((always_inline)) void fiber_resume(struct shard *s, struct ouro_task *t)
{
    struct fiber *ended = context_switch(&s->context, &fiber_of(t)->context, NULL);

    if (ended != NULL)
        fiber_bury(s, ended);
}

#endif
