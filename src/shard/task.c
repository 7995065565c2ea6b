/* SPDX-License-Identifier: MIT */
#include "shard/op.h"

#include <ouro/timer.h>
#include <stddef.h>

static const char *end_name(const struct ouro_task *t)
{
    return t->name != NULL ? t->name : "task";
}

struct op_note op_look(const struct shard *s, const struct ouro_op *op)
{
#if OURO_CHECKED
    const struct op_note *note = &s->notes[op_note_index(op)];

    if (note->op == op)
        return *note;
#else
    (void)s;
#endif
    return (struct op_note){op, "an operation", NULL};
}

static const char *left_name(const struct op_left *left)
{
    const struct ouro_future f = {.kind = left->kind, .opcode = left->opcode};

    return left->call != NULL ? left->call : future_name(&f);
}

void task_abandons(const struct shard *s, const struct ouro_task *t, const struct op_left *left,
                   unsigned n)
{
    static const struct op_left unknown = {.call = "an operation"};

    for (unsigned i = 0; i + 1 < n; i++)
        notice("task '%s' on shard %u ends with '%s' pending, started at %p", end_name(t),
               s->number, left_name(&left[i]), left[i].place);
    left = n != 0 ? &left[n - 1] : &unknown;
    fatal("task '%s' on shard %u ends with '%s' pending, started at %p; await it, or declare it "
          "with OURO_OP",
          end_name(t), s->number, left_name(left), left->place);
}

void task_finish(struct shard *s, struct ouro_task *t, int value)
{
    struct ouro_join *j, *next;
    struct ouro_scope *scope = t->scope;

    if (OURO_UNLIKELY(t->ops != NULL)) {
        struct op_left left[REPORTED_OPS];

        task_abandons(s, t, left, ops_left(t, left)); /* [TASK-2] */
    }
    check(t->state == OURO_TASK_RUNNING); /* the drawing in ouro/task.h */
    t->result = value;
    t->state = OURO_TASK_ENDED;
    check(s->current == t);
    s->current = &s->idle_task; /* its memory may go before the next one runs */
    for (j = t->joins; j != NULL; j = next) {
        next = j->next;
        j->how = task_how(t);
        j->joined = true;
        j->task = NULL;
        op_complete(s, &j->op, value);
    }
    t->joins = NULL;
    if (scope != NULL)
        scope_child_ended(s, scope, t);
}

static void ensure_running(const struct shard *s, const struct ouro_task *task)
{
    ensure(s != NULL && s->current == task,
           "stackless task '%s' was resumed on another shard, or outside of its turn",
           end_name(task));
}

void ouro_task_end(struct ouro_task *task, int value)
{
    struct shard *s = shard_self;

    ensure_running(s, task);
    task->point = 0;
    task_finish(s, task, value);
}

void ouro_task_yield(struct ouro_task *task)
{
    struct shard *s = shard_self;

    ensure_running(s, task);
    task_push(s, task);
}

/* What was opened inside of a shield is spared until the shield ends. */
static void cancel_scopes(struct shard *s, const struct ouro_task *t)
{
    for (struct ouro_op *op = t->ops; op != NULL; op = op->next) {
        struct ouro_scope *scope = container_of(op, struct ouro_scope, op);

        if (op->future.kind == KIND_SCOPE && (!scope->shielded || task_cancelled(t)))
            scope_cancel(s, scope);
    }
}

/* Cancelled tasks wake, find out at their wait, and cancel what they wait for; their scopes pass it
 * on. */
void task_cancel(struct shard *s, struct ouro_task *t)
{
    if (t->state == OURO_TASK_ENDED || t->state == OURO_TASK_NONE ||
        (t->flags & TASK_CANCELLED) != 0)
        return;
    t->flags |= TASK_CANCELLED;
    cancel_scopes(s, t);
    task_wake(s, t);
}

void ouro_task_cancel(struct ouro_task *task)
{
    struct shard *s = shard_self;
    const struct ouro_future *owner = task != NULL && s != NULL ? task_owner(task) : NULL;

    if (owner == NULL)
        return;
    future_ensure_own(s, owner, "ouro_task_cancel");
    task_cancel(s, task);
}

int ouro_task_start(struct ouro_scope *scope, struct ouro_task *task,
                    void (*resume)(struct ouro_task *), const char *name)
{
    struct shard *s = shard_self;
    int error;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (task == NULL || resume == NULL)
        return -EINVAL;
    if (task->state != OURO_TASK_NONE && task->state != OURO_TASK_ENDED)
        return -EBUSY;
    if (scope == NULL)
        scope = &s->root;
    error = scope_admits(s, scope);
    if (error != 0)
        return error;
    *task = (struct ouro_task){.resume = resume, .name = name != NULL ? name : "stackless"};
    task_enter_scope(scope, task);
    task_push(s, task);
    return 0;
}

static void join_begin(struct shard *s, struct ouro_join *j, struct ouro_task *t, const void *place)
{
    op_init(s, &j->op, KIND_JOIN, place);
    j->task = t;
    j->next = t->joins;
    t->joins = j;
}

int join_on(struct shard *s, struct ouro_join *j, struct ouro_task *t, const void *place)
{
    if (t == s->current) {
        op_refuse(&j->op, -EDEADLK);
        return -EDEADLK;
    }
    join_begin(s, j, t, place);
    return 0;
}

int ouro_task_join_start(struct ouro_join *join, struct ouro_task *task)
{
    struct shard *s = shard_self;

    if (join == NULL)
        return -EINVAL;
    *join = (struct ouro_join){0};
    op_refuse(&join->op, s == NULL ? -OURO_ENOSHARD : -EINVAL);
    if (s == NULL || task == NULL || task->state == OURO_TASK_NONE)
        return join->op.future.result;
    if (task_owner(task) != NULL && future_foreign(s, task_owner(task))) {
        join->op.future.result = -OURO_EOTHERSHARD;
        return -OURO_EOTHERSHARD;
    }
    if (task->state == OURO_TASK_ENDED) {
        join->joined = true;
        join->how = task_how(task);
        join->op.future.result = task->result;
        return 0;
    }
    return join_on(s, join, task, __builtin_return_address(0));
}

/* --- calls of several steps ----------------------------------------------------------------------
 */

void call_start(struct shard *s, struct call *c, void (*resume)(struct ouro_task *),
                const char *name, const void *place, bool shielded)
{
    struct ouro_task *caller = s->current;

    op_init(s, &c->op, KIND_CALL, place);
    op_note(s, &c->op, name);
    c->task = (struct ouro_task){.resume = resume, .name = name, .state = OURO_TASK_RUNNING};
    if (shielded)
        c->task.flags = TASK_SHIELD_ONE;
    else if (task_cancelled(caller))
        c->task.flags = TASK_CANCELLED;
    s->current = &c->task;
    resume(&c->task);
    s->current = caller;
}

void call_end(struct ouro_task *task, int result)
{
    struct shard *s = shard_self;
    struct call *c = container_of(task, struct call, task);

    task->point = 0;
    task_finish(s, task, result);
    op_complete(s, &c->op, result);
}

/* --- the running task ----------------------------------------------------------------------------
 */

struct ouro_task *ouro_current_task(void)
{
    struct shard *s = shard_self;

    return s == NULL || s->current == &s->idle_task ? NULL : s->current;
}

const char *ouro_task_name(void)
{
    struct ouro_task *t = ouro_current_task();

    return t == NULL ? "" : t->name;
}

int ouro_task_set_name(const char *name)
{
    struct ouro_task *t = ouro_current_task();

    if (t == NULL)
        return -OURO_ENOSHARD;
    if (name == NULL)
        return -EINVAL;
    t->name = name;
    return 0;
}

bool ouro_cancelled(void)
{
    struct ouro_task *t = ouro_current_task();

    return t != NULL && task_cancelled(t);
}

int ouro_shield_enter(void)
{
    struct ouro_task *t = ouro_current_task();

    if (t == NULL)
        return -OURO_ENOSHARD;
    if ((t->flags & TASK_SHIELD_MASK) == TASK_SHIELD_MASK)
        return -EOVERFLOW;
    t->flags = (uint8_t)(t->flags + TASK_SHIELD_ONE);
    return 0;
}

int ouro_shield_leave(void)
{
    struct ouro_task *t = ouro_current_task();

    if (t == NULL)
        return -OURO_ENOSHARD;
    if ((t->flags & TASK_SHIELD_MASK) == 0)
        return -EINVAL;
    t->flags = (uint8_t)(t->flags - TASK_SHIELD_ONE);
    if (OURO_UNLIKELY(task_cancelled(t)))
        cancel_scopes(shard_self, t);
    return 0;
}

bool ouro_should_yield(void)
{
    struct shard *s = shard_self;

    /* Whoever has become ready meanwhile (a timer, a message, a task) shows nowhere until the turn
     * ends. */
    return s != NULL && clock_ticks() >= s->slice_end_ticks;
}
