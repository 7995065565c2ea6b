/* SPDX-License-Identifier: MIT */
#include "support/net_echo.h"

const char *const echo_form_name[ECHO_FORMS] = {"fiber", "multishot", "stackless"};

struct serving {
    struct echo *echo;
    ouro_conn conn;
};

static void note(struct echo *e, int result)
{
    if (result < 0)
        e->failed++;
    else
        e->served++;
}

static int serve_fiber(void *arg)
{
    struct serving s = *(struct serving *)arg;
    char buf[2000];
    ssize_t n = 0, sent = 0;

    while (sent >= 0 && (n = ouro_recv(s.conn, buf, sizeof buf)) > 0)
        sent = ouro_send_all(s.conn, buf, (size_t)n);
    note(s.echo, (int)(sent < 0 ? sent : n));
    must_be(ouro_close(s.conn), 0);
    return 0;
}

static int serve_multishot(void *arg)
{
    struct serving s = *(struct serving *)arg;
    OURO_RECV_SOURCE(source);
    struct ouro_buf buf;
    int n = ouro_recv_source_open(&source, s.conn, 8);

    while (n >= 0 && (n = ouro_recv_next(&source, &buf)) > 0) {
        n = (int)ouro_send_all(s.conn, buf.data, buf.len);
        ouro_buf_release(&buf);
    }
    note(s.echo, n);
    must_be(ouro_recv_source_close(&source), 0);
    must_be(ouro_close(s.conn), 0);
    return 0;
}

struct machine {
    struct ouro_task task;
    struct ouro_recv_source source;
    struct ouro_send_all send;
    struct ouro_close close;
    struct ouro_buf buf;
    struct echo *echo;
    ouro_conn conn;
    int n;
};

static void machine_resume(struct ouro_task *task)
{
    struct machine *m = OURO_FRAME(task, struct machine, task);

    OURO_BEGIN(task);
    m->n = ouro_recv_source_open(&m->source, m->conn, 8);
    while (m->n >= 0) {
        OURO_AWAIT(task, &m->source.ready);
        m->n = ouro_recv_take(&m->source, &m->buf);
        if (m->n == -EAGAIN) {
            m->n = 0;
            continue;
        }
        if (m->n <= 0)
            break;
        ouro_send_all_start(&m->send, m->conn, m->buf.data, m->buf.len);
        OURO_AWAIT(task, &m->send.op.future);
        m->n = ouro_result(&m->send.op.future);
        ouro_buf_release(&m->buf);
    }
    note(m->echo, m->n);
    ouro_recv_source_stop(&m->source);
    OURO_AWAIT(task, &m->source.op.future);
    must_be(ouro_recv_source_close(&m->source), 0);
    ouro_close_start(&m->close, m->conn);
    OURO_AWAIT(task, &m->close.op.future);
    must_be(ouro_result(&m->close.op.future), 0);
    OURO_END_WITH(task, 0, (free(m), 0));
}

static int start_machine(struct ouro_scope *scope, const struct serving *s)
{
    struct machine *m = calloc(1, sizeof *m);
    int error;

    must(m != NULL);
    m->echo = s->echo;
    m->conn = s->conn;
    error = ouro_task_start(scope, &m->task, machine_resume, "echo machine");
    if (error != 0)
        free(m);
    return error;
}

static int spawn(struct ouro_scope *scope, const struct serving *s)
{
    switch (s->echo->form) {
    case ECHO_FIBER:
        return ouro_spawn(scope, serve_fiber, s, sizeof *s);
    case ECHO_MULTISHOT:
        return ouro_spawn(scope, serve_multishot, s, sizeof *s);
    default:
        return start_machine(scope, s);
    }
}

static int accept_all(void *arg)
{
    struct echo *e = *(struct echo **)arg;
    struct ouro_scope scope;
    struct serving s = {.echo = e};
    int error;

    must_be(ouro_scope_enter(&scope, 0), 0);
    while ((error = ouro_accept(e->listener, &s.conn)) == 0)
        if (spawn(&scope, &s) != 0)
            must_be(ouro_close(s.conn), 0);
    must(error == -ECANCELED || error == -EBADF);
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

void echo_start_at(struct echo *e, enum echo_form form, const struct ouro_addr *addr)
{
    *e = (struct echo){.form = form};
    must_be(ouro_listen(&e->listener, addr, NULL), 0);
    must_be(ouro_listener_addr(e->listener, &e->bound), 0);
    must_be(ouro_spawn_joinable(NULL, accept_all, &e, sizeof e, &e->server), 0);
}

void echo_start(struct echo *e, enum echo_form form, enum family f)
{
    struct ouro_addr a = any_addr(f);

    echo_start_at(e, form, &a);
}

void echo_stop(struct echo *e)
{
    must_be(ouro_listener_close(e->listener), 0);
    must_be(ouro_join(e->server, NULL), OURO_END_RETURNED);
}
