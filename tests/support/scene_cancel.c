/* SPDX-License-Identifier: MIT */
#include "support/net_scene.h"

#include <poll.h>

/* --- cancelling ------------------------------------------------------------------------------- */

static void ends(const struct scene_call *c, int result, int expected)
{
    if (!injected(c, result))
        must_be(result, expected);
}

int scene_cancel(void *arg)
{
    const struct scene_call *c = arg;
    struct ouro_recv_source source;
    struct ouro_recv r[3];
    struct ouro_poll p;
    struct ouro_buf buf;
    struct ouro_addr a;
    struct outside o;
    ouro_conn conn;
    ouro_listener l;
    char in[3][8];
    int n;

    outside_open(&o, c->family);
    ouro_recv_start(&r[0], o.conn, in[0], 8);
    ends(c, ouro_await_for(&r[0].op.future, MS), -ETIMEDOUT);
    ouro_recv_start(&r[1], o.conn, in[1], 8);
    turns(2);
    ouro_cancel(&r[1].op.future);
    ends(c, ouro_await(&r[1].op.future), -ECANCELED);
    ouro_poll_start(&p, o.fd, POLLIN);
    turns(1);
    ouro_cancel(&p.op.future);
    ends(c, ouro_await(&p.op.future), -ECANCELED);
    must_be(ouro_recv_source_open(&source, o.conn, 2), 0);
    turns(2);
    plain_send(o.fd, "data", 4);
    turns(2);
    ouro_recv_source_stop(&source);
    (void)ouro_await(&source.op.future);
    n = ouro_recv_take(&source, &buf);
    must(n == 4 || n == -ECANCELED || injected(c, n));
    ouro_buf_release(&buf);
    must_be(ouro_recv_source_close(&source), 0);
    ouro_recv_start(&r[2], o.conn, in[2], 8);
    turns(2);
    must_be(ouro_close(o.conn), 0); /* with one in flight, perhaps */
    must(ouro_done(&r[2].op.future));
    close(o.fd);
    l = listen_on(c->family, &a);
    turns(2);
    must_be(ouro_accept_stop(l), 0);
    must_be(ouro_accept_drain(l, &conn), -EAGAIN);
    must_be(ouro_listener_close(l), 0);
    until(pools_whole());
    return 0;
}

/* --- stopping --------------------------------------------------------------------------------- */

static int wait_for_ever(void *arg)
{
    struct outside *o = arg;
    OURO_RECV_SOURCE(source);
    struct ouro_buf buf;
    char in[8];

    (void)ouro_recv(o->conn, in, sizeof in);
    if (ouro_recv_source_open(&source, o->conn, 0) == 0)
        (void)ouro_recv_next(&source, &buf);
    (void)ouro_sleep(OURO_FOREVER);
    (void)ouro_recv_source_close(&source);
    (void)ouro_close(o->conn);
    close(o->fd);
    return 0;
}

static int accept_for_ever(void *arg)
{
    ouro_listener l = *(ouro_listener *)arg;
    ouro_conn conn;

    while (ouro_accept(l, &conn) == 0)
        (void)ouro_close(conn);
    return ouro_listener_close(l);
}

int scene_stop(void *arg)
{
    static struct outside o[2];
    const struct scene_call *c = arg;
    struct ouro_addr bound;
    ouro_listener l = listen_on(c->family, &bound);

    for (int i = 0; i < 2; i++) {
        outside_open(&o[i], c->family);
        must_be(ouro_spawn(NULL, wait_for_ever, &o[i], 0), 0);
    }
    must_be(ouro_spawn(NULL, accept_for_ever, &l, sizeof l), 0);
    turns(3);
    plain_send(o[1].fd, "on", 2);
    turns(2);
    return 0;
}

/* --- everything at once ----------------------------------------------------------------------- */

#define TALKERS 4

struct talk {
    const struct scene_call *c;
    const struct ouro_addr *to;
    size_t sent, received; /* as reported */
    uint64_t seed;
    bool connected;
};

/* Sends a pattern, and receives it back from an echo service, until it is cancelled. What came back
 * is never more than was sent, nor anything else. */
static int talk_on(void *arg)
{
    struct talk *t = *(struct talk **)arg;
    uint8_t out[700], in[700];
    ouro_conn conn;

    if (ouro_connect(&conn, t->to, NULL, 10 * SEC) != 0)
        return 0;
    t->connected = true;
    while (!ouro_cancelled()) {
        ssize_t n;

        pattern_fill(out, sizeof out, t->seed, t->sent);
        n = ouro_send(conn, out, sizeof out);
        if (n <= 0 && !injected(t->c, n))
            break;
        t->sent += n > 0 ? (size_t)n : 0;
        n = t->sent != t->received ? ouro_recv(conn, in, sizeof in) : 0;
        if (n < 0 && !injected(t->c, n))
            break;
        pattern_check(in, n > 0 ? (size_t)n : 0, t->seed, t->received);
        t->received += n > 0 ? (size_t)n : 0;
        must(t->received <= t->sent);
    }
    must_be(ouro_close(conn), 0);
    return 0;
}

/* Talkers, a service, receives and a poll, all cancelled at some moment. */
int scene_cancel_all(void *arg)
{
    const struct scene_call *c = arg;
    struct talk talks[TALKERS], *t;
    struct ouro_scope scope;
    uint64_t seed = c->seed;
    struct echo e;

    echo_start(&e, c->form, c->family);
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < TALKERS; i++) {
        talks[i] = (struct talk){.c = c, .to = &e.bound, .seed = i};
        t = &talks[i];
        must_be(ouro_spawn(&scope, talk_on, &t, sizeof t), 0);
    }
    turns((unsigned)(random_next(&seed) % 40));
    if (random_next(&seed) % 2 == 0)
        (void)ouro_fiber_cancel(e.server); /* the service first */
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ouro_listener_close(e.listener), 0);
    must(ouro_join(e.server, NULL) >= 0);
    until(pools_whole());
    return 0;
}
