/* SPDX-License-Identifier: MIT */
/* What futures are, and how each kind is cancelled. */
#include "shard/op.h"

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
        wheel_cancel(&s->wheel, &container_of(f, struct ouro_timer, future)->node);
        future_complete(s, f, -ECANCELED);
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
    case KIND_RELEASED:
        future_cancel(s, &container_of(f, struct ouro_send_zc, released)->op.future);
        break;
    case KIND_EVENT:
        break;
    default:
        fatal("a future of kind %u was to be cancelled", f->kind);
    }
}

void ouro_cancel(struct ouro_future *f)
{
    if (f != NULL && shard_self != NULL)
        future_cancel(shard_self, f);
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
    default:
        return "event";
    }
}
