/* SPDX-License-Identifier: MIT */
#include "support/net_scene.h"

#define PEERS 8

void scene_connect(const struct scene_call *c, ouro_conn *conn, const struct ouro_addr *to)
{
    int error;

    again_while_injected(c, error, ouro_connect(conn, to, NULL, 10 * SEC));
    must_be(error, 0);
}

/* One that succeeds, one that is cancelled on its way, one that is refused: either a connection or
 * an error, and never both or neither. */
int scene_connections(void *arg)
{
    const struct scene_call *c = arg;
    struct ouro_addr bound;
    struct ouro_connect cut;
    ouro_conn near, far, none = {1};
    ouro_listener l = listen_on(c->family, &bound);
    int error;

    scene_connect(c, &near, &bound);
    must_be(ouro_accept(l, &far), 0);
    must_be(ouro_close(near), 0);
    must_be(ouro_close(far), 0);

    ouro_connect_start(&cut, &bound, NULL);
    if (c->form != 0)
        turns(1);
    ouro_cancel(&cut.op.future);
    error = ouro_await(&cut.op.future);
    must(error == 0 || error == -ECANCELED || injected(c, error));
    must((error == 0) == (cut.conn.id != 0));
    if (error == 0)
        must_be(ouro_close(cut.conn), 0);
    must_be(ouro_listener_close(l), 0);

    again_while_injected(c, error, ouro_connect(&none, &bound, NULL, 10 * SEC));
    must_be(error, c->family == UNIX ? -ENOENT : -ECONNREFUSED);
    must_be(none.id, 0);
    return 0;
}

/* A burst of peers at a listener whose queue is short: each is accepted once, in spite of errors
 * that pass. */
int scene_accept(void *arg)
{
    const struct scene_call *c = arg;
    struct ouro_listen_options options = {.size = sizeof options, .queue_max = 3};
    struct ouro_addr a = any_addr(c->family), bound;
    ouro_listener l;
    int fds[PEERS];

    must_be(ouro_listen(&l, &a, &options), 0);
    must_be(ouro_listener_addr(l, &bound), 0);
    for (unsigned i = 0; i < PEERS; i++) {
        fds[i] = plain_connect(&bound);
        must(fds[i] >= 0);
        plain_send(fds[i], &i, 1);
    }
    for (unsigned i = 0; i < PEERS; i++) {
        ouro_conn conn;
        uint8_t byte = 255;
        ssize_t n;

        must_be(ouro_accept(l, &conn), 0);
        again_while_injected(c, n, ouro_recv(conn, &byte, 1));
        must_be(n, 1);
        must_be(byte, i);
        must_be(ouro_close(conn), 0);
    }
    for (unsigned i = 0; i < PEERS; i++)
        close(fds[i]);
    must_be(ouro_listener_close(l), 0);
    return 0;
}
