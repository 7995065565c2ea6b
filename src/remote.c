/* SPDX-License-Identifier: MIT */
/* Running functions on other shards. */
#include <ouro/call.h>
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

static int collect(const struct ouro_call *calls, unsigned n, struct ouro_each_result *results)
{
    int error = 0;

    for (unsigned i = 0; i < n; i++) {
        int value = ouro_result(&calls[i].op.future);

        if (results != NULL)
            results[i] = (struct ouro_each_result){.value = value, .how = calls[i].how};
        if (error == 0 && value < 0)
            error = value;
    }
    return error;
}

int ouro_on_each_shard(ouro_task_fn *fn, void *arg, const char *name,
                       struct ouro_each_result *results)
{
    struct shard *s = shard_self;
    struct ouro_task *self = s != NULL ? fiber_running(s, "ouro_on_each_shard") : NULL;
    unsigned n = self != NULL ? s->mesh.mesh->n : 0;
    struct ouro_future **futures;
    struct ouro_call *calls;
    int error;

    if (self == NULL)
        return -OURO_ENOSHARD;
    if (fn == NULL)
        return -EINVAL;
    calls = calloc(n, sizeof *calls + sizeof *futures);
    if (calls == NULL)
        return -ENOMEM;
    futures = (struct ouro_future **)(void *)(calls + n);
    for (unsigned i = 0; i < n; i++) {
        ouro_call_task_start(&calls[i], i, fn, arg, 0, name != NULL ? name : "each");
        futures[i] = &calls[i].op.future;
    }
    (void)ouro_await_all(futures, n, OURO_FOREVER); /* when cancelled, so are they, to their ends */
    error = collect(calls, n, results);
    free(calls);
    return error;
}
