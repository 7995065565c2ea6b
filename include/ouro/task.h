/* SPDX-License-Identifier: MIT */
/* Tasks and scopes.
 *
 * A task is a `resume` function and a link. A *fiber* has a stack: straight-line C in which a wait
 * suspends only this fiber. A *stackless task* is a state machine in the caller's struct. Both are
 * scheduled alike, wait for the same futures, and never leave the shard that spawned them.
 *
 *             spawn        run         wait
 *     (none) ──────► READY ──► RUNNING ──────► WAITING
 *                      ▲          │  │  wake      │
 *                      │   yield  │  │            │
 *                      ├──────────┘  │            │
 *                      └─────────────┼────────────┘
 *                                    ▼ return
 *                                  ENDED     how: returned, cancelled, aborted before it ran
 *
 * Scopes own tasks. Leaving a scope joins all that were spawned in it; no task outlives its scope.
 *
 * Cancellation is level-triggered: after ouro_task_cancel() every wait of the task returns
 * -ECANCELED (and what it starts completes with -ECANCELED at once) until it ends or shields
 * itself. It is delivered at waits only. Releases (close, leaving a scope, draining an operation)
 * run shielded. Cancelling a task also cancels the scopes that it has open, and so its children;
 * those that it opened inside of a shield are cancelled when the shield ends.
 */
#ifndef OURO_TASK_H
#define OURO_TASK_H

#include <ouro/future.h>

OURO_BEGIN_DECLS

struct ouro_scope;
struct ouro_join;

enum ouro_task_state {
    OURO_TASK_NONE = 0,
    OURO_TASK_READY = 1,
    OURO_TASK_RUNNING = 2,
    OURO_TASK_WAITING = 3,
    OURO_TASK_ENDED = 4,
};

/* 72 bytes. The fields are the runtime's; a stackless task embeds one and uses the macros below. */
struct ouro_task {
    void (*resume)(struct ouro_task *); /* NULL: a fiber */
    struct ouro_task *run_next;         /* in the run queue */
    struct ouro_op *ops;                /* what it is accountable for, newest first */
    struct ouro_scope *scope;           /* the scope that owns it, NULL: a step of a call */
    struct ouro_task *sibling_next;     /* in the scope */
    struct ouro_task **sibling_pprev;
    struct ouro_join *joins; /* who waits for its end */
    const char *name;        /* static or longer-lived than the task */
    int32_t result;          /* what it returned */
    uint16_t point;          /* stackless: where to go on */
    uint8_t state;           /* enum ouro_task_state */
    uint8_t flags;
};

/* How a task ended. */
enum ouro_end {
    OURO_END_RETURNED = 0,  /* its function returned; `result` is its value */
    OURO_END_CANCELLED = 1, /* the same, after cancellation had been asked for */
    OURO_END_ABORTED = 2,   /* cancelled before it ran at all: its function was never called */
};

/* --- fibers ------------------------------------------------------------------------------------
 */

typedef int ouro_task_fn(void *arg);

/* A task by value: slot + generation. A stale one gives -ESRCH, one of another
 * shard -OURO_EOTHERSHARD. 0 is no task. */
typedef struct ouro_fiber {
    uint64_t id;
} ouro_fiber;

struct ouro_spawn_options {
    size_t size;        /* sizeof(struct ouro_spawn_options) */
    const char *name;   /* for reports; must outlive the task; NULL: "fiber" */
    bool joinable;      /* keep the result until ouro_join() or until the scope is left */
    bool must_run;      /* call fn even when cancelled before it first ran (its waits then give
                           -ECANCELED): for a function that owns what its argument names */
    size_t stack_bytes; /* 0: options.stack_bytes of the runtime; else options.large_stack_bytes is
                           used where it is at least this, more than that: -EINVAL */
};

/* Spawns a fiber in `scope` (NULL: the shard's root scope, joined when the runtime stops).
 * `arg_bytes` bytes at `arg` are copied onto the new stack before the call returns, and fn gets the
 * copy; arg_bytes == 0 passes `arg` itself. The fiber runs after the caller next waits. At most
 * OURO_SPAWN_ARG_MAX bytes. `out` (may be NULL) receives the handle. Errors: -OURO_ENOSHARD no
 * shard here, -OURO_EOTHERSHARD the scope is of another, -EINVAL (also a scope that is not open),
 * -ENOMEM, -EAGAIN options.max_fibers live, -ECANCELED the scope is cancelled or the runtime stops.
 */
#define OURO_SPAWN_ARG_MAX 1024
OURO_API OURO_NODISCARD int ouro_spawn_with(struct ouro_scope *scope, ouro_task_fn *fn,
                                            const void *arg, size_t arg_bytes,
                                            const struct ouro_spawn_options *options,
                                            ouro_fiber *out);

/* Fire and forget: its result only counts for the scope's failure policy. It always runs
 * (must_run). */
static inline OURO_NODISCARD int ouro_spawn(struct ouro_scope *scope, ouro_task_fn *fn,
                                            const void *arg, size_t arg_bytes)
{
    return ouro_spawn_with(scope, fn, arg, arg_bytes, NULL, NULL);
}

/* A joinable one. */
static inline OURO_NODISCARD int ouro_spawn_joinable(struct ouro_scope *scope, ouro_task_fn *fn,
                                                     const void *arg, size_t arg_bytes,
                                                     ouro_fiber *out)
{
    struct ouro_spawn_options o = {};

    o.size = sizeof o;
    o.joinable = true;
    return ouro_spawn_with(scope, fn, arg, arg_bytes, &o, out);
}

/* Waiting for a task's end. The future's result is the task's value once DONE; `how` tells how it
 * ended. Cancelling the wait leaves the task alone. */
struct ouro_join {
    struct ouro_op op;
    struct ouro_join *next;
    struct ouro_task *task;
    uint8_t how; /* enum ouro_end, valid when DONE with `joined` */
    bool joined; /* the task has ended and `how` and the result are its own */
};

/* Starts waiting for a joinable fiber. A fiber is joined once: its handle is stale afterwards.
 * Errors (also the future's result): -ESRCH stale handle or joined already, -EDEADLK joining
 * oneself, -EINVAL not joinable, -OURO_ENOSHARD, -OURO_EOTHERSHARD. */
OURO_API int ouro_join_start(struct ouro_join *join, ouro_fiber fiber);

/* Waits for the end of `fiber`; *value (may be NULL) gets what it returned. Returns an enum
 * ouro_end, or -ESRCH, -EDEADLK, -EINVAL, -ECANCELED (the caller was cancelled; the fiber goes on).
 */
static inline int ouro_join(ouro_fiber fiber, int *value)
{
    struct ouro_join j;
    int error = ouro_join_start(&j, fiber);

    if (error != 0)
        return error;
    error = ouro_await(&j.op.future);
    if (!j.joined)
        return error;
    if (value != NULL)
        *value = error;
    return j.how;
}

/* Cancels a fiber (see the top). 0, or -ESRCH if it has ended, -OURO_ENOSHARD, -OURO_EOTHERSHARD.
 * Never waits. */
OURO_API int ouro_fiber_cancel(ouro_fiber fiber);

/* Lets every other ready task run first. 0, or -ECANCELED. Fiber only. */
OURO_API int ouro_yield(void);

/* True when the slice of this turn (options.run_budget_ns) is used up: a long computation asks now
 * and then, and yields. No system call. */
OURO_API bool ouro_should_yield(void);

/* --- stackless tasks ---------------------------------------------------------------------------
 */

/* A stackless task is a struct that embeds a struct ouro_task, and a resume function which the
 * macros make read like straight code:
 *
 *     struct beat { struct ouro_task task; struct ouro_timer timer; int n; };
 *
 *     static void beat_resume(struct ouro_task *task)
 *     {
 *         struct beat *b = OURO_FRAME(task, struct beat, task);
 *
 *         OURO_BEGIN(task);
 *         for (b->n = 0; b->n < 10; b->n++) {
 *             ouro_sleep_start(&b->timer, 1000000);
 *             OURO_AWAIT(task, &b->timer.future);
 *         }
 *         OURO_END(task, 0);
 *     }
 *
 * Rules: local variables do not survive an OURO_AWAIT or OURO_YIELD: what must, lives in the
 * struct. No switch statement around an OURO_AWAIT (BEGIN opens one). One OURO_AWAIT per source
 * line, at most 65,535 lines a file. Call no waiting (fiber) function from a resume function: it
 * aborts with a message. The struct must stay until the task has ended; after OURO_END the runtime
 * does not touch it. */
#define OURO_FRAME(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define OURO_BEGIN(task)                                                                           \
    switch ((task)->point) {                                                                       \
    case 0:

/* Suspends until the future is DONE. Cancellation of the task cancels the future (as ouro_await).
 * For a source's `ready` future, which is not cancelled, go on to take from it: that gives
 * -ECANCELED. */
#define OURO_AWAIT(task, f)                                                                        \
    do {                                                                                           \
        (task)->point = (uint16_t)__LINE__;                                                        \
        __attribute__((fallthrough));                                                              \
    case __LINE__:                                                                                 \
        if (!ouro_ready(task, f))                                                                  \
            return;                                                                                \
    } while (0)

/* The same with a deadline kept by `timer`, a struct ouro_timer in the task's struct. After it,
 * ouro_timed_result(f, timer) gives the future's result, or -ETIMEDOUT. */
#define OURO_AWAIT_UNTIL(task, f, timer, deadline_ns)                                              \
    do {                                                                                           \
        ouro_timed_start(f, timer, deadline_ns);                                                   \
        (task)->point = (uint16_t)__LINE__;                                                        \
        __attribute__((fallthrough));                                                              \
    case __LINE__:                                                                                 \
        if (!ouro_timed_ready(task, f, timer))                                                     \
            return;                                                                                \
    } while (0)

#define OURO_YIELD(task)                                                                           \
    do {                                                                                           \
        (task)->point = (uint16_t)__LINE__;                                                        \
        ouro_task_yield(task);                                                                     \
        return;                                                                                    \
    case __LINE__:;                                                                                \
    } while (0)

/* Ends the task with a value. Everything it started must be DONE. If the struct is the user's, its
 * memory may be given back after this macro's ouro_task_end(); see OURO_END_WITH. */
#define OURO_END(task, value) OURO_END_WITH(task, value, (void)0)

/* Ends it and then evaluates `give_back`, an expression that frees or recycles the struct. */
#define OURO_END_WITH(task, value, give_back)                                                      \
    }                                                                                              \
    ouro_task_end(task, value);                                                                    \
    (void)(give_back)

/* Starts a stackless task whose struct the caller provides. The struct must be zeroed, or a task
 * that has ended. `name` must outlive it. It first runs after the caller next waits. Errors:
 * -OURO_ENOSHARD, -OURO_EOTHERSHARD (the scope is of another), -EINVAL, -EBUSY (still running, on
 * whatever shard), -ECANCELED (the scope is cancelled). */
OURO_API OURO_NODISCARD int ouro_task_start(struct ouro_scope *scope, struct ouro_task *task,
                                            void (*resume)(struct ouro_task *), const char *name);

/* Starts waiting for a stackless task's end; it may have ended already (its struct must still be
 * there then). Errors as ouro_join_start. */
OURO_API int ouro_task_join_start(struct ouro_join *join, struct ouro_task *task);

/* Cancels a task of the calling shard. Nothing happens on one that has ended, nor on a thread that
 * is no shard; a task of another shard's aborts the process. */
OURO_API void ouro_task_cancel(struct ouro_task *task);

/* Internal: what the macros call. */
OURO_API void ouro_task_end(struct ouro_task *task, int value);
OURO_API void ouro_task_yield(struct ouro_task *task);
OURO_API bool ouro_ready_slow(struct ouro_task *task, struct ouro_future *f);
struct ouro_timer;
OURO_API void ouro_timed_start(struct ouro_future *f, struct ouro_timer *timer,
                               uint64_t deadline_ns);
OURO_API bool ouro_timed_ready(struct ouro_task *task, struct ouro_future *f,
                               struct ouro_timer *timer);
OURO_API int ouro_timed_result(const struct ouro_future *f, const struct ouro_timer *timer);

static inline bool ouro_ready(struct ouro_task *task, struct ouro_future *f)
{
    if (OURO_LIKELY(f->state == OURO_DONE))
        return true;
    return ouro_ready_slow(task, f);
}

/* --- the task that runs ------------------------------------------------------------------------
 */

/* The running task, NULL outside of one (also on threads that are no shard). This and its name may
 * be asked for anywhere: on any thread, before the start and after the stop, in a signal handler.
 */
OURO_API struct ouro_task *ouro_current_task(void);

/* Its name, "" outside of one. */
OURO_API const char *ouro_task_name(void);

/* Renames the running task; `name` must outlive it. */
OURO_API int ouro_task_set_name(const char *name);

/* True when cancellation of the running task was asked for and it is not shielded. */
OURO_API bool ouro_cancelled(void);

/* Between these two, waits of the running task are not cut short by cancellation. They nest, at
 * most 15 deep (-EOVERFLOW); a leave without an enter gives -EINVAL. */
OURO_API int ouro_shield_enter(void);
OURO_API int ouro_shield_leave(void);

/* --- scopes ------------------------------------------------------------------------------------
 */

enum ouro_scope_flags {
    OURO_SCOPE_FAIL_FAST = 1, /* the first task that returns < 0 cancels the others */
};

/* The future is DONE whenever no task is in the scope. */
struct ouro_scope {
    struct ouro_op op; /* an open scope is something its task is accountable for */
    struct ouro_task *children;
    struct ouro_task *owner;
    uint64_t zombies; /* joinable fibers that ended and were not joined: first handle, linked */
    uint32_t live;
    int32_t first_error; /* of the children, 0: none */
    uint8_t flags;
    bool cancelled;
    bool shielded; /* opened inside of a shield */
};

/* Opens a scope in the running task. Errors: -OURO_ENOSHARD, -EINVAL (NULL, unknown flags),
 * -ECANCELED (the task is cancelled). */
OURO_API OURO_NODISCARD int ouro_scope_enter(struct ouro_scope *scope, unsigned flags);

/* Joins every task in the scope and closes it. A release: not cut short; a cancelled owner has
 * cancelled the children. Returns the first error a child returned, else 0; -EINVAL: it is not
 * open, -EPERM: another task opened it, -OURO_EOTHERSHARD: on another shard. Fiber only; a
 * stackless task awaits &scope->op.future and then calls ouro_scope_close(). */
OURO_API int ouro_scope_leave(struct ouro_scope *scope);

/* Closes a scope in which no task is left: its first error, else 0; -EBUSY if some are,
 * -OURO_ENOSHARD, -OURO_EOTHERSHARD. */
OURO_API int ouro_scope_close(struct ouro_scope *scope);

/* Cancels every task in the scope, now and to come. Never waits. Nothing happens on a thread that
 * is no shard; aborts on another shard than that where the scope is open. */
OURO_API void ouro_scope_cancel(struct ouro_scope *scope);

OURO_END_DECLS

#endif
