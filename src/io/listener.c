/* SPDX-License-Identifier: MIT */
/* Listeners: a descriptor, its accept source, and its place among the process's ports. */
#include "io/listener.h"
#include "io/close.h"
#include "io/ordinary.h"
#include "io/port.h"
#include "io/sockopt.h"
#include "shard/accept_source.h"
#include "shard/fiber.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct listener {
    struct accept_source source;
    struct port *port;
    struct ouro_addr bound;
    bool adopted; /* others may accept from it, too */
};

static struct listener *find(ouro_listener listener)
{
    struct shard *s = shard_self;
    struct slot *slot = s != NULL ? slots_find(&s->slots, listener.id, SLOT_LISTENER) : NULL;

    return slot != NULL ? slot->object : NULL;
}

static int missing(ouro_listener listener)
{
    struct shard *s = shard_self;

    return s == NULL ? -OURO_ENOSHARD : slots_missing(&s->slots, listener.id);
}

static int take_options(struct ouro_listen_options *out, const struct ouro_listen_options *in)
{
    int error;

    *out = (struct ouro_listen_options){.size = sizeof *out};
    if (in != NULL) {
        if (in->size != sizeof *in || in->backlog < 0 || in->queue_max > ACCEPTED_MOST)
            return -EINVAL;
        *out = *in;
    }
    error = sockopt_take(&out->socket, in != NULL ? &in->socket : NULL);
    out->backlog = out->backlog != 0 ? out->backlog : BACKLOG_DEFAULT;
    out->queue_max = out->queue_max != 0 ? out->queue_max : ACCEPTED_DEFAULT;
    return error;
}

/* What waits in the kernel's queue, and what comes while it takes that. */
static uint32_t burst_of(const struct ouro_listen_options *o)
{
    uint32_t backlog = (uint32_t)(o->backlog < BACKLOG_MOST ? o->backlog : BACKLOG_MOST);

    return backlog + backlog / 4 + 16;
}

/* Makes a listener of a listening descriptor and begins to accept. */
static int begin(struct shard *s, ouro_listener *out, int fd, const struct ouro_listen_options *o,
                 struct port *port, const struct ouro_addr *bound)
{
    struct listener *l = calloc(1, sizeof *l);
    struct slot *slot = l != NULL ? slots_take(&s->slots, fd, SLOT_LISTENER) : NULL;

    if (slot == NULL) {
        free(l);
        return l == NULL ? -ENOMEM : -EMFILE;
    }
    slot->object = l;
    l->port = port;
    l->bound = *bound;
    l->source.slot = slot;
    l->source.queue_max = o->queue_max;
    l->source.burst = burst_of(o);
    accept_source_start(s, &l->source);
    out->id = slot->id;
    return 0;
}

static int prepare(int fd, int family, const void *options)
{
    return sockopt_apply(fd, options, family);
}

int ouro_listen(ouro_listener *out, const struct ouro_addr *addr,
                const struct ouro_listen_options *options)
{
    struct shard *s = shard_self;
    struct ouro_listen_options o;
    struct port_request request;
    struct ouro_addr bound;
    struct port *port;
    int fd, error;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (out == NULL || addr == NULL)
        return -EINVAL;
    error = take_options(&o, options);
    if (error != 0)
        return error;
    request = (struct port_request){.type = SOCK_STREAM,
                                    .backlog = o.backlog,
                                    .v6only = o.v6only,
                                    .share_port = o.share_port,
                                    .private_port = o.private_port,
                                    .prepare = prepare,
                                    .options = &o.socket};
    fd = port_open(s->number, addr, &request, &port, &bound);
    if (fd < 0)
        return fd;
    error = begin(s, out, fd, &o, port, &bound);
    if (error != 0) {
        port_close(s->number, port);
        close(fd);
    }
    return error;
}

static int socket_name(int fd, struct ouro_addr *out)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        return -errno;
    return ouro_addr_from_sockaddr(out, (struct sockaddr *)&ss, len);
}

int ouro_listener_adopt(ouro_listener *out, int fd, const struct ouro_listen_options *options)
{
    struct shard *s = shard_self;
    struct ouro_listen_options o;
    struct ouro_addr bound;
    int listening = 0, error;
    socklen_t len = sizeof listening;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (out == NULL)
        return -EINVAL;
    error = take_options(&o, options);
    if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0)
        error = -errno;
    if (error == 0 && !listening)
        error = -EINVAL;
    if (error == 0)
        error = socket_name(fd, &bound);
    if (error == 0)
        error = sockopt_apply(fd, &o.socket, ouro_addr_family(&bound));
    if (error == 0)
        error = ordinary_set_blocking(fd, true);
    if (error == 0)
        error = begin(s, out, fd, &o, NULL, &bound);
    if (error == 0) {
        struct listener *l = find(*out);

        check(l != NULL);
        l->adopted = true;
    }
    return error;
}

int ouro_listen_fds(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    char *end;
    long n;

    if (pid == NULL || fds == NULL || strtol(pid, &end, 10) != (long)getpid() || *end != '\0')
        return 0;
    n = strtol(fds, &end, 10);
    return *end != '\0' || n < 0 || n > 1024 ? 0 : (int)n;
}

int ouro_listener_addr(ouro_listener listener, struct ouro_addr *out)
{
    struct listener *l = find(listener);

    if (l == NULL)
        return missing(listener);
    if (out == NULL)
        return -EINVAL;
    *out = l->bound;
    return 0;
}

struct ouro_future *ouro_accept_ready(ouro_listener listener)
{
    static __thread struct ouro_future stale;
    struct listener *l = find(listener);

    if (l != NULL)
        return &l->source.ready;
    stale =
        (struct ouro_future){.result = missing(listener), .state = OURO_DONE, .kind = KIND_EVENT};
    return &stale;
}

int ouro_accept_take(ouro_listener listener, ouro_conn *out)
{
    struct listener *l = find(listener);

    if (l == NULL)
        return missing(listener);
    if (out == NULL)
        return -EINVAL;
    out->id = 0;
    if (task_cancelled(shard_self->current))
        return -ECANCELED;
    return accept_source_take(shard_self, &l->source, &out->id);
}

int ouro_accept(ouro_listener listener, ouro_conn *out)
{
    int error = ouro_accept_take(listener, out);

    while (error == -EAGAIN) {
        int waited = ouro_await(ouro_accept_ready(listener));

        error = waited == -ECANCELED ? waited : ouro_accept_take(listener, out);
    }
    return error;
}

/* Waits until the accept is over. Several tasks may: who is woken wakes who waited before. */
static int stop(struct shard *s, struct listener *l)
{
    struct slot *slot = l->source.slot;
    struct ouro_future drained, *before = slot->drained;
    struct ouro_task *self;

    if (!l->adopted)
        port_refuse(s->number, l->port, slot->fd, ouro_addr_family(&l->bound));
    accept_source_stop(s, &l->source);
    if (slot->inflight == 0)
        return 0;
    self = fiber_running(s, "ouro_accept_stop");
    if (self == NULL)
        return -OURO_ENOSHARD;
    future_init(&drained, KIND_EVENT);
    slot->drained = &drained;
    while (slot->inflight != 0) { /* a release: not cut short */
        drained.waiter = self;
        fiber_wait(s, self);
    }
    slot->drained = NULL;
    if (before != NULL)
        future_complete(s, before, 0);
    return 0;
}

int ouro_accept_stop(ouro_listener listener)
{
    struct listener *l = find(listener);

    return l != NULL ? stop(shard_self, l) : missing(listener);
}

int ouro_accept_drain(ouro_listener listener, ouro_conn *out)
{
    struct shard *s = shard_self;
    struct listener *l = find(listener);
    struct slot *slot;
    int fd, error;

    if (l == NULL)
        return missing(listener);
    if (out == NULL || !l->source.stopped || l->source.slot->inflight != 0)
        return -EINVAL;
    if (l->source.queued != 0)
        return accept_source_take(s, &l->source, &out->id);
    error = ordinary_set_blocking(l->source.slot->fd, false);
    if (error != 0)
        return error;
    fd = accept4(l->source.slot->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) /* a Unix socket that is shut says EINVAL when its queue is empty */
        return errno == EWOULDBLOCK || errno == EINVAL ? -EAGAIN : -errno;
    slot = slots_take(&s->slots, fd, SLOT_CONN);
    if (slot == NULL) {
        close(fd);
        return -EMFILE;
    }
    s->counters.accepts++;
    out->id = slot->id;
    return 0;
}

int ouro_listener_close(ouro_listener listener)
{
    struct shard *s = shard_self;
    struct listener *l = find(listener);
    struct ouro_future *ready;
    struct ouro_close c;
    uint64_t id;
    int error;

    if (l == NULL)
        return missing(listener);
    slot_begin_close(l->source.slot);
    error = stop(s, l);
    if (error != 0) {
        l->source.slot->closing = false;
        return error;
    }
    while (accept_source_take(s, &l->source, &id) == 0)
        op_close_detached(s, &s->slots.slot[handle_slot(id)]);
    ready = &l->source.ready;
    if (ready->state != OURO_DONE)
        future_complete(s, ready, -EBADF); /* who still waits finds a stale handle */
    port_close(s->number, l->port);
    close_slot_start(&c, l->source.slot, __builtin_return_address(0));
    error = ouro_await(&c.op.future);
    free(l);
    return error;
}

/* A step of its own for each, since no task is left to wait: stop, then close when the operation
 * has ended. The slot's `drained` is the future of the first half. */
struct leftover {
    struct ouro_task task;
    struct ouro_future drained;
    struct ouro_close close;
    struct listener *listener;
};

static void leftover_resume(struct ouro_task *task)
{
    struct leftover *x = OURO_FRAME(task, struct leftover, task);
    struct shard *s = shard_self;
    uint64_t id;

    OURO_BEGIN(task);
    accept_source_stop(s, &x->listener->source);
    if (x->listener->source.slot->inflight != 0) {
        future_init(&x->drained, KIND_EVENT);
        x->listener->source.slot->drained = &x->drained;
        OURO_AWAIT(task, &x->drained);
        x->listener->source.slot->drained = NULL;
    }
    while (accept_source_take(s, &x->listener->source, &id) == 0)
        op_close_detached(s, &s->slots.slot[handle_slot(id)]);
    port_close(s->number, x->listener->port);
    close_slot_start(&x->close, x->listener->source.slot, NULL);
    OURO_AWAIT(task, &x->close.op.future);
    OURO_BEGIN_END;
    free(x->listener);
    task_finish(s, task, 0);
    free(x);
}

void listeners_close_all(struct shard *s)
{
    for (uint32_t i = s->slots.direct; i < s->slots.fresh && s->slots.open[SLOT_LISTENER] != 0;
         i++) {
        struct slot *slot = &s->slots.slot[i];
        struct leftover *x;

        if (slot->kind != SLOT_LISTENER || slot->closing)
            continue;
        x = calloc(1, sizeof *x);
        if (x == NULL)
            return; /* it ends with the ring, and is counted */
        x->listener = slot->object;
        x->task = (struct ouro_task){
            .resume = leftover_resume, .name = "listener", .flags = TASK_SHIELD_ONE};
        task_push(s, &x->task);
    }
}
