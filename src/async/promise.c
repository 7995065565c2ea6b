/* SPDX-License-Identifier: MIT */
#include "async/promise.h"
#include "shard/fiber.h"

#include <errno.h>

static _Atomic uint32_t *state_of(struct ouro_promise *p)
{
    _Static_assert(sizeof(_Atomic uint32_t) == sizeof p->state, "the state in a public struct");
    return (_Atomic uint32_t *)&p->state;
}

int promise_claim(struct ouro_promise *p)
{
    uint32_t was = PROMISE_OPEN;

    if (cas_acq_rel(state_of(p), &was, PROMISE_ON_ITS_WAY)) /* pairs with promise_unclaim() */
        return 0;
    return was == PROMISE_NONE ? -EINVAL : -EALREADY;
}

void promise_unclaim(struct ouro_promise *p)
{
    check(load_relaxed(state_of(p)) == PROMISE_ON_ITS_WAY); /* [PROMISE-1] */
    store_release(state_of(p), PROMISE_OPEN);               /* pairs with the exchanges of others */
}

/* Nobody waits for it any more: the tasks run later. */
static void wake_all(struct shard *s, struct ouro_promise *p, int result, bool kept)
{
    while (p->first != NULL) {
        struct ouro_promise_wait *w = p->first;

        promise_forget(s, w);
        w->kept = kept;
        op_complete(s, &w->op, result);
    }
}

static void keep(struct shard *s, struct ouro_promise *p)
{
    check(load_relaxed(state_of(p)) == PROMISE_ON_ITS_WAY); /* [PROMISE-1] */
    store_relaxed(state_of(p), PROMISE_KEPT); /* read by the owner; others only find it not OPEN */
    wake_all(s, p, p->result, true);
}

static void receive(struct shard *s, struct mesh_message *message)
{
    struct ouro_promise *p = container_of(message, struct ouro_promise, message);

    if (s != NULL)
        keep(s, p);
    else /* the runtime has ended, and with it whoever waited */
        store_relaxed(state_of(p), PROMISE_KEPT);
}

struct mesh_message *promise_message(struct ouro_promise *p, int result)
{
    struct mesh_message *m = (struct mesh_message *)(void *)p->message;

    _Static_assert(sizeof *m <= sizeof p->message, "a message in a public struct");
    m->receive = receive;
    p->result = result;
    return m;
}

int ouro_promise_init(struct ouro_promise *p)
{
    struct shard *s = shard_self;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (p == NULL)
        return -EINVAL;
    switch (load_acquire(state_of(p))) { /* pairs with promise_unclaim() */
    case PROMISE_NONE:
    case PROMISE_KEPT:
        break;
    case PROMISE_OPEN:
        if (p->shard != s->number)
            return -OURO_EOTHERSHARD;
        return p->first != NULL ? -EBUSY : 0;
    case PROMISE_ON_ITS_WAY:
        return -EBUSY;
    default:
        return -EINVAL; /* neither zeroed nor a promise */
    }
    *p = (struct ouro_promise){.shard = s->number};
    p->last = &p->first;
    store_release(state_of(p), PROMISE_OPEN); /* pairs with the exchange in promise_claim() */
    return 0;
}

/* Whether the calling shard may use it: 0, or the error. */
static int refused(const struct shard *s, struct ouro_promise *p)
{
    if (s == NULL)
        return -OURO_ENOSHARD;
    if (p == NULL || load_relaxed(state_of(p)) == PROMISE_NONE)
        return -EINVAL;
    return p->shard != s->number ? -OURO_EOTHERSHARD : 0;
}

int ouro_promise_complete(struct ouro_promise *p, int result)
{
    struct shard *s = shard_self;
    int error = refused(s, p);

    if (error == 0)
        error = promise_claim(p);
    if (error != 0)
        return error;
    p->result = result;
    keep(s, p);
    return 0;
}

bool ouro_promise_kept(const struct ouro_promise *p)
{
    return p != NULL && load_relaxed(state_of((struct ouro_promise *)(uintptr_t)p)) == PROMISE_KEPT;
}

/* Lets the message come in, whether or not the task is cancelled. */
static void wait_a_turn(struct shard *s)
{
    struct ouro_task *self = fiber_required(s, "ouro_promise_drop");

    task_push(s, self);
    fiber_suspend(s, self);
}

int ouro_promise_drop(struct ouro_promise *p)
{
    struct shard *s = shard_self;
    int error = p == NULL ? -EINVAL : refused(s, p);
    uint32_t was = PROMISE_OPEN;

    if (error != 0)
        return p != NULL && error == -EINVAL ? 0 : error;
    /* pairs with promise_claim(): after it nobody sends */
    while (!cas_acq_rel(state_of(p), &was, PROMISE_NONE) && was == PROMISE_ON_ITS_WAY) {
        wait_a_turn(s);
        was = PROMISE_OPEN;
    }
    store_relaxed(state_of(p), PROMISE_NONE);
    wake_all(s, p, -EOWNERDEAD, false);
    return 0;
}

void ouro_promise_wait_start(struct ouro_promise_wait *w, struct ouro_promise *p)
{
    struct shard *s = shard_self;
    int error = refused(s, p);

    w->promise = p;
    w->kept = error == 0 && ouro_promise_kept(p);
    if (error != 0 || w->kept) {
        op_refuse(&w->op, w->kept ? p->result : error);
        return;
    }
    op_init(s, &w->op, KIND_PROMISE, __builtin_return_address(0));
    promise_note(s, w);
}
