/* SPDX-License-Identifier: MIT */
/* Connections to an echo on any shard, and datagrams. */
#include "program.h"

/* --- the echo --------------------------------------------------------------------------------- */

static int echo_by_source(ouro_conn conn, unsigned hold_max)
{
    OURO_RECV_SOURCE(source);
    struct ouro_buf buf;
    int n = ouro_recv_source_open(&source, conn, hold_max);

    while (n >= 0 && (n = ouro_recv_next(&source, &buf)) > 0) {
        n = (int)ouro_send_all(conn, buf.data, buf.len);
        ouro_buf_release(&buf);
    }
    return n;
}

static int echo_by_buffer(ouro_conn conn)
{
    char buf[3000];
    ssize_t n;

    while ((n = ouro_recv(conn, buf, sizeof buf)) > 0)
        if ((n = ouro_send_all(conn, buf, (size_t)n)) < 0)
            break;
    return (int)n;
}

static int echo(void *arg)
{
    ouro_conn conn = *(ouro_conn *)arg;
    int n = conn.id % 2 == 0 ? echo_by_source(conn, 1 + conn.id / 2 % 8) : echo_by_buffer(conn);

    must_explain(n, n == -ECONNRESET || n == -EPIPE);
    must_be(ouro_close(conn), 0);
    here()->echoes--;
    return 0;
}

static int accept_all(void *arg)
{
    const ouro_listener *listener = arg;
    ouro_conn conn;
    int error;

    for (;;) {
        error = ouro_accept(*listener, &conn);
        if (error == -EBADF)
            break;
        if (error < 0) {
            must_explain(error, false);
            continue;
        }
        here()->echoes++;
        must_be(ouro_spawn(NULL, echo, &conn, sizeof conn), 0);
    }
    here()->echoes--;
    return 0;
}

void echo_open(void)
{
    struct ouro_listen_options o = {.size = sizeof o, .private_port = true};
    struct world *w = here();
    struct ouro_addr at;

    for (enum family f = 0; f < FAMILIES; f++) {
        if (!family_there(f))
            continue;
        at = any_addr(f);
        must_be(ouro_listen(&w->listener[f], &at, &o), 0);
        must_be(ouro_listener_addr(w->listener[f], &w->address[f]), 0);
        w->echoes++;
        must_be(ouro_spawn(NULL, accept_all, &w->listener[f], 0), 0);
    }
}

void echo_close(void)
{
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f))
            must_be(ouro_listener_close(here()->listener[f]), 0);
    until(here()->echoes == 0);
}

/* --- the visitor ------------------------------------------------------------------------------ */

struct visit {
    ouro_conn conn;
    uint64_t seed;
    size_t len;
};

static int visit_send(void *arg)
{
    struct visit *v = *(struct visit **)arg;
    char *buf = malloc(v->len);
    struct ouro_send_all s;
    int n;

    must(buf != NULL);
    pattern_fill(buf, v->len, v->seed, 0);
    ouro_send_all_start(&s, v->conn, buf, v->len);
    n = wait_to_end(&s.op.future);
    free(buf);
    must_explain(n, n == -EPIPE || n == -ECONNRESET);
    do
        n = ouro_shutdown(v->conn, SHUT_WR); /* the echo waits for it, whatever happened */
    while (n < 0 && n != -ECANCELED && cut_short(n));
    return 0;
}

static void visit_receive(struct actor *a, struct visit *v)
{
    char buf[8000];
    size_t got = 0;
    ssize_t n;

    while ((n = ouro_recv(v->conn, buf, 1 + below(a, sizeof buf))) > 0) {
        must(got + (size_t)n <= v->len);
        pattern_check(buf, (size_t)n, v->seed, got);
        got += (size_t)n;
        (void)fetch_add_relaxed(&program.bytes, (uint64_t)n);
    }
    if (n == 0 && program.fault.where != FAULT_OPERATION)
        must_be(got, v->len);
    else if (n < 0)
        must_explain(n, program.fault.where == FAULT_OPERATION && n == -ECONNRESET);
}

void step_visit(struct actor *a)
{
    unsigned shard = below(a, program.shards);
    enum family f = (enum family)below(a, FAMILIES);
    struct visit v = {.seed = random_next(&a->random), .len = some_size(a, 200000)}, *arg = &v;
    struct ouro_connect c;
    struct ouro_scope scope;
    int error;

    if (!family_there(f))
        return;
    ouro_connect_start(&c, &program.world[shard].address[f], NULL);
    error = wait_some_way(a, &c.op.future);
    must_explain(error, error == -EAGAIN && f == UNIX);
    if (error != 0)
        return;
    v.conn = c.conn;
    if (ouro_scope_enter(&scope, 0) == 0) {
        if (ouro_spawn(&scope, visit_send, &arg, sizeof arg) == 0)
            visit_receive(a, &v);
        ouro_scope_cancel(&scope);
        must_be(ouro_scope_leave(&scope), 0);
    }
    if (one_in(a, 4))
        (void)ouro_close_reset(v.conn);
    else
        must_be(ouro_close(v.conn), 0);
}

/* --- datagrams -------------------------------------------------------------------------------- */

struct letters {
    uint64_t seed;
    unsigned expected, sent; /* numbers of datagrams */
};

static size_t letter_len(const struct letters *l, unsigned number)
{
    return 4 + pattern_at(l->seed, 1000000 + number) * 4u;
}

static void letter_check(struct letters *l, const char *data, size_t len)
{
    uint32_t number;

    must(len >= sizeof number);
    memcpy(&number, data, sizeof number);
    must(number >= l->expected && number < l->sent); /* in order, none twice */
    must_be(len, letter_len(l, number));
    pattern_check(data + 4, len - 4, l->seed, (uint64_t)number * 2000);
    l->expected = number + 1;
}

static void letters_send(struct actor *a, struct letters *l, ouro_conn from,
                         const struct ouro_addr *to, unsigned n)
{
    struct ouro_send_to s;
    char buf[4 + 4 * 256];
    size_t len;
    int result;

    while (n-- != 0) {
        len = letter_len(l, l->sent);
        memcpy(buf, &l->sent, 4);
        pattern_fill(buf + 4, len - 4, l->seed, (uint64_t)l->sent * 2000);
        ouro_send_to_start(&s, from, buf, len, to);
        result = wait_some_way(a, &s.op.future);
        must(result < 0 || (size_t)result == len);
        must_explain(result, false);
        if (result >= 0)
            l->sent++;
    }
}

static void letters_by_source(struct actor *a, struct letters *l, ouro_conn conn)
{
    OURO_DATAGRAM_SOURCE(source);
    struct ouro_datagram d;
    unsigned patience = 5;
    int n = ouro_datagram_source_open(&source, conn, 0, below(a, 6));

    while (n >= 0 && l->expected < l->sent && patience != 0) {
        n = ouro_datagram_take(&source, &d);
        if (n == -EAGAIN) {
            patience--;
            n = ouro_await_until(&source.recv.ready, ouro_after_ns(2 * MS));
            n = n == -ETIMEDOUT ? 0 : n;
        } else if (n >= 0) {
            must(!d.truncated);
            letter_check(l, d.data, d.len);
            ouro_buf_release(&d.buf);
        }
    }
    must_explain(n, false);
}

static void letters_one_by_one(struct actor *a, struct letters *l, ouro_conn conn)
{
    unsigned times = 10;
    struct ouro_recv_from r;
    char buf[2000];
    int n;

    while (l->expected < l->sent && times-- != 0) {
        ouro_recv_from_start(&r, conn, buf, sizeof buf);
        n = wait_some_way(a, &r.op.future);
        must_explain(n, false);
        if (n >= 0)
            letter_check(l, buf, (size_t)n);
    }
}

void step_datagrams(struct actor *a)
{
    enum family f = (enum family)below(a, FAMILIES);
    static const int number[FAMILIES] = {AF_INET, AF_INET6, AF_UNIX};
    struct ouro_datagram_options o = {.size = sizeof o, .private_port = f != UNIX};
    struct letters l = {.seed = random_next(&a->random)};
    struct ouro_addr at = any_addr(f);
    ouro_conn to, from;

    if (!family_there(f))
        return;
    must_be(ouro_datagram_bind(&to, &at, &o), 0);
    must_be(ouro_datagram_open(&from, number[f], NULL), 0);
    if (ouro_local_addr(to, &at) == 0)
        for (unsigned rounds = 1 + below(a, 3); rounds != 0; rounds--) {
            letters_send(a, &l, from, &at, 1 + below(a, 8));
            if (one_in(a, 2))
                letters_by_source(a, &l, to);
            else
                letters_one_by_one(a, &l, to);
        }
    must_be(ouro_close(from), 0);
    must_be(ouro_close(to), 0);
}
