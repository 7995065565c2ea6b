/* SPDX-License-Identifier: MIT */
#include "shard/audit.h"
#include "shard/op.h"

enum { SLOT_KINDS = array_size(((struct slots *)0)->open) };

struct audit {
    struct shard *s;
    uint64_t ready; /* tasks of the tree that are in the run queue */
    uint64_t held;  /* operations that keep a slot */
};

#define must_hold(cond, rule)                                                                      \
    ensure(cond, "shard %u: [%s] does not hold: %s", a->s->number, rule, #cond)

static void audit_task(struct audit *a, const struct ouro_task *t);

static void audit_scope(struct audit *a, const struct ouro_scope *scope)
{
    struct ouro_task *const *link = &scope->children;
    uint32_t live = 0;

    for (const struct ouro_task *t = *link; t != NULL; link = &t->sibling_next, t = *link) {
        must_hold(t->scope == scope && t->sibling_pprev == link, "TASK-5");
        audit_task(a, t);
        live++;
    }
    must_hold(live == scope->live, "TASK-5");
    must_hold((scope->op.future.state == OURO_DONE) == (live == 0), "TASK-5");
}

static bool state_fits(const struct ouro_op *op)
{
    switch (op->future.kind) {
    case KIND_SCOPE: /* DONE while it is empty */
    case KIND_ZC:    /* DONE from sent until the buffer is free */
        return op->future.state != OURO_IDLE;
    default:
        return op->future.state == OURO_PENDING || op->future.state == OURO_CANCELLING;
    }
}

static void audit_op(struct audit *a, const struct ouro_op *op)
{
    must_hold(state_fits(op), "TASK-4");
    must_hold(op->future.state != OURO_DONE || op->future.waiter == NULL, "TASK-3");
    if (op->slot != SLOT_NONE) {
        must_hold(a->s->slots.slot[op->slot].kind != SLOT_FREE, "SLOT-1");
        a->held++;
    }
    if (op->future.kind == KIND_SCOPE)
        audit_scope(a, container_of(op, const struct ouro_scope, op));
    if (op->future.kind == KIND_CALL)
        audit_task(a, &container_of(op, const struct call, op)->task);
}

static void audit_ops(struct audit *a, const struct ouro_task *t)
{
    struct ouro_op *const *link = &t->ops;

    for (const struct ouro_op *op = *link; op != NULL; link = &op->next, op = *link) {
        must_hold(op_intact(op, link), "TASK-4");
        audit_op(a, op);
    }
}

static void audit_task(struct audit *a, const struct ouro_task *t)
{
    must_hold(t->state == OURO_TASK_READY || t->state == OURO_TASK_WAITING || t == a->s->current,
              "TASK-2");
    a->ready += t->state == OURO_TASK_READY;
    audit_ops(a, t);
}

static void audit_run_queue(const struct audit *a)
{
    struct ouro_task *const *link = &a->s->ready;
    uint64_t queued = 0;

    for (const struct ouro_task *t = *link; t != NULL; link = &t->run_next, t = *link) {
        must_hold(t->state == OURO_TASK_READY, "TASK-1");
        queued++;
    }
    must_hold(a->s->ready_tail == link, "TASK-1");
    must_hold(a->ready <= queued, "TASK-1"); /* the runtime's own tasks are in no scope */
}

static void audit_slots(const struct audit *a)
{
    const struct slots *t = &a->s->slots;
    uint32_t open[SLOT_KINDS] = {0}, direct = 0;
    uint64_t inflight = 0;

    for (uint32_t i = 0; i < t->fresh; i++) {
        const struct slot *slot = &t->slot[i];

        must_hold(slot->kind != SLOT_FREE || slot->inflight == 0, "SLOT-1");
        open[slot->kind]++;
        direct += slot->kind != SLOT_FREE && slot->direct;
        inflight += slot->inflight;
    }
    for (unsigned kind = SLOT_FREE + 1; kind < SLOT_KINDS; kind++)
        must_hold(open[kind] == t->open[kind], "SLOT-2");
    must_hold(direct == t->direct_open, "SLOT-4");
    must_hold(a->held <= inflight, "SLOT-1");
}

static void audit_pool(const struct audit *a, const struct pool *p)
{
    uint32_t out = 0;

    if (p->br == NULL)
        return;
    for (uint32_t i = 0; i < p->live; i++)
        out += p->buffer[i].out;
    must_hold(p->in_ring + out == p->live, "POOL-1");
    must_hold(p->live <= p->max && p->max <= p->entries, "POOL-3");
}

static void audit_stacks(const struct audit *a, const struct stack_pool *p)
{
    size_t warm = p->warm_max - p->warm_room;

    must_hold(p->warm_room <= p->warm_max, "STACK-5");
    must_hold(p->counters.live + warm <= p->counters.carved, "STACK-4");
    must_hold(p->counters.carved <= p->max_stacks, "STACK-4");
}

static void audit_mesh(const struct audit *a)
{
    const struct mesh_end *e = &a->s->mesh;

    for (unsigned to = 0; to < e->mesh->n; to++) {
        struct mesh_message *const *link = &e->outbox[to].head;

        while (*link != NULL)
            link = &(*link)->out_next;
        must_hold(e->outbox[to].tail == link, "MESH-1");
    }
}

void shard_audit(struct shard *s)
{
    struct audit audit = {.s = s}, *a = &audit;

    audit_scope(a, &s->root);
    audit_ops(a, &s->idle_task);
    audit_run_queue(a);
    audit_slots(a);
    for (size_t i = 0; i < array_size(s->pools); i++)
        audit_pool(a, &s->pools[i]);
    for (size_t i = 0; i < array_size(s->stacks); i++)
        audit_stacks(a, &s->stacks[i]);
    audit_mesh(a);
}
