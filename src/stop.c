/* SPDX-License-Identifier: MIT */
/* Stopping: see the diagram in runtime.h. */
#include "runtime.h"
#include "io/leftover.h"
#include "io/listener.h"
#include "shard/op.h"

#include <stdio.h>
#include <string.h>

static struct worker *self(struct shard *s)
{
    (void)s;
    return worker_self;
}

/* The drawing in runtime.h. */
static void enter_phase(struct worker *w, enum stop_phase phase)
{
    static const unsigned from[] = {[DRAINING] = 1u << RUNNING,
                                    [CLOSING] = 1u << DRAINING,
                                    [STOPPED] = 1u << DRAINING | 1u << CLOSING,
                                    [EXITING] = 1u << STOPPED};

    check((from[phase] >> w->phase & 1) != 0);
    w->phase = phase;
}

static void set_deadline(struct worker *w, uint64_t after_ns)
{
    struct shard *s = w->shard;

    wheel_cancel(&s->wheel, &w->deadline.node);
    future_init(&w->deadline.future, KIND_TIMER);
    w->deadline_ns = clock_now_ns() + after_ns;
    wheel_insert(&s->wheel, &w->deadline.node, w->deadline_ns);
}

/* STOP: everything that the root scope owns is cancelled, here and through its scopes. */
static void receive_stop(struct shard *s, struct mesh_message *message)
{
    struct worker *w = self(s);

    (void)message;
    if (w->phase != RUNNING)
        return;
    enter_phase(w, DRAINING);
    s->mesh.by_eventfd = true; /* rings will be closed; see stop_step() */
    set_deadline(w, w->runtime->options.drain_deadline_ns);
    scope_cancel(s, &s->root);
}

static void receive_abandon(struct shard *s, struct mesh_message *message)
{
    struct worker *w = self(s);

    (void)message;
    if (w->phase == DRAINING || w->phase == CLOSING)
        set_deadline(w, 0);
}

static void receive_exit(struct shard *s, struct mesh_message *message)
{
    (void)message;
    enter_phase(self(s), EXITING);
}

/* Shard 0. */
static void send_to_all(struct runtime *rt, size_t message_offset)
{
    struct shard *s = rt->workers[0].shard;

    for (unsigned i = 0; i < rt->n; i++)
        mesh_send(&s->mesh, i,
                  (struct mesh_message *)(void *)((char *)&rt->workers[i] + message_offset));
}

static void receive_ask_stop(struct shard *s, struct mesh_message *message)
{
    struct runtime *rt = container_of(message, struct runtime, ask_stop);

    if (s == NULL || rt->stop_sent) /* NULL: it was posted after the end */
        return;
    rt->stop_sent = true;
    send_to_all(rt, offsetof(struct worker, stop));
    if (rt->abandoned)
        send_to_all(rt, offsetof(struct worker, abandon));
}

static void receive_stopped(struct shard *s, struct mesh_message *message)
{
    struct runtime *rt = self(s)->runtime;

    (void)message;
    if (++rt->stopped == rt->n && !signals_stop(s))
        runtime_exit(rt);
}

void runtime_exit(struct runtime *rt)
{
    check(rt->stopped == rt->n); /* [RUN-1] */
    send_to_all(rt, offsetof(struct worker, exit));
}

void stop_init(struct runtime *rt)
{
    rt->ask_stop.receive = receive_ask_stop;
    for (unsigned i = 0; i < rt->n; i++) {
        rt->workers[i].stop.receive = receive_stop;
        rt->workers[i].exit.receive = receive_exit;
        rt->workers[i].abandon.receive = receive_abandon;
    }
}

void runtime_stop(struct runtime *rt)
{
    uint32_t no = 0;

    if (!cas_acq_rel(&rt->stopping, &no, 1)) /* pairs with itself: one thread posts */
        return;
    if (shard_self != NULL)
        mesh_send(&shard_self->mesh, 0, &rt->ask_stop);
    else
        /* The inbox may be full of others' messages: this one must get in. */
        while (mesh_post_remote(&rt->mesh, 0, &rt->ask_stop) == -EAGAIN)
            sched_yield();
}

void runtime_abandon(struct runtime *rt)
{
    if (rt->abandoned)
        return;
    rt->abandoned = true;
    if (rt->stop_sent) /* else behind it: a shard that runs takes no notice */
        send_to_all(rt, offsetof(struct worker, abandon));
}

/* --- what is left ---------------------------------------------------------------------------- */

struct sleep_search {
    const struct ouro_task *task;
    bool found;
};

static void find_sleep(struct ouro_wheel_node *node, void *arg)
{
    const struct ouro_future *f = &container_of(node, struct ouro_timer, node)->future;
    struct sleep_search *search = arg;

    search->found |= f->waiter == search->task && f->opcode != TIMER_DEADLINE;
}

/* Timers stand in no list of their task: the wheel is asked. */
static bool sleeps(struct shard *s, const struct ouro_task *t)
{
    struct sleep_search search = {.task = t};

    wheel_for_each(&s->wheel, find_sleep, &search);
    return search.found;
}

static const char *waits_for(struct shard *s, const struct ouro_task *t)
{
    const struct ouro_op *op = t->ops;

    if (t->state == OURO_TASK_READY)
        return "nothing, it is ready";
    while (op != NULL && op->future.waiter != t)
        op = op->next;
    if (op == NULL && sleeps(s, t))
        return "a timer";
    op = op != NULL ? op : t->ops;
    return op != NULL ? future_name(&op->future) : "a condition";
}

static unsigned report_tasks(struct shard *s, const struct ouro_scope *scope, unsigned depth,
                             bool quiet)
{
    unsigned n = 0;

    for (const struct ouro_task *t = scope->children; t != NULL; t = t->sibling_next) {
        n++;
        if (!quiet && n <= 16)
            notice("shard %u: at stop, task '%s' has not ended; it waits for %s", s->number,
                   t->name, waits_for(s, t));
        for (const struct ouro_op *op = t->ops; op != NULL && depth < 8; op = op->next)
            if (op->future.kind == KIND_SCOPE)
                n += report_tasks(s, container_of(op, const struct ouro_scope, op), depth + 1,
                                  quiet);
    }
    return n;
}

static void report_open(const struct shard *s)
{
    const uint32_t *n = s->slots.open;

    if (n[SLOT_CONN] + n[SLOT_LISTENER] + n[SLOT_FILE] != 0)
        notice("shard %u: at stop, still open: %u connections, %u listeners, %u files", s->number,
               n[SLOT_CONN], n[SLOT_LISTENER], n[SLOT_FILE]);
    if (wheel_pending(&s->wheel) > 1) /* one is the stop's own */
        notice("shard %u: at stop, %zu timers were still running", s->number,
               wheel_pending(&s->wheel) - 1);
}

static unsigned open_slots(const struct shard *s)
{
    return s->slots.open[SLOT_CONN] + s->slots.open[SLOT_LISTENER] + s->slots.open[SLOT_FILE];
}

/* Connections that were handed to a close nobody waits for are on their way. */
static unsigned closing_slots(const struct shard *s)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < s->slots.fresh && n < open_slots(s); i++)
        n += s->slots.slot[i].kind != SLOT_FREE && s->slots.slot[i].closing;
    return n;
}

/* Every task has ended: what is still open belongs to nobody. Listeners go first, with what is
 * queued in them. */
static void close_leftovers(struct worker *w)
{
    struct shard *s = w->shard;
    unsigned left = open_slots(s) - closing_slots(s);

    if (left != 0 && !w->runtime->options.quiet)
        report_open(s);
    s->counters.leaked_descriptors = left;
    listeners_close_all(s);
}

static void announce(struct worker *w)
{
    w->stop.receive = receive_stopped; /* its own message is free again */
    enter_phase(w, STOPPED);
    wheel_cancel(&w->shard->wheel, &w->deadline.node);
    mesh_send(&w->shard->mesh, 0, &w->stop);
}

static void give_up(struct worker *w)
{
    struct shard *s = w->shard;
    bool quiet = w->runtime->options.quiet;

    s->counters.leaked_tasks = report_tasks(s, &s->root, 0, quiet);
    if (!quiet) {
        if (s->root.live == 0)
            notice("shard %u: at stop, an operation has not completed", s->number);
        report_open(s);
    }
    announce(w);
}

void stop_step(struct worker *w)
{
    struct shard *s = w->shard;
    bool late = clock_now_ns() >= w->deadline_ns;

    if (w->phase == DRAINING && s->root.live == 0 && s->ready == NULL) {
        enter_phase(w, CLOSING);
        close_leftovers(w);
    }
    if (w->phase == CLOSING && s->slots.open[SLOT_LISTENER] == 0 && !w->swept) {
        w->swept = true;
        leftovers_close(s, !w->runtime->options.quiet);
    }
    if (w->phase == CLOSING && shard_quiet(s) && open_slots(s) == 0 && s->ready == NULL &&
        !mesh_outbox_full(&s->mesh) && ring_all_submitted(&s->ring)) /* [RUN-3] */
        announce(w);
    else if ((w->phase == DRAINING || w->phase == CLOSING) && late)
        give_up(w);
}

/* --- public ---------------------------------------------------------------------------------- */

void ouro_stop(void)
{
    struct runtime *rt = shard_self != NULL ? worker_self->runtime : runtime_hold();

    if (rt == NULL)
        return;
    runtime_stop(rt);
    if (shard_self == NULL)
        runtime_release();
}

bool ouro_stopping(void)
{
    struct runtime *rt = shard_self != NULL ? worker_self->runtime : runtime_hold();
    bool yes = rt != NULL && load_acquire(&rt->stopping) != 0; /* pairs with runtime_stop() */

    if (rt != NULL && shard_self == NULL)
        runtime_release();
    return yes;
}

unsigned ouro_shard_count(void)
{
    struct runtime *rt = shard_self != NULL ? worker_self->runtime : runtime_hold();
    unsigned n = rt != NULL ? rt->n : 0;

    if (rt != NULL && shard_self == NULL)
        runtime_release();
    return n;
}

int ouro_current_shard(void)
{
    return shard_self != NULL ? (int)shard_self->number : -OURO_ENOSHARD;
}
