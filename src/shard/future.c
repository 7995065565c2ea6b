/* SPDX-License-Identifier: MIT */
/* What futures are, and how each kind is cancelled. */
#include "shard/op.h"

#include <ouro/call.h>
#include <ouro/poll.h>
#include <ouro/promise.h>
#include <ouro/timer.h>

static void join_cancel(struct shard *s, struct ouro_join *j)
{
    struct ouro_join **p = &j->task->joins;

    while (*p != j)
        p = &(*p)->next;
    *p = j->next;
    op_complete(s, &j->op, -ECANCELED);
}

static void signal_cancel(struct shard *s, struct ouro_signal_wait *w)
{
    *w->pprev = w->next;
    if (w->next != NULL)
        w->next->pprev = w->pprev;
    op_complete(s, &w->op, -ECANCELED);
}

void promise_note(struct shard *s, struct ouro_promise_wait *w)
{
    struct ouro_promise *p = w->promise;

    if (p->first == NULL) { /* [PROMISE-2] */
        p->next = s->promises;
        p->pprev = &s->promises;
        if (p->next != NULL)
            p->next->pprev = &p->next;
        s->promises = p;
    }
    w->next = NULL;
    w->pprev = p->last;
    *p->last = w;
    p->last = &w->next;
}

void promise_forget(struct shard *s, struct ouro_promise_wait *w)
{
    struct ouro_promise *p = w->promise;

    /* [PROMISE-2] */
    ensure(p->first != NULL && p->first->promise == p && p->first->pprev == &p->first,
           "on shard %u a promise was overwritten while tasks wait for it; drop it, or declare it "
           "with OURO_PROMISE",
           s->number);
    *w->pprev = w->next;
    if (w->next != NULL)
        w->next->pprev = w->pprev;
    else
        p->last = w->pprev;
    if (p->first == NULL) { /* [PROMISE-2] */
        *p->pprev = p->next;
        if (p->next != NULL)
            p->next->pprev = p->pprev;
    }
}

static void promise_wait_cancel(struct shard *s, struct ouro_promise_wait *w)
{
    promise_forget(s, w);
    op_complete(s, &w->op, -ECANCELED);
}

void future_cancel(struct shard *s, struct ouro_future *f)
{
    struct ouro_op *op = container_of(f, struct ouro_op, future);

    if (f->state != OURO_PENDING)
        return;
    switch (f->kind) {
    case KIND_OP:
        f->state = OURO_CANCELLING;
        op_cancel(s, op, TAG_OP);
        break;
    case KIND_ZC:
        f->state = OURO_CANCELLING;
        op_cancel(s, op, TAG_ZC);
        break;
    case KIND_RAW:
        f->state = OURO_CANCELLING;
        op_cancel(s, op, TAG_RAW);
        break;
    case KIND_SOURCE:
        ouro_recv_source_stop(container_of(op, struct ouro_recv_source, op));
        break;
    case KIND_CALL:
        f->state = OURO_CANCELLING;
        task_cancel(s, &container_of(op, struct call, op)->task);
        break;
    case KIND_TIMER:
        timer_cancel(s, container_of(f, struct ouro_timer, future));
        break;
    case KIND_JOIN:
        join_cancel(s, container_of(op, struct ouro_join, op));
        break;
    case KIND_SCOPE:
        scope_cancel(s, container_of(op, struct ouro_scope, op));
        break;
    case KIND_SIGNAL:
        signal_cancel(s, container_of(op, struct ouro_signal_wait, op));
        break;
    case KIND_PROMISE:
        promise_wait_cancel(s, container_of(op, struct ouro_promise_wait, op));
        break;
    case KIND_POLL:
        ouro_poll_source_stop(container_of(op, struct ouro_poll_source, op));
        break;
    case KIND_RELEASED:
        future_cancel(s, &container_of(f, struct ouro_send_zc, released)->op.future);
        break;
    case KIND_REMOTE:
        remote_cancel(s, container_of(op, struct ouro_call, op));
        break;
    case KIND_EVENT:
        break;
    default:
        fatal("a future of kind %u was to be cancelled", f->kind);
    }
}

void ouro_cancel(struct ouro_future *f)
{
    struct shard *s = shard_self;

    if (f == NULL || s == NULL || f->state != OURO_PENDING)
        return;
    future_ensure_own(s, f, "ouro_cancel");
    future_cancel(s, f);
}

const char *future_name(const struct ouro_future *f)
{
    switch (f->kind) {
    case KIND_OP:
    case KIND_RAW:
        return ring_op_name(f->opcode);
    case KIND_ZC:
    case KIND_RELEASED:
        return "send_zc";
    case KIND_SOURCE:
        return "receive source";
    case KIND_CALL:
        return container_of(container_of(f, struct ouro_op, future), const struct call, op)
            ->task.name;
    case KIND_TIMER:
        return "timer";
    case KIND_JOIN:
        return "join";
    case KIND_SCOPE:
        return "scope";
    case KIND_SIGNAL:
        return "signal";
    case KIND_REMOTE:
        return "call to another shard";
    case KIND_PROMISE:
        return "promise";
    case KIND_POLL:
        return "poll source";
    default:
        return "event";
    }
}
