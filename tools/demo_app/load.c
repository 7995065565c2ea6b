/* SPDX-License-Identifier: MIT */
#include "load.h"
#include "http.h"
#include "origin.h"

#include <string.h>

#define GRACE_NS           (5 * OURO_NSEC_PER_SEC)
#define CONNECT_TIMEOUT_NS (5 * OURO_NSEC_PER_SEC)
#define PAUSE_NS           (10 * OURO_NSEC_PER_MSEC) /* after an error */

/* Written by its own shard; `taken` is read by shard 0 after that shard has said that it is done.
 */
static struct load_shard {
    const struct load_plan *plan;
    struct load_sample now, taken;
} __attribute__((aligned(64))) shards[OURO_MAX_SHARDS];

static struct load_shard *own(void)
{
    return &shards[ouro_current_shard()];
}

/* --- one request ----------------------------------------------------------------------------- */

static const char request[] = "GET / HTTP/1.1\r\n"
                              "Host: ouro-demo\r\n"
                              "User-Agent: ouro-demo\r\n"
                              "\r\n";

struct answer {
    struct http_head head;
    bool in_body;
    size_t body_bytes; /* seen */
};

static int check_head(const struct answer *a)
{
    struct http_response r;

    if (http_read_response(&a->head, &r) != 0 || r.status != 200 || !r.keep_alive ||
        r.body_bytes != ORIGIN_BODY_BYTES)
        return -EPROTO;
    return 0;
}

/* Takes received bytes: 1 the answer is complete, 0 more must come, -EPROTO it is not the right
 * one. */
static int take(struct answer *a, const char *data, size_t len)
{
    if (!a->in_body) {
        ssize_t n = http_take(&a->head, data, len, &a->in_body);

        if (n < 0 || (a->in_body && check_head(a) != 0))
            return -EPROTO;
        data += n;
        len -= (size_t)n;
    }
    if (len > ORIGIN_BODY_BYTES - a->body_bytes ||
        memcmp(data, origin_body() + a->body_bytes, len) != 0)
        return -EPROTO;
    a->body_bytes += len;
    return a->in_body && a->body_bytes == ORIGIN_BODY_BYTES;
}

static int receive(struct ouro_recv_source *source, struct answer *a)
{
    struct ouro_buf buf;
    int n, done = 0;

    a->head.used = a->body_bytes = 0;
    a->in_body = false;
    while (done == 0 && (n = ouro_recv_next(source, &buf)) != 0) {
        if (n < 0)
            return n;
        done = take(a, buf.data, buf.len);
        ouro_buf_release(&buf);
    }
    return done > 0 ? 0 : done < 0 ? done : -ECONNRESET; /* it ended in the middle */
}

/* --- one connection -------------------------------------------------------------------------- */

static bool over(const struct load_shard *s)
{
    return ouro_now_ns() >= s->plan->end_ns;
}

static int ask_on(struct load_shard *s, ouro_conn conn)
{
    OURO_RECV_SOURCE(source);
    struct answer answer;
    int error = ouro_recv_source_open(&source, conn, 0);

    while (error == 0 && !over(s)) {
        uint64_t begun = ouro_now_precise_ns();
        ssize_t sent = ouro_send_all(conn, request, sizeof request - 1);

        error = sent < 0 ? (int)sent : receive(&source, &answer);
        if (error == 0)
            latency_record(&s->now.latency, ouro_now_precise_ns() - begun);
    }
    return error;
}

static int session(struct load_shard *s)
{
    ouro_conn conn;
    int error = ouro_connect(&conn, &s->plan->target, NULL, CONNECT_TIMEOUT_NS);

    if (error != 0)
        return error;
    error = ask_on(s, conn);
    ouro_close(conn);
    return error;
}

static int client(void *arg)
{
    struct load_shard *s = own();
    int error;

    (void)arg;
    while (!over(s) && !ouro_cancelled()) {
        error = session(s);
        if (error == 0 || ouro_stopping()) /* interrupted is not failed */
            break;
        s->now.errors++;
        ouro_sleep(PAUSE_NS);
    }
    return 0;
}

/* --- one shard ------------------------------------------------------------------------------- */

static unsigned share(const struct load_plan *plan)
{
    unsigned n = ouro_shard_count(), number = (unsigned)ouro_current_shard();

    return plan->connections / n + (number < plan->connections % n);
}

int load_run(void *arg)
{
    struct load_shard *s = own();
    struct ouro_scope scope;
    int error = ouro_scope_enter(&scope, 0);

    s->plan = arg;
    if (error != 0)
        return error;
    for (unsigned i = share(s->plan); i > 0 && error == 0; i--)
        error = ouro_spawn(&scope, client, NULL, 0);
    /* At the deadline the scope is cancelled, and with it whoever still waits for an answer. */
    ouro_await_until(&scope.op.future, s->plan->end_ns + GRACE_NS);
    ouro_scope_leave(&scope);
    return error;
}

static int copy_out(void *arg)
{
    struct load_shard *s = own();

    (void)arg;
    s->taken = s->now;
    memset(&s->now, 0, sizeof s->now);
    return 0;
}

int load_sample(struct load_sample *out)
{
    int error = ouro_on_each_shard(copy_out, NULL, "sample", NULL);

    memset(out, 0, sizeof *out);
    if (error != 0)
        return error;
    for (unsigned i = 0; i < ouro_shard_count(); i++) {
        latency_merge(&out->latency, &shards[i].taken.latency);
        out->errors += shards[i].taken.errors;
    }
    return 0;
}
