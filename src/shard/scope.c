/* SPDX-License-Identifier: MIT */
/* Scopes: who owns which task. An open scope stands in its owner's list of operations, so that a
 * task cannot end with one open. Its future is DONE whenever no task is in it. */
#include "shard/fiber.h"
#include "shard/op.h"

void scope_init(struct ouro_scope *scope, unsigned flags)
{
    *scope = (struct ouro_scope){.flags = (uint8_t)flags};
    future_init(&scope->op.future, KIND_SCOPE);
    scope->op.future.state = OURO_DONE;
    scope->op.slot = SLOT_NONE;
}

int ouro_scope_enter(struct ouro_scope *scope, unsigned flags)
{
    struct shard *s = shard_self;

    if (scope == NULL)
        return -EINVAL;
    scope_init(scope, flags); /* refused or not, it can be cancelled and left */
    if (s == NULL || s->current == &s->idle_task)
        return -OURO_ENOSHARD;
    if ((flags & ~(unsigned)OURO_SCOPE_FAIL_FAST) != 0)
        return -EINVAL;
    if (task_cancelled(s->current))
        return -ECANCELED;
    scope->owner = s->current;
    scope->shielded = (s->current->flags & TASK_SHIELD_MASK) != 0;
    scope->op.place = __builtin_return_address(0);
    op_link(s->current, &scope->op);
    return 0;
}

void task_enter_scope(struct ouro_scope *scope, struct ouro_task *t)
{
    t->scope = scope;
    t->sibling_next = scope->children;
    t->sibling_pprev = &scope->children;
    if (t->sibling_next != NULL)
        t->sibling_next->sibling_pprev = &t->sibling_next;
    scope->children = t;
    if (scope->live++ == 0)
        scope->op.future.state = OURO_PENDING;
}

void scope_child_ended(struct shard *s, struct ouro_scope *scope, struct ouro_task *t)
{
    *t->sibling_pprev = t->sibling_next;
    if (t->sibling_next != NULL)
        t->sibling_next->sibling_pprev = t->sibling_pprev;
    if (t->result < 0 && scope->first_error == 0 &&
        !(scope->cancelled && t->result == -ECANCELED)) {
        scope->first_error = t->result;
        if ((scope->flags & OURO_SCOPE_FAIL_FAST) != 0)
            scope_cancel(s, scope);
    }
    if (--scope->live == 0)
        future_complete(s, &scope->op.future, scope->first_error);
}

/* Children are only marked and woken here; the list does not change under us. */
void scope_cancel(struct shard *s, struct ouro_scope *scope)
{
    scope->cancelled = true;
    for (struct ouro_task *t = scope->children; t != NULL; t = t->sibling_next)
        task_cancel(s, t);
}

void ouro_scope_cancel(struct ouro_scope *scope)
{
    struct shard *s = shard_self;

    if (scope == NULL || s == NULL)
        return;
    if (scope->op.pprev != NULL)
        future_ensure_own(s, &scope->op.future, "ouro_scope_cancel");
    scope_cancel(s, scope);
}

int ouro_scope_close(struct ouro_scope *scope)
{
    struct shard *s = shard_self;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (scope == NULL || scope->op.pprev == NULL)
        return -EINVAL;
    if (future_foreign(s, &scope->op.future))
        return -OURO_EOTHERSHARD;
    if (scope->live != 0)
        return -EBUSY;
    fiber_handle_forget(s, scope->zombies);
    scope->zombies = 0;
    op_unlink(&scope->op);
    return scope->first_error;
}

int ouro_scope_leave(struct ouro_scope *scope)
{
    struct shard *s = shard_self;
    struct ouro_task *self;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (scope == NULL || scope->op.pprev == NULL)
        return -EINVAL;
    if (future_foreign(s, &scope->op.future))
        return -OURO_EOTHERSHARD;
    self = fiber_running(s, "ouro_scope_leave");
    if (self == NULL || self != scope->owner)
        return -EPERM; /* a child that left it would wait for itself */
    /* A release: cancellation has reached the children, their end is awaited all the same. */
    while (scope->live != 0) {
        scope->op.future.waiter = self;
        fiber_wait(s, self);
    }
    return ouro_scope_close(scope);
}
