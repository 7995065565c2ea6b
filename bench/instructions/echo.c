/* SPDX-License-Identifier: MIT */
/* Round trips over connections in memory: clients that are the same, servers in three forms. */
#include "instructions/scenarios.h"

#define CONNECTIONS 16
#define BYTES       64

struct pair {
    ouro_conn near, far;
};

static ouro_listener listen_here(struct ouro_addr *bound)
{
    struct ouro_addr any;
    ouro_listener l;

    expect(ouro_addr_parse(&any, "127.0.0.1:0", NULL) == 0);
    expect(ouro_listen(&l, &any, NULL) == 0);
    expect(ouro_listener_addr(l, bound) == 0);
    return l;
}

static void pair_open(struct pair *p, ouro_listener l, const struct ouro_addr *to)
{
    expect(ouro_connect(&p->near, to, NULL, OURO_FOREVER) == 0);
    expect(ouro_accept(l, &p->far) == 0);
}

/* --- servers ---------------------------------------------------------------------------------- */

static int serve_fiber(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    char buf[BYTES];
    ssize_t n;

    while ((n = ouro_recv(conn, buf, sizeof buf)) > 0)
        expect(ouro_send_all(conn, buf, (size_t)n) == n);
    return ouro_close(conn);
}

static int serve_multishot(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    OURO_RECV_SOURCE(source);
    struct ouro_buf buf;
    int n;

    expect(ouro_recv_source_open(&source, conn, 0) == 0);
    while ((n = ouro_recv_next(&source, &buf)) > 0) {
        expect(ouro_send_all(conn, buf.data, buf.len) == n);
        ouro_buf_release(&buf);
    }
    expect(ouro_recv_source_close(&source) == 0);
    return ouro_close(conn);
}

struct machine {
    struct ouro_task task;
    struct ouro_recv_source source;
    struct ouro_send_all send;
    struct ouro_close close;
    struct ouro_buf buf;
    ouro_conn conn;
    int n;
};

static void serve_stackless(struct ouro_task *task)
{
    struct machine *m = OURO_FRAME(task, struct machine, task);

    OURO_BEGIN(task);
    expect(ouro_recv_source_open(&m->source, m->conn, 0) == 0);
    for (;;) {
        OURO_AWAIT(task, &m->source.ready);
        m->n = ouro_recv_take(&m->source, &m->buf);
        if (m->n == -EAGAIN)
            continue;
        if (m->n <= 0)
            break;
        ouro_send_all_start(&m->send, m->conn, m->buf.data, m->buf.len);
        OURO_AWAIT(task, &m->send.op.future);
        expect(ouro_result(&m->send.op.future) == m->n);
        ouro_buf_release(&m->buf);
    }
    ouro_recv_source_stop(&m->source);
    OURO_AWAIT(task, &m->source.op.future);
    ouro_recv_source_close(&m->source);
    ouro_close_start(&m->close, m->conn);
    OURO_AWAIT(task, &m->close.op.future);
    OURO_END(task, 0);
}

/* --- clients ---------------------------------------------------------------------------------- */

struct client {
    ouro_conn conn;
    unsigned rounds;
};

static int client_main(void *arg)
{
    struct client *c = arg;
    char out[BYTES] = "there and back", in[BYTES];

    for (unsigned i = 0; i < c->rounds; i++) {
        expect(ouro_send(c->conn, out, sizeof out) == BYTES);
        expect(ouro_recv(c->conn, in, sizeof in) == BYTES);
    }
    return ouro_close(c->conn);
}

static void echo(unsigned rounds, ouro_task_fn *serve)
{
    static struct machine machines[CONNECTIONS];
    struct ouro_addr bound;
    ouro_listener l = listen_here(&bound);
    struct ouro_scope scope;

    expect(ouro_scope_enter(&scope, 0) == 0);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct pair p;
        struct client c = {.rounds = rounds / CONNECTIONS};

        pair_open(&p, l, &bound);
        machines[i] = (struct machine){.conn = p.far};
        if (serve != NULL)
            expect(ouro_spawn(&scope, serve, &p.far, sizeof p.far) == 0);
        else
            expect(ouro_task_start(&scope, &machines[i].task, serve_stackless, "machine") == 0);
        c.conn = p.near;
        expect(ouro_spawn(&scope, client_main, &c, sizeof c) == 0);
    }
    expect(ouro_scope_leave(&scope) == 0);
    expect(ouro_listener_close(l) == 0);
}

void echo_fiber(unsigned rounds)
{
    echo(rounds, serve_fiber);
}

void echo_multishot(unsigned rounds)
{
    echo(rounds, serve_multishot);
}

void echo_stackless(unsigned rounds)
{
    echo(rounds, NULL);
}

/* --- one connection --------------------------------------------------------------------------- */

void open_close(unsigned rounds)
{
    struct ouro_addr bound;
    ouro_listener l = listen_here(&bound);
    struct pair p;

    for (unsigned i = 0; i < rounds; i++) {
        pair_open(&p, l, &bound);
        expect(ouro_close(p.near) == 0);
        expect(ouro_close(p.far) == 0);
    }
    expect(ouro_listener_close(l) == 0);
}

static void with_pair(unsigned rounds, void (*round)(struct pair *p))
{
    struct ouro_addr bound;
    ouro_listener l = listen_here(&bound);
    struct pair p;

    pair_open(&p, l, &bound);
    for (unsigned i = 0; i < rounds; i++)
        round(&p);
    expect(ouro_close(p.near) == 0);
    expect(ouro_close(p.far) == 0);
    expect(ouro_listener_close(l) == 0);
}

static void cancel_once(struct pair *p)
{
    struct ouro_recv r;
    char byte;

    ouro_recv_start(&r, p->near, &byte, 1);
    ouro_cancel(&r.op.future);
    expect(ouro_await(&r.op.future) == -ECANCELED);
}

void cancel(unsigned rounds)
{
    with_pair(rounds, cancel_once);
}

static void deadline_once(struct pair *p)
{
    struct ouro_recv r;
    struct ouro_send s;
    char byte = 1;

    ouro_recv_start(&r, p->near, &byte, 1);
    ouro_send_start(&s, p->far, "1", 1);
    expect(ouro_await_for(&r.op.future, OURO_NSEC_PER_SEC) == 1);
    expect(ouro_await(&s.op.future) == 1);
}

void deadline(unsigned rounds)
{
    with_pair(rounds, deadline_once);
}
