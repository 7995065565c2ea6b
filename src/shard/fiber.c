/* SPDX-License-Identifier: MIT */
/* Fibers: a task with a stack. The control block is at the top of the fiber's own stack, so a
 * parked fiber costs one page:
 *
 *      top of the stack ─► struct fiber │ copy of the argument │ frames …
 *
 * A handle outlives its fiber when somebody may still ask how it ended:
 *
 *      FREE ─spawn─► RUNNING ─end─┬─ joined by then, or not joinable ─► FREE, generation + 1
 *                                 └─► ZOMBIE ─join, or scope closed ─► FREE, generation + 1
 */
#include "shard/fiber.h"
#include "shard/op.h"

#include <ouro/promise.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HANDLE_NONE UINT32_MAX
/* --- handles -----------------------------------------------------------------------------------
 */

int fibers_init(struct shard *s)
{
    struct fiber_handles *h = &s->handles;
    void *p;

    h->count = s->options->max_fibers;
    p = mmap(NULL, h->count * sizeof(struct fiber_handle), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    h->handle = p;
    h->free_head = HANDLE_NONE;
    return 0;
}

void fibers_destroy(struct shard *s)
{
    if (s->handles.handle != NULL)
        munmap(s->handles.handle, s->handles.count * sizeof(struct fiber_handle));
    s->handles.handle = NULL;
}

static uint32_t handle_take(struct shard *s, struct fiber *f)
{
    struct fiber_handles *h = &s->handles;
    uint32_t i = h->free_head;
    struct fiber_handle *x;

    if (i != HANDLE_NONE)
        h->free_head = h->handle[i].next;
    else if (h->fresh < h->count)
        i = h->fresh++;
    else
        return HANDLE_NONE;
    x = &h->handle[i];
    if (x->id == 0)
        x->id = handle_first(s->number, i);
    x->fiber = f;
    return i;
}

static void handle_free(struct shard *s, uint32_t i)
{
    struct fiber_handle *x = &s->handles.handle[i];

    x->id = handle_next(x->id);
    x->fiber = NULL;
    x->next = s->handles.free_head;
    s->handles.free_head = i;
}

static struct fiber_handle *handle_find(struct shard *s, ouro_fiber fiber)
{
    uint32_t i = handle_slot(fiber.id);

    if (i >= s->handles.fresh || s->handles.handle[i].id != fiber.id)
        return NULL;
    return &s->handles.handle[i];
}

/* Why a handle names no fiber. */
static int handle_missing(const struct shard *s, ouro_fiber fiber)
{
    bool foreign = handle_generation(fiber.id) != 0 && handle_shard(fiber.id) != s->number;

    return foreign ? -OURO_EOTHERSHARD : -ESRCH;
}

/* The zombies of a scope: a ring of handles through next and previous; the scope holds one's number
 * + 1. */
static void zombie_add(struct shard *s, struct ouro_scope *scope, uint32_t i)
{
    struct fiber_handle *x = &s->handles.handle[i];

    x->fiber = NULL;
    x->scope = scope;
    x->previous = HANDLE_NONE;
    x->next = scope->zombies == 0 ? HANDLE_NONE : (uint32_t)(scope->zombies - 1);
    if (x->next != HANDLE_NONE)
        s->handles.handle[x->next].previous = i;
    scope->zombies = (uint64_t)i + 1;
}

static void zombie_remove(struct shard *s, uint32_t i)
{
    struct fiber_handle *x = &s->handles.handle[i];

    if (x->next != HANDLE_NONE)
        s->handles.handle[x->next].previous = x->previous;
    if (x->previous != HANDLE_NONE)
        s->handles.handle[x->previous].next = x->next;
    else
        x->scope->zombies = x->next == HANDLE_NONE ? 0 : (uint64_t)x->next + 1;
    handle_free(s, i);
}

void fiber_handle_forget(struct shard *s, uint64_t zombies)
{
    while (zombies != 0) {
        uint32_t i = (uint32_t)(zombies - 1);
        uint32_t next = s->handles.handle[i].next;

        handle_free(s, i);
        zombies = next == HANDLE_NONE ? 0 : (uint64_t)next + 1;
    }
}

/* --- life --------------------------------------------------------------------------------------
 */

static void note_stack_use(struct shard *s, const struct fiber *f)
{
    size_t bytes = stack_high_water(f->pool, f->top);
    struct stack_use *u = s->stack_use, *end = u + s->stack_uses;

    while (u < end && strncmp(u->name, f->task.name, sizeof u->name - 1) != 0)
        u++;
    if (u == end) {
        if (s->stack_uses == STACK_NAMES)
            return;
        s->stack_uses++;
        snprintf(u->name, sizeof u->name, "%s", f->task.name);
    }
    if (bytes > u->bytes)
        u->bytes = bytes;
}

/* The handle keeps how it ended, unless somebody was already waiting to hear it, or nobody may ask.
 */
static void settle_handle(struct shard *s, struct fiber *f, bool joined)
{
    struct fiber_handle *x;

    if (f->handle == HANDLE_NONE)
        return;
    if (!f->joinable || joined) {
        handle_free(s, f->handle);
        return;
    }
    x = &s->handles.handle[f->handle];
    x->result = f->task.result;
    x->how = task_how(&f->task);
    zombie_add(s, f->task.scope, f->handle);
}

#if OURO_CHECKED
/* Not looked into: what this stack held has been grown over. */
static void check_promises(const struct shard *s, const struct fiber *f)
{
    uintptr_t low = (uintptr_t)stack_limit(f->pool, f->top);

    for (const struct ouro_promise *p = s->promises; p != NULL; p = p->next)
        ensure((uintptr_t)p < low || (uintptr_t)p >= (uintptr_t)f->top,
               "task '%s' on shard %u ends with a promise on its stack that tasks wait for; "
               "complete it or drop it",
               f->task.name, s->number);
}
#endif

static void fiber_main(void *arg)
{
    struct fiber *f = arg;
    struct shard *s = shard_self;
    int value = -ECANCELED;
    bool joined;

    if ((f->task.flags & TASK_CANCELLED) != 0 && !f->must_run)
        f->task.flags |= TASK_ABORTED;
    else {
        exceptions_end_here();
        value = f->fn(f->arg);
    }
    if (OURO_UNLIKELY(f->task.ops != NULL)) {
        static __thread struct op_left left[REPORTED_OPS]; /* this frame is every fiber's */

        task_abandons(s, &f->task, left, ops_left(&f->task, left)); /* [TASK-2] */
    }
#if OURO_CHECKED
    check_promises(s, f);
    frame_timers_check(s, f, f->top);
#endif
    joined = f->task.joins != NULL;
    f->task.result = value;
    settle_handle(s, f, joined);
    task_finish(s, &f->task, value);
    context_exit(&f->context, &s->context, f);
}

/* There is room for one fiber: what waited for it is received again, and parks again if it was too
 * little. What the end of the scope refuses takes no room. */
static void unpark(struct shard *s)
{
    struct mesh_message *message;

    do {
        message = s->parked;
        s->parked = message->out_next;
        if (s->parked == NULL)
            s->parked_tail = &s->parked;
        message->receive(s, message);
    } while (s->parked != NULL && s->root.cancelled);
}

void fiber_suspend_holding(struct shard *s, struct fiber *f)
{
    struct exceptions held = exceptions_take(s->exceptions);

    context_switch(&f->context, &s->context, NULL);
    exceptions_give(s->exceptions, held);
}

void fiber_bury(struct shard *s, struct fiber *ended)
{
    if (OURO_UNLIKELY(s->options->track_stack_use))
        note_stack_use(s, ended);
    context_destroy(&ended->context);
    stack_free(ended->pool, ended->top);
    if (OURO_UNLIKELY(s->parked != NULL))
        unpark(s);
}

#if OURO_CHECKED
/* What lies below the stack pointer is in a dead frame: where others have grown over it, between
 * their variables, too. */
SEES_POISON void fiber_check_frames(struct shard *s, struct fiber *f, const void *sp)
{
    uintptr_t low = (uintptr_t)stack_limit(f->pool, f->top);
    struct ouro_op **link = &f->task.ops;

    frame_timers_check(s, f, sp);
    for (struct ouro_op *op = *link; op != NULL; link = &op->next, op = *link)
        if (((uintptr_t)op >= low && (uintptr_t)op < (uintptr_t)sp) || !op_intact(op, link) ||
            loan_within(&s->loans, op, (void *)low, sp)) {
            struct op_note note = op_look(s, op);

            fatal("task '%s' on shard %u left a block with '%s' pending in it, started at %p; "
                  "await it, or declare it with OURO_OP",
                  f->task.name, s->number, note.name, note.place);
        }
}
#endif

struct ouro_task *fiber_missing(const struct shard *s, const char *what)
{
    if (s->current == &s->idle_task)
        return NULL;
    fatal("task '%s' on shard %u is stackless and called %s, which only a fiber can wait in; use "
          "OURO_AWAIT",
          s->current->name, s->number, what);
}

/* --- spawn -------------------------------------------------------------------------------------
 */

static const struct ouro_spawn_options spawn_defaults = {.must_run = true};

static struct stack_pool *pool_for(struct shard *s, size_t bytes)
{
    for (size_t i = 0; i < array_size(s->stacks); i++)
        if (bytes <= s->stacks[i].stack_bytes)
            return &s->stacks[i];
    return NULL;
}

static int spawn_check(const struct shard *s, const struct ouro_scope *scope, ouro_task_fn *fn,
                       const void *arg, size_t arg_bytes, const struct ouro_spawn_options *o)
{
    if (fn == NULL || arg_bytes > OURO_SPAWN_ARG_MAX || (arg == NULL && arg_bytes != 0))
        return -EINVAL;
    if (o != &spawn_defaults && o->size != sizeof *o)
        return -EINVAL;
    return scope_admits(s, scope);
}

static struct fiber *fiber_make(struct shard *s, struct stack_pool *pool, void *top,
                                const void *arg, size_t arg_bytes)
{
    struct fiber *f = fiber_at(top);
    char *below = (char *)f - ((arg_bytes + 15) & ~(size_t)15);

    (void)s;
    f->task = (struct ouro_task){.resume = NULL};
    f->top = top;
    f->pool = pool;
    f->handle = HANDLE_NONE;
#if OURO_CHECKED
    memset(f->timers, 0, sizeof f->timers);
#endif
    f->arg = (void *)(uintptr_t)arg;
    if (arg_bytes != 0)
        f->arg = memcpy(below, arg, arg_bytes);
    context_make(&f->context, stack_limit(pool, top), below, fiber_main, f);
    return f;
}

int ouro_spawn_with(struct ouro_scope *scope, ouro_task_fn *fn, const void *arg, size_t arg_bytes,
                    const struct ouro_spawn_options *options, ouro_fiber *out)
{
    const struct ouro_spawn_options *o = options != NULL ? options : &spawn_defaults;
    struct shard *s = shard_self;
    struct stack_pool *pool;
    struct fiber *f;
    void *top;
    int error;

    if (s == NULL)
        return -OURO_ENOSHARD;
    scope = scope != NULL ? scope : &s->root;
    error = spawn_check(s, scope, fn, arg, arg_bytes, o);
    if (error != 0)
        return error;
    pool = pool_for(s, o->stack_bytes);
    if (pool == NULL)
        return -EINVAL;
    error = stack_alloc(pool, &top);
    if (error != 0) {
        s->counters.fibers_refused += error == -EAGAIN;
        return error;
    }
    f = fiber_make(s, pool, top, arg, arg_bytes);
    f->fn = fn;
    f->joinable = o->joinable;
    f->must_run = o->must_run;
    f->task.name = o->name != NULL ? o->name : "fiber";
    if (o->joinable || out != NULL) {
        f->handle = handle_take(s, f);
        if (f->handle == HANDLE_NONE) {
            stack_free(pool, top);
            s->counters.fibers_refused++;
            return -EAGAIN;
        }
    }
    if (out != NULL)
        out->id = s->handles.handle[f->handle].id;
    task_enter_scope(scope, &f->task);
    task_push(s, &f->task);
    s->counters.spawns++;
    return 0;
}

/* --- join, cancel, yield -------------------------------------------------------------------------
 */

int ouro_join_start(struct ouro_join *join, ouro_fiber fiber)
{
    struct shard *s = shard_self;
    struct fiber_handle *x = s != NULL ? handle_find(s, fiber) : NULL;
    int error = s == NULL ? -OURO_ENOSHARD : x == NULL ? handle_missing(s, fiber) : 0;

    if (join == NULL)
        return -EINVAL;
    *join = (struct ouro_join){0};
    if (error == 0 && x->fiber != NULL && &x->fiber->task == s->current)
        error = -EDEADLK; /* whether or not somebody else waits for it */
    if (error == 0 && x->fiber != NULL && !x->fiber->joinable)
        error = -EINVAL;
    if (error == 0 && x->fiber != NULL && x->fiber->task.joins != NULL)
        error = -ESRCH; /* somebody else's already */
    if (error != 0) {
        op_refuse(&join->op, error);
        return error;
    }
    if (x->fiber != NULL)
        return join_on(s, join, &x->fiber->task, __builtin_return_address(0));
    op_refuse(&join->op, x->result);
    join->joined = true;
    join->how = x->how;
    zombie_remove(s, (uint32_t)(x - s->handles.handle));
    return 0;
}

int ouro_fiber_cancel(ouro_fiber fiber)
{
    struct shard *s = shard_self;
    struct fiber_handle *x;

    if (s == NULL)
        return -OURO_ENOSHARD;
    x = handle_find(s, fiber);
    if (x == NULL)
        return handle_missing(s, fiber);
    if (x->fiber == NULL)
        return -ESRCH;
    task_cancel(s, &x->fiber->task);
    return 0;
}

int ouro_yield(void)
{
    struct shard *s = shard_self;
    struct ouro_task *self = s != NULL ? fiber_running(s, "ouro_yield") : NULL;

    if (self == NULL)
        return -OURO_ENOSHARD;
    if (task_cancelled(self))
        return -ECANCELED;
    task_push(s, self);
    fiber_suspend(s, self);
    return task_cancelled(self) ? -ECANCELED : 0;
}

int ouro_stack_use(void (*each)(void *ctx, const char *name, size_t bytes), void *ctx)
{
    struct shard *s = shard_self;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (each == NULL)
        return -EINVAL;
    for (uint32_t i = 0; i < s->stack_uses; i++)
        each(ctx, s->stack_use[i].name, s->stack_use[i].bytes);
    return 0;
}
