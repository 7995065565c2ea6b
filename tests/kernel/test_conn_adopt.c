/* SPDX-License-Identifier: MIT */
/* Ordinary descriptors become connections, and connections ordinary descriptors; the stream does
 * not notice. */
#include "support/net_support.h"

#include <fcntl.h>
#include <sys/stat.h>

static char in[64];

static int adopt_main(void *arg)
{
    struct outside o;
    ouro_conn conn;

    outside_open(&o, *(enum family *)arg);
    must_be(fcntl(o.fd, F_SETFL, O_NONBLOCK), 0); /* as another loop would have left it */
    must_be(ouro_conn_adopt(&conn, o.fd), 0);
    must_be(ouro_send(conn, "one", 3), 3);
    must_be(ouro_recv(o.conn, in, sizeof in), 3);
    must_be(ouro_send(o.conn, "four", 4), 4);
    must_be(ouro_recv(conn, in, sizeof in), 4);
    {
        struct ouro_recv r; /* waits, though the descriptor came as a non-blocking one */

        ouro_recv_start(&r, conn, in, sizeof in);
        turns(3);
        must(!ouro_done(&r.op.future));
        must_be(ouro_send(o.conn, "later", 5), 5);
        must_be(ouro_await(&r.op.future), 5);
    }
    must_be(ouro_close(conn), 0);
    until(fcntl(o.fd, F_GETFD) == -1); /* it was ours, and is closed */
    o.fd = -1;
    outside_close(&o);
    return 0;
}

static int refuse_main(void *arg)
{
    int pipes[2];
    ouro_conn conn = {0};

    (void)arg;
    must_be(ouro_conn_adopt(&conn, -1), -EBADF);
    must_be(ouro_conn_adopt(&conn, 1 << 20), -EBADF);
    must_be(pipe2(pipes, O_CLOEXEC), 0);
    must_be(ouro_conn_adopt(&conn, pipes[0]), -ENOTSOCK);
    must(fcntl(pipes[0], F_GETFD) != -1); /* still the caller's */
    close(pipes[0]);
    close(pipes[1]);
    return 0;
}

static int give_out_main(void *arg)
{
    struct pair p;
    ssize_t n;
    int fd;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_send(p.near, "before", 6), 6);
    must_be(ouro_send(p.far, "unread", 6), 6);
    fd = ouro_conn_give_out(p.near);
    if (fd == -EOPNOTSUPP) {
        pair_close(&p);
        return 77;
    }
    must(fd >= 0);
    must_be(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    must_be(ouro_send(p.near, "x", 1), -EBADF); /* the handle is stale */
    must_be(ouro_close(p.near), -EBADF);
    must_be(ouro_conn_give_out(p.near), -EBADF);
    turns(3);
    plain_send(fd, " and after", 10);
    for (size_t got = 0; got < 16; got += (size_t)n)
        must((n = ouro_recv(p.far, in + got, sizeof in - got)) > 0);
    must(memcmp(in, "before and after", 16) == 0);
    plain_recv(fd, in, 6);
    must(memcmp(in, "unread", 6) == 0);
    close(fd);
    must_be(ouro_recv(p.far, in, sizeof in), 0); /* that was the last descriptor */
    must_be(ouro_close(p.far), 0);
    return 0;
}

/* There and back again: an adopted one is given out as the descriptor that it was. */
static int round_trip_main(void *arg)
{
    struct outside o;
    ouro_conn conn;
    int fd;

    outside_open(&o, *(enum family *)arg);
    must_be(ouro_conn_adopt(&conn, o.fd), 0);
    fd = ouro_conn_give_out(conn);
    must_be(fd, o.fd);
    must_be(ouro_recv(conn, in, 1), -EBADF);
    must(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    plain_send(fd, "still", 5);
    must_be(ouro_recv(o.conn, in, sizeof in), 5);
    outside_close(&o);
    return 0;
}

static int busy_main(void *arg)
{
    struct ouro_recv r;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    ouro_recv_start(&r, p.near, in, sizeof in);
    must_be(ouro_conn_give_out(p.near), -EBUSY);
    turns(2);
    must_be(ouro_conn_give_out(p.near), -EBUSY);
    ouro_cancel(&r.op.future);
    must_be(ouro_await(&r.op.future), -ECANCELED);
    pair_close(&p);
    return 0;
}

struct meddler {
    struct pair *p;
    bool close;
    int result;
};

static int meddle(void *arg)
{
    struct meddler *m = *(struct meddler **)arg;

    if (m->close)
        m->result = ouro_close(m->p->near);
    else
        m->result = (int)ouro_recv(m->p->near, in, sizeof in);
    return 0;
}

/* While it is given out another task closes it, or starts something on it: one of them wins, and
 * nothing is closed twice or under an operation. */
static int meddled_main(void *arg)
{
    for (int way = 0; way < 2; way++) {
        struct pair p;
        struct meddler m = {.p = &p, .close = way == 0}, *pm = &m;
        ouro_fiber f;
        int fd;

        pair_open(&p, *(enum family *)arg);
        must_be(ouro_spawn_joinable(NULL, meddle, &pm, sizeof pm, &f), 0);
        fd = ouro_conn_give_out(p.near); /* the other runs while this waits */
        must(fd >= 0 || fd == -EBADF || fd == -EBUSY || fd == -ECANCELED);
        if (fd >= 0)
            plain_send(fd, "by hand", 7);
        else if (m.close)
            must_be(m.result, 0);
        must_be(ouro_send(p.far, "wake", 4) > 0 || fd == -EBADF || fd == -ECANCELED, true);
        must_be(ouro_join(f, NULL), OURO_END_RETURNED);
        if (!m.close)
            must(m.result == -EBADF || m.result == 4);
        if (fd >= 0)
            close(fd);
        (void)ouro_close(p.near);
        must_be(ouro_close(p.far), 0);
    }
    return 0;
}

/* A socket of sequenced packets waits for room like a stream, and keeps the packets whole. */
static int packets_main(void *arg)
{
    static char packet[100] = "whole";
    struct ouro_send *more = calloc(2, sizeof *more);
    ouro_conn c;
    int fd[2], sent = 0;

    (void)arg;
    must(more != NULL);
    must_be(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
    must_be(ouro_conn_adopt(&c, fd[0]), 0);
    for (;; sent++) {
        ouro_send_start(&more[0], c, packet, sizeof packet);
        if (ouro_await_for(&more[0].op.future, 20 * MS) == -ETIMEDOUT)
            break;
        must_be(ouro_result(&more[0].op.future), sizeof packet);
    }
    for (int i = 0; i < 2; i++)
        ouro_send_start(&more[i], c, packet, sizeof packet);
    for (int i = 0; i < sent; i++) {
        must_be(recv(fd[1], in, sizeof in, MSG_TRUNC), sizeof packet);
        must(strncmp(in, packet, sizeof in) == 0);
    }
    for (int i = 0; i < 2; i++)
        must_be(ouro_await(&more[i].op.future), sizeof packet);
    for (int i = 0; i < 2; i++)
        must_be(recv(fd[1], in, sizeof in, MSG_TRUNC), sizeof packet);
    free(more);
    must_be(ouro_close(c), 0);
    must_be(close(fd[1]), 0);
    return 0;
}

ON_EACH_FAMILY(adopt)
ON_ONE_SHARD(refuse)
ON_ONE_SHARD(packets)
ON_EACH_FAMILY(round_trip)
ON_EACH_FAMILY(busy)
ON_EACH_FAMILY(meddled)

static void give_out(void **state)
{
    (void)state;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f) && run_on(1, give_out_main, &f) == 77)
            skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adopt),      cmocka_unit_test(refuse), cmocka_unit_test(give_out),
        cmocka_unit_test(round_trip), cmocka_unit_test(busy),   cmocka_unit_test(meddled),
        cmocka_unit_test(packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
