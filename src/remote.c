/* SPDX-License-Identifier: MIT */
/* Running functions on other shards. */
#include "runtime.h"
#include "async/promise.h"
#include "shard/fiber.h"
#include "shard/op.h"

#include <stdlib.h>

/* --- fire and forget ------------------------------------------------------------------------- */

struct remote_spawn {
    struct mesh_message message;
    ouro_task_fn *fn;
    void *arg;
    const char *name;
};

static void receive_spawn(struct shard *s, struct mesh_message *message)
{
    struct remote_spawn *r = container_of(message, struct remote_spawn, message);
    struct ouro_spawn_options o = {.size = sizeof o, .name = r->name, .must_run = true};
    int error = s != NULL ? ouro_spawn_with(NULL, r->fn, r->arg, 0, &o, NULL) : -ECANCELED;

    if (error == -EAGAIN) { /* options.max_fibers live: until one of them ends */
        message->out_next = NULL;
        *s->parked_tail = message;
        s->parked_tail = &message->out_next;
        return;
    }
    if (error != 0 && error != -ECANCELED)
        notice("shard %u: cannot spawn '%s' for another shard: error %d", s->number,
               r->name != NULL ? r->name : "fiber", error);
    free(r);
}

int ouro_spawn_remote(unsigned shard, ouro_task_fn *fn, void *arg, const char *name)
{
    struct runtime *rt = shard_self != NULL ? worker_self->runtime : runtime_hold();
    struct remote_spawn *r = NULL;
    int error = 0;

    if (rt == NULL)
        return -ESHUTDOWN;
    if (fn == NULL || shard >= rt->n)
        error = -EINVAL;
    else if (load_relaxed(&rt->stopping) != 0)
        error = -ESHUTDOWN;
    else if ((r = malloc(sizeof *r)) == NULL)
        error = -ENOMEM;
    if (error == 0) {
        *r = (struct remote_spawn){
            .message.receive = receive_spawn, .fn = fn, .arg = arg, .name = name};
        if (shard_self != NULL)
            mesh_send(&shard_self->mesh, shard, &r->message);
        else
            error = mesh_post_remote(&rt->mesh, shard, &r->message);
        if (error != 0)
            free(r);
    }
    if (shard_self == NULL)
        runtime_release();
    return error;
}

/* --- a promise of another shard -----------------------------------------------------------------
 */

static int promise_send(struct runtime *rt, struct ouro_promise *p, int result)
{
    int error = promise_claim(p);

    if (error != 0)
        return error;
    if (p->shard >= rt->n) { /* of an earlier runtime, which had more */
        promise_unclaim(p);
        return -EINVAL;
    }
    if (shard_self != NULL)
        mesh_send(&shard_self->mesh, p->shard, promise_message(p, result));
    else
        error = mesh_post_remote(&rt->mesh, p->shard, promise_message(p, result));
    if (error != 0)
        promise_unclaim(p);
    return error;
}

int ouro_promise_complete_remote(struct ouro_promise *p, int result)
{
    struct runtime *rt;
    int error;

    if (p == NULL)
        return -EINVAL;
    if (shard_self != NULL)
        return p->shard == shard_self->number ? ouro_promise_complete(p, result)
                                              : promise_send(worker_self->runtime, p, result);
    rt = runtime_hold();
    if (rt == NULL)
        return -ESHUTDOWN;
    error = promise_send(rt, p, result);
    runtime_release();
    return error;
}

/* --- on every shard -------------------------------------------------------------------------- */

struct each;

/* One shard's part. `go` travels there and back; `cancel` there and back. While it is there it is
 * that shard's. */
struct part {
    struct mesh_message go, cancel;
    struct each *each;
    unsigned shard;
    ouro_fiber fiber; /* on its shard, while it runs */
    struct ouro_each_result result;
};

struct each {
    ouro_task_fn *fn;
    void *arg;
    const char *name;
    unsigned caller, outstanding; /* messages that are not home */
    struct ouro_future done;
    struct part *part;
};

static void home(struct shard *s, struct part *p)
{
    if (--p->each->outstanding == 0)
        future_complete(s, &p->each->done, 0);
}

static void receive_back(struct shard *s, struct mesh_message *message)
{
    home(s, container_of(message, struct part, go));
}

static void receive_cancelled(struct shard *s, struct mesh_message *message)
{
    home(s, container_of(message, struct part, cancel));
}

static void send_back(struct shard *s, struct part *p)
{
    p->fiber.id = 0;
    p->go.receive = receive_back;
    mesh_send(&s->mesh, p->each->caller, &p->go);
}

static int part_fiber(void *arg)
{
    struct part *p = arg;
    int value = -ECANCELED;
    bool aborted = ouro_cancelled();

    if (!aborted)
        value = p->each->fn(p->each->arg);
    p->result.value = value;
    p->result.how = aborted                                              ? OURO_END_ABORTED
                    : (shard_self->current->flags & TASK_CANCELLED) != 0 ? OURO_END_CANCELLED
                                                                         : OURO_END_RETURNED;
    send_back(shard_self, p);
    return value;
}

static void receive_go(struct shard *s, struct mesh_message *message)
{
    struct part *p = container_of(message, struct part, go);
    struct ouro_spawn_options o = {.size = sizeof o, .name = p->each->name, .must_run = true};
    int error = ouro_spawn_with(NULL, part_fiber, p, 0, &o, &p->fiber);

    if (error == 0)
        return;
    p->result = (struct ouro_each_result){.value = error, .how = OURO_END_ABORTED};
    send_back(s, p);
}

static void receive_cancel(struct shard *s, struct mesh_message *message)
{
    struct part *p = container_of(message, struct part, cancel);

    if (p->fiber.id != 0)
        ouro_fiber_cancel(p->fiber);
    p->cancel.receive = receive_cancelled;
    mesh_send(&s->mesh, p->each->caller, &p->cancel);
}

static void send_cancels(struct shard *s, struct each *e, unsigned n)
{
    e->outstanding += n;
    for (unsigned i = 0; i < n; i++) {
        e->part[i].cancel.receive = receive_cancel;
        mesh_send(&s->mesh, i, &e->part[i].cancel);
    }
}

static int collect(const struct each *e, unsigned n, struct ouro_each_result *results)
{
    int error = 0;

    for (unsigned i = 0; i < n; i++) {
        if (results != NULL)
            results[i] = e->part[i].result;
        if (error == 0 && e->part[i].result.value < 0)
            error = e->part[i].result.value;
    }
    return error;
}

int ouro_on_each_shard(ouro_task_fn *fn, void *arg, const char *name,
                       struct ouro_each_result *results)
{
    struct shard *s = shard_self;
    struct ouro_task *self = s != NULL ? fiber_running(s, "ouro_on_each_shard") : NULL;
    unsigned n = self != NULL ? s->mesh.mesh->n : 0;
    struct each e = {.fn = fn, .arg = arg, .name = name != NULL ? name : "each", .outstanding = n};
    bool cancelled = false;
    int error;

    if (self == NULL)
        return -OURO_ENOSHARD;
    if (fn == NULL)
        return -EINVAL;
    e.caller = s->number;
    e.part = calloc(n, sizeof *e.part);
    if (e.part == NULL)
        return -ENOMEM;
    future_init(&e.done, KIND_EVENT);
    for (unsigned i = 0; i < n; i++) {
        e.part[i].each = &e;
        e.part[i].shard = i;
        e.part[i].go.receive = receive_go;
        mesh_send(&s->mesh, i, &e.part[i].go);
    }
    while (e.done.state != OURO_DONE) {
        if (!cancelled && task_cancelled(self)) {
            cancelled = true;
            send_cancels(s, &e, n);
        }
        e.done.waiter = self;
        fiber_wait(s, self);
    }
    error = collect(&e, n, results);
    free(e.part);
    return error;
}
