/* SPDX-License-Identifier: MIT */
/* One connection. A fiber brings it up and takes it down; in between two flows, one for each
 * direction, carry the bytes, and a watch looks for idleness. All of it lives in the fiber's frame.
 *
 *      choose a backend, connect ──► scope ─────────────────► leave ──► take both sides down
 *                                      ├─ flow  client ► backend ─┤
 *                                      ├─ flow  backend ► client ─┤  the first that fails ends
 *                                      └─ watch ──────────────────┘  the others
 *
 * A flow holds few received buffers and has one send under way: when its reader is slow it stops
 * reading. Bytes go out from the buffer that the kernel put them into. */
#include "proxy/proxy.h"

/* Buffers received and not yet sent, above which a flow stops receiving. */
#define HOLD_MAX 16

struct relay;

struct flow {
    struct ouro_task task;
    struct ouro_recv_source source;
    union {
        struct ouro_send send;
        struct ouro_shutdown shutdown;
    };
    struct ouro_buf buf;
    uint32_t sent; /* of buf */
    int result;
    struct relay *relay;
    uint64_t *bytes; /* the shard's counter of this direction */
    ouro_conn from, to;
    bool finished; /* everything was passed on, the end too */
};

struct relay {
    struct proxy_shard *shard;
    ouro_conn client;
    ouro_conn server;
    struct ouro_addr source; /* the client's, where it counts */
    struct backend *backend;
    uint64_t moved_ns; /* when bytes moved last */
    struct ouro_scope scope;
    struct flow to_backend, to_client;
    struct ouro_task watch;
    struct ouro_timer idle;
    bool timed_out;
};

/* --- carrying ---------------------------------------- */

static void flow_moved(struct flow *f, int bytes)
{
    f->sent += (uint32_t)bytes;
    *f->bytes += (uint64_t)bytes;
    f->relay->moved_ns = ouro_now_ns();
}

/* The direction has ended and its end was passed on. The last one sends the watch home. */
static void flow_finished(struct flow *f)
{
    struct relay *r = f->relay;

    f->finished = true;
    if (r->to_backend.finished && r->to_client.finished)
        ouro_task_cancel(&r->watch);
}

/* Ends the other direction at once, not only when this one has cleaned up: the kernel reports a
 * reset to one call, and a receive after it says end of stream. That must not be passed on. */
static void flow_failed(struct flow *f)
{
    ouro_scope_cancel(&f->relay->scope);
}

static void flow_resume(struct ouro_task *task)
{
    struct flow *f = OURO_FRAME(task, struct flow, task);

    OURO_BEGIN(task);
    f->result = ouro_recv_source_open(&f->source, f->from, HOLD_MAX);
    while (f->result >= 0) {
        f->result = ouro_recv_take(&f->source, &f->buf);
        if (f->result == -EAGAIN) {
            OURO_AWAIT(task, &f->source.ready);
            f->result = 0;
            continue;
        }
        if (f->result <= 0)
            break;
        for (f->sent = 0; f->result >= 0 && f->sent < f->buf.len;) {
            ouro_send_start(&f->send, f->to, f->buf.data + f->sent, f->buf.len - f->sent);
            OURO_AWAIT(task, &f->send.op.future);
            f->result = ouro_result(&f->send.op.future);
            if (f->result > 0)
                flow_moved(f, f->result);
        }
        ouro_buf_release(&f->buf);
    }
    if (f->result < 0)
        flow_failed(f);
    ouro_recv_source_stop(&f->source);
    OURO_AWAIT(task, &f->source.op.future);
    ouro_recv_source_close(&f->source);
    if (f->result == 0) {
        ouro_shutdown_start(&f->shutdown, f->to, SHUT_WR);
        OURO_AWAIT(task, &f->shutdown.op.future);
        f->result = ouro_result(&f->shutdown.op.future);
    }
    if (f->result == 0)
        flow_finished(f);
    OURO_END(task, f->result);
}

static int flow_start(struct relay *r, struct flow *f)
{
    return ouro_task_start(&r->scope, &f->task, flow_resume, "flow");
}

/* One timer for each connection, and none is touched when bytes move: it looks when they did, and
 * goes on for what is left. */
static void watch_resume(struct ouro_task *task)
{
    struct relay *r = OURO_FRAME(task, struct relay, watch);
    uint64_t idle_ns = r->shard->config->idle_timeout_ns;
    int result = -ETIMEDOUT;

    OURO_BEGIN(task);
    while (ouro_now_ns() < r->moved_ns + idle_ns) {
        ouro_timer_start(&r->idle, r->moved_ns + idle_ns);
        OURO_AWAIT(task, &r->idle.future);
        if (ouro_result(&r->idle.future) != 0) {
            result = 0;
            break;
        }
    }
    r->timed_out = result != 0;
    OURO_END(task, result);
}

/* Returns when both directions have ended: 0, or what ended them before their time. */
static int carry(struct relay *r)
{
    int error = ouro_scope_enter(&r->scope, OURO_SCOPE_FAIL_FAST), left;

    if (error != 0)
        return error;
    r->moved_ns = ouro_now_ns();
    error = flow_start(r, &r->to_backend);
    if (error == 0)
        error = flow_start(r, &r->to_client);
    if (error == 0 && r->shard->config->idle_timeout_ns != 0)
        error = ouro_task_start(&r->scope, &r->watch, watch_resume, "idle watch");
    if (error != 0)
        ouro_scope_cancel(&r->scope);
    left = ouro_scope_leave(&r->scope);
    return error != 0 ? error : left;
}

/* --- up ---------------------------------------- */

/* Asked for only if somebody wants to know: it costs two turns. One that has gone has none. */
static void find_source(struct relay *r)
{
    const struct proxy_shard *s = r->shard;

    if (s->config->balance != BALANCE_SOURCE_HASH && s->sources.entry == NULL)
        return;
    if (ouro_peer_addr(r->client, &r->source) != 0)
        r->source = (struct ouro_addr){0};
}

/* Tries one backend after the other; -EHOSTUNREACH: none is left. */
static int connect_backend(struct relay *r)
{
    struct proxy_shard *s = r->shard;
    uint64_t source = ouro_addr_hash(&r->source);
    uint32_t tried = 0;
    int error = -EHOSTUNREACH;

    while (error != -ECANCELED &&
           (r->backend = backends_choose(&s->backends, source, &tried)) != NULL) {
        error = ouro_connect(&r->server, r->backend->addr, NULL, s->config->connect_timeout_ns);
        if (error == 0) {
            backend_connected(r->backend);
            return 0;
        }
        backend_failed(r->backend, error);
        s->counters.connect_failures += error != -ECANCELED;
    }
    return error == -ECANCELED ? error : -EHOSTUNREACH;
}

/* --- down ---------------------------------------- */

/* A side that was told of the end of its stream is closed; one that was not must not take what it
 * has for the whole: it is reset. */
static void take_down(ouro_conn side, const struct flow *towards)
{
    if (towards->finished)
        ouro_close(side);
    else
        ouro_close_reset(side);
}

static void count_end(const struct relay *r, int error)
{
    struct proxy_counters *c = &r->shard->counters;

    if (ouro_cancelled())
        c->aborted++;
    else if (error == -EHOSTUNREACH)
        c->refused++;
    else if (error == -EDQUOT)
        c->over_source++;
    else if (r->timed_out)
        c->idle_closed++;
    else if (error != 0)
        c->resets++;
    if (r->shard->draining && !ouro_cancelled())
        c->drained++;
    c->active--;
    ouro_timer_cancel(&r->shard->room);
}

static struct flow flow_of(struct relay *r, ouro_conn from, ouro_conn to, uint64_t *bytes)
{
    return (struct flow){.relay = r, .from = from, .to = to, .bytes = bytes};
}

struct arrival {
    struct proxy_shard *shard;
    ouro_conn client;
};

static int relay_run(void *arg)
{
    const struct arrival *a = arg;
    struct relay r = {.shard = a->shard, .client = a->client};
    bool counting, counted;
    int error;

    find_source(&r);
    counting = a->shard->sources.entry != NULL && !a->shard->draining; /* then all are let in */
    counted = counting && sources_enter(&a->shard->sources, &r.source);
    error = counted == counting ? connect_backend(&r) : -EDQUOT;
    if (error == 0) {
        r.to_backend = flow_of(&r, r.client, r.server, &a->shard->counters.to_backends);
        r.to_client = flow_of(&r, r.server, r.client, &a->shard->counters.to_clients);
        error = carry(&r);
        take_down(r.server, &r.to_backend);
        backend_left(r.backend);
    }
    take_down(r.client, &r.to_client);
    if (counted)
        sources_leave(&a->shard->sources, &r.source);
    count_end(&r, error);
    return 0;
}

void relay_start(struct proxy_shard *shard, ouro_conn client)
{
    const struct arrival a = {.shard = shard, .client = client};
    const struct ouro_spawn_options o = {.size = sizeof o, .name = "connection", .must_run = true};

    shard->counters.accepted++;
    if (ouro_spawn_with(&shard->clients, relay_run, &a, sizeof a, &o, NULL) == 0) {
        shard->counters.active++;
        return;
    }
    shard->counters.refused++;
    ouro_close_reset(client);
}
