/* SPDX-License-Identifier: MIT */
/* Connections with both ends on one shard, used by any number of actors at once: one sender and one
 * receiver per direction, and whoever closes. */
#include "program.h"

/* --- the model -------------------------------------------------------------------------------- */

static struct link *link_free(void)
{
    for (unsigned i = 0; i < LINKS; i++)
        if (!here()->link[i].used)
            return &here()->link[i];
    return NULL;
}

struct link *link_some(struct actor *a, unsigned *end)
{
    struct link *l = &here()->link[below(a, LINKS)];

    *end = below(a, 2);
    return l->used ? l : NULL;
}

static void link_release(struct link *l)
{
    if (--l->users != 0 || !l->closed[0] || !l->closed[1])
        return;
    for (unsigned e = 0; e < 2; e++)
        if (l->way[e].ended && !l->way[e].lossy)
            must_be(l->way[e].received, l->way[e].sent);
    l->used = false;
}

bool link_may_send(struct link *l, unsigned end, size_t len)
{
    struct way *w = &l->way[end];

    if (w->sending || l->closing[end])
        return false;
    if (l->closing[1 - end]) /* the peer's answer to it may overtake what lies there unread */
        l->way[0].lossy = l->way[1].lossy = true;
    w->sending = true;
    w->flying = len;
    l->users++;
    return true;
}

void link_sent(struct link *l, unsigned end, size_t moved, int error)
{
    struct way *w = &l->way[end];

    must(moved <= w->flying);
    if (l->closing[1 - end])
        l->way[0].lossy = l->way[1].lossy = true;
    w->sent += moved;
    w->flying = 0;
    w->sending = false;
    if (error < 0)
        must_explain(error, (error == -EPIPE && (l->finished[end] || l->closing[1 - end])) ||
                                (error == -ECONNRESET && l->closing[1 - end]) ||
                                ((error == -EBADF || error == -EPIPE) && l->closing[end]));
    link_release(l);
}

bool link_may_recv(struct link *l, unsigned end)
{
    if (l->way[1 - end].receiving || l->closing[end])
        return false;
    l->way[1 - end].receiving = true;
    l->users++;
    return true;
}

static void took(struct link *l, unsigned end, const char *data, int n)
{
    struct way *w = &l->way[1 - end];

    if (n > 0) {
        must(!w->ended);
        must(w->received + (size_t)n <= w->sent + w->flying);
        pattern_check(data, (size_t)n, w->seed, w->received);
        w->received += (size_t)n;
        (void)fetch_add_relaxed(&program.bytes, (uint64_t)n);
    } else if (n == 0 && !l->closing[end]) {
        must(l->finished[1 - end] || l->closing[1 - end]);
        w->ended = true;
    } else if (n < 0) {
        must_explain(n, (n == -ECONNRESET && (l->closing[1 - end] || l->way[end].lossy)) ||
                            (n == -EBADF && l->closing[end]));
    }
}

void link_received(struct link *l, unsigned end, const char *data, int n)
{
    took(l, end, data, n);
    l->way[1 - end].receiving = false;
    link_release(l);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void link_begin(struct link *l, enum family f)
{
    uint64_t seed = program.seed * 1000 + 2 * here()->serial++;

    *l = (struct link){.used = true, .family = f, .users = 1};
    l->way[0].seed = seed;
    l->way[1].seed = seed + 1;
    l->closing[0] = l->closing[1] = true; /* not there yet */
}

static void link_ready(struct link *l, ouro_conn near, ouro_conn far)
{
    l->end[0] = near;
    l->end[1] = far;
    l->closing[0] = l->closing[1] = false;
    l->users--;
}

/* A listener of its own for one connection: who accepts whom is then certain. */
void step_link_open(struct actor *a)
{
    enum family f = (enum family)below(a, FAMILIES);
    struct ouro_listen_options o = {.size = sizeof o, .private_port = true};
    struct link *l = link_free();
    struct ouro_addr bound = any_addr(f);
    struct ouro_connect c;
    ouro_listener listener;
    ouro_conn far = {0};
    int error;

    if (l == NULL || !family_there(f))
        return;
    link_begin(l, f);
    must_be(ouro_listen(&listener, &bound, &o), 0);
    must_be(ouro_listener_addr(listener, &bound), 0);
    ouro_connect_start(&c, &bound, NULL);
    error = wait_some_way(a, &c.op.future);
    must_explain(error, false);
    if (error == 0) {
        must_be(ouro_shield_enter(), 0);
        while (cut_short(error = ouro_accept(listener, &far)))
            continue;
        must_be(error, 0);
        must_be(ouro_shield_leave(), 0);
    }
    must_be(ouro_listener_close(listener), 0);
    if (error == 0 && far.id != 0)
        link_ready(l, c.conn, far);
    else
        l->used = false;
}

/* --- closing ---------------------------------------------------------------------------------- */

enum how { CLOSE_PLAIN, CLOSE_STARTED, CLOSE_RESET };

static void close_end(struct actor *a, struct link *l, unsigned end, enum how how)
{
    const struct way *in = &l->way[1 - end];
    struct ouro_close c;

    l->users++;
    l->closing[end] = true;
    if (how == CLOSE_RESET || (!in->ended && (in->sent != in->received || in->sending)))
        l->way[0].lossy = l->way[1].lossy = true;
    if (how == CLOSE_RESET) {
        (void)ouro_close_reset(l->end[end]);
    } else if (how == CLOSE_STARTED) {
        ouro_close_start(&c, l->end[end]);
        must_be(wait_some_way(a, &c.op.future), 0);
    } else {
        must_be(ouro_close(l->end[end]), 0);
    }
    must_be(ouro_close(l->end[end]), -EBADF);
    l->closed[end] = true;
    link_release(l);
}

void step_link_close(struct actor *a)
{
    unsigned end;
    struct link *l = link_some(a, &end);

    if (l != NULL && !l->closing[end] && one_in(a, 3))
        close_end(a, l, end, (enum how)below(a, 3));
}

void links_close(void)
{
    for (unsigned i = 0; i < LINKS; i++)
        for (unsigned e = 0; e < 2; e++)
            if (here()->link[i].used && !here()->link[i].closing[e])
                close_end(NULL, &here()->link[i], e, CLOSE_PLAIN);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void split(struct actor *a, struct iovec iov[4], char *buf, size_t len)
{
    size_t at = 0;

    for (unsigned i = 0; i < 4; i++) {
        size_t part = i == 3 ? len - at : below(a, (unsigned)(len - at) + 1);

        iov[i] = (struct iovec){buf + at, part};
        at += part;
    }
}

static int send_whole(struct actor *a, ouro_conn conn, char *buf, size_t len, size_t *moved)
{
    union {
        struct ouro_send_all all;
        struct ouro_sendv_all parts;
    } s;
    struct iovec iov[4];
    int n;

    if (one_in(a, 2)) {
        ouro_send_all_start(&s.all, conn, buf, len);
        n = wait_some_way(a, &s.all.op.future);
        *moved = s.all.sent;
    } else {
        split(a, iov, buf, len);
        ouro_sendv_all_start(&s.parts, conn, iov, 4);
        n = wait_some_way(a, &s.parts.op.future);
        *moved = s.parts.sent;
    }
    must(n < 0 || (size_t)n == len);
    *moved = n < 0 ? *moved : len;
    return n;
}

/* A buffer that waits for a peer that does not read is freed by a reset. */
static int released(struct actor *a, struct link *l, struct ouro_send_zc *z)
{
    struct ouro_future *one[] = {&z->released};

    must_be(ouro_shield_enter(), 0);
    while (ouro_await_any(one, 1, ouro_after_ns(5 * MS)) != 0)
        for (unsigned e = 0; e < 2; e++)
            if (!l->closing[e])
                close_end(a, l, e, CLOSE_RESET);
    must_be(ouro_shield_leave(), 0);
    return ouro_await(&z->released);
}

static int send_zero_copy(struct actor *a, struct link *l, unsigned end, const char *buf,
                          size_t len)
{
    struct ouro_send_zc z;
    int n, copied;

    ouro_send_zc_start(&z, l->end[end], buf, len);
    n = wait_some_way(a, &z.op.future);
    copied = released(a, l, &z);
    must(ouro_done(&z.released) && z.op.pprev == NULL);
    must(n < 0 || copied == 0 || copied == 1);
    must_be(ouro_result(&z.op.future), n);
    return n;
}

static int send_some_way(struct actor *a, struct link *l, unsigned end, char *buf, size_t len,
                         size_t *moved)
{
    struct iovec iov[4];
    union {
        struct ouro_send send;
        struct ouro_msg msg;
    } s;
    int n;

    switch (below(a, 4)) {
    case 0:
        ouro_send_start(&s.send, l->end[end], buf, len);
        n = wait_some_way(a, &s.send.op.future);
        break;
    case 1:
        split(a, iov, buf, len);
        ouro_sendv_start(&s.msg, l->end[end], iov, 4);
        n = wait_some_way(a, &s.msg.op.future);
        break;
    case 2:
        if (l->family == UNIX)
            return send_whole(a, l->end[end], buf, len, moved);
        n = send_zero_copy(a, l, end, buf, len);
        break;
    default:
        return send_whole(a, l->end[end], buf, len, moved);
    }
    *moved = n > 0 ? (size_t)n : 0;
    return n;
}

void step_link_send(struct actor *a)
{
    unsigned end;
    struct link *l = link_some(a, &end);
    size_t len = some_size(a, BURST_MOST), moved = 0;
    char *buf;
    int error;

    if (l == NULL || !link_may_send(l, end, len))
        return;
    buf = malloc(len);
    must(buf != NULL);
    pattern_fill(buf, len, l->way[end].seed, l->way[end].sent);
    error = send_some_way(a, l, end, buf, len, &moved);
    memset(buf, 0x55, len); /* ours again: nobody reads it any more */
    free(buf);
    link_sent(l, end, moved, error < 0 ? error : 0);
}

/* --- receiving -------------------------------------------------------------------------------- */

void step_link_recv(struct actor *a)
{
    unsigned end;
    struct link *l = link_some(a, &end);
    size_t len = some_size(a, BURST_MOST);
    struct iovec iov[4];
    union {
        struct ouro_recv recv;
        struct ouro_msg msg;
    } r;
    char *buf;
    int n;

    if (l == NULL || !link_may_recv(l, end))
        return;
    buf = malloc(len);
    must(buf != NULL);
    if (one_in(a, 2)) {
        ouro_recv_start(&r.recv, l->end[end], buf, len);
        n = wait_some_way(a, &r.recv.op.future);
    } else {
        split(a, iov, buf, len);
        ouro_recvv_start(&r.msg, l->end[end], iov, 4);
        n = wait_some_way(a, &r.msg.op.future);
    }
    link_received(l, end, buf, n);
    free(buf);
}

/* Leases that are kept for a while, with the place in the stream that they are of. */
struct leases {
    struct ouro_buf buf[4];
    uint64_t at[4], seed;
    unsigned n;
};

static void lease_give_back(struct leases *k)
{
    while (k->n != 0) {
        k->n--;
        pattern_check(k->buf[k->n].data, k->buf[k->n].len, k->seed, k->at[k->n]);
        ouro_buf_release(&k->buf[k->n]);
        must(k->buf[k->n].data == NULL);
    }
}

static void lease_keep(struct actor *a, struct leases *k, struct ouro_buf buf, uint64_t at)
{
    k->buf[k->n] = buf;
    k->at[k->n++] = at;
    if (k->n == 4 || one_in(a, 3))
        lease_give_back(k);
}

/* What was received when the source was stopped is still there to be taken. */
static void source_end(struct actor *a, struct link *l, unsigned end, struct ouro_recv_source *s,
                       struct leases *k)
{
    uint64_t at;
    struct ouro_buf buf;
    int n;

    must_be(ouro_shield_enter(), 0);
    ouro_recv_source_stop(s);
    n = ouro_await(&s->op.future);
    must(ouro_done(&s->op.future) && ouro_done(&s->ready));
    do {
        at = l->way[1 - end].received;
        n = ouro_recv_take(s, &buf);
        took(l, end, n > 0 ? buf.data : NULL, n);
        if (n > 0)
            lease_keep(a, k, buf, at);
    } while (n > 0);
    must_be(ouro_shield_leave(), 0);
    must_be(ouro_recv_source_close(s), 0);
}

void step_link_source(struct actor *a)
{
    unsigned end, takes = below(a, 12);
    struct link *l = link_some(a, &end);
    struct ouro_recv_source s = {0};
    struct leases k = {.n = 0};
    struct ouro_buf buf;
    uint64_t at;
    int n;

    if (l == NULL || !link_may_recv(l, end))
        return;
    k.seed = l->way[1 - end].seed;
    n = ouro_recv_source_open(&s, l->end[end], below(a, 9));
    if (n == 0) {
        while (takes-- != 0) {
            at = l->way[1 - end].received;
            n = ouro_recv_take(&s, &buf);
            if (n == -EAGAIN) {
                (void)ouro_await_until(&s.ready, ouro_after_ns(below(a, 1000) * US));
                continue;
            }
            took(l, end, n > 0 ? buf.data : NULL, n);
            if (n <= 0)
                break;
            lease_keep(a, &k, buf, at);
        }
        source_end(a, l, end, &s, &k);
        n = -ECANCELED;
    }
    link_received(l, end, NULL, n);
    lease_give_back(&k);
}

/* --- ending ----------------------------------------------------------------------------------- */

void step_link_finish(struct actor *a)
{
    unsigned end;
    struct link *l = link_some(a, &end);
    struct ouro_shutdown s;
    int error;

    if (l == NULL || l->closing[end] || !one_in(a, 4))
        return;
    l->users++;
    l->finished[end] = true;
    ouro_shutdown_start(&s, l->end[end], SHUT_WR);
    error = wait_some_way(a, &s.op.future);
    must_explain(error, (error == -ENOTCONN && (l->closing[1 - end] || l->finished[1 - end])) ||
                            (error == -EBADF && l->closing[end]));
    link_release(l);
}
