/* SPDX-License-Identifier: MIT */
/* Accepting is a source: what arrives is queued up to a limit, taken one by one, and inherits the
 * listener's options. */
#include "support/net_support.h"

#include <netinet/tcp.h>

#include "shard/shard.h"

static int take_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    ouro_conn conn = {99}, other;
    struct ouro_future *ready;
    int fd[3];
    char in[8];

    must_be(ouro_accept_take(l, &conn), -EAGAIN);
    must_be(conn.id, 0);
    ready = ouro_accept_ready(l);
    must(!ouro_done(ready));
    for (int i = 0; i < 3; i++)
        must((fd[i] = plain_connect(&bound)) >= 0);
    must(ouro_await(ready) >= 0);
    until(shard_self->slots.open[SLOT_CONN] == 3);
    for (int i = 0; i < 3; i++) { /* in the order of their coming */
        must(ouro_done(ouro_accept_ready(l)));
        must_be(ouro_accept_take(l, &conn), 0);
        plain_send(fd[i], &"abc"[i], 1);
        must_be(ouro_recv(conn, in, sizeof in), 1);
        must_be(in[0], "abc"[i]);
        must_be(ouro_close(conn), 0);
        close(fd[i]);
    }
    must_be(ouro_accept_take(l, &other), -EAGAIN);
    must(!ouro_done(ouro_accept_ready(l)));
    must_be(counters_now().accepts, 3);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* Waiting for a connection, in both styles; cut short, it loses none. */
static struct ouro_future *wait_ready(void *arg)
{
    return ouro_accept_ready(*(ouro_listener *)arg);
}

static int accept_task(void *arg)
{
    ouro_conn conn;
    int error = ouro_accept(*(ouro_listener *)arg, &conn);

    if (error == 0)
        must_be(ouro_close(conn), 0);
    return error;
}

static int cancel_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    ouro_conn conn;
    ouro_fiber f;
    int value = 0, fd;

    must_be(ouro_spawn_joinable(NULL, accept_task, &l, sizeof l, &f), 0);
    turns(2);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, -ECANCELED);

    for (enum style style = 0; style < STYLES; style++) {
        struct waiter w = {.start = wait_ready, .arg = &l};

        waiter_spawn(&w, style, NULL);
        turns(2);
        waiter_cancel(&w);
        until(w.ended);
        w = (struct waiter){.start = wait_ready, .arg = &l, .deadline_ns = ouro_after_ns(MS)};
        waiter_spawn(&w, style, NULL);
        until(w.ended);
        must_be(w.result, -ETIMEDOUT);
    }
    must((fd = plain_connect(&bound)) >= 0);
    must_be(ouro_accept(l, &conn), 0);
    must_be(ouro_close(conn), 0);
    close(fd);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* A cancelled task takes nothing; what is queued stays for the next. */
static int cancelled_take_task(void *arg)
{
    ouro_listener l = *(ouro_listener *)arg;
    ouro_conn conn;

    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(ouro_accept_take(l, &conn), -ECANCELED);
    must_be(ouro_accept(l, &conn), -ECANCELED);
    return 0;
}

static int cancelled_take_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    ouro_conn conn;
    ouro_fiber f;
    int fd;

    must((fd = plain_connect(&bound)) >= 0);
    must_be(ouro_spawn_joinable(NULL, cancelled_take_task, &l, sizeof l, &f), 0);
    must(ouro_await(ouro_accept_ready(l)) >= 0);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    must_be(ouro_accept_take(l, &conn), 0);
    must_be(ouro_close(conn), 0);
    close(fd);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* [ACCEPT-1], [ACCEPT-3]: above queue_max accepting pauses, what comes waits in the kernel, and all
 * of it gets in when the consumer takes again. */
static int queue_max_main(void *arg)
{
    enum { N = 200, MAX = 8 };
    uint64_t paused = counters_now().accepts_paused;
    struct ouro_listen_options o = {.size = sizeof o, .queue_max = MAX};
    struct ouro_addr a = any_addr(*(enum family *)arg), bound;
    static int fd[N];
    ouro_listener l;
    unsigned most;

    must_be(ouro_listen(&l, &a, &o), 0);
    must_be(ouro_listener_addr(l, &bound), 0);
    for (int i = 0; i < N / 2; i++)
        must((fd[i] = plain_connect(&bound)) >= 0);
    until(shard_self->slots.open[SLOT_CONN] >= MAX);
    turns(10);
    most = shard_self->slots.open[SLOT_CONN];
    must(most >= MAX && most <= N / 2);
    for (int i = N / 2; i < N; i++)
        must((fd[i] = plain_connect(&bound)) >= 0);
    turns(10);
    must_be(shard_self->slots.open[SLOT_CONN], most); /* the others stay in the kernel */
    must_be(counters_now().accepts_paused, paused + 1);
    for (int i = 0; i < N; i++) {
        ouro_conn conn;
        char byte = 0;

        must_be(ouro_accept(l, &conn), 0);
        plain_send(fd[i], "x", 1);
        must_be(ouro_recv(conn, &byte, 1), 1);
        must_be(ouro_close(conn), 0);
        close(fd[i]);
    }
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* One is the least: each is taken before the next comes in. */
static int queue_of_one_main(void *arg)
{
    struct ouro_listen_options o = {.size = sizeof o, .queue_max = 1};
    struct ouro_addr a = any_addr(*(enum family *)arg), bound;
    ouro_listener l;

    must_be(ouro_listen(&l, &a, &o), 0);
    must_be(ouro_listener_addr(l, &bound), 0);
    for (int i = 0; i < 50; i++) {
        int one = plain_connect(&bound), two = plain_connect(&bound);
        ouro_conn conn;

        must(one >= 0 && two >= 0);
        must_be(ouro_accept(l, &conn), 0);
        must_be(ouro_close(conn), 0);
        must_be(ouro_accept(l, &conn), 0);
        must_be(ouro_close(conn), 0);
        close(one);
        close(two);
    }
    must_be(ouro_listener_close(l), 0);
    return 0;
}

static int refusals_main(void *arg)
{
    struct ouro_listen_options o = {.size = sizeof o};
    struct ouro_addr a = any_addr(V4), bad;
    ouro_listener l = {0};
    ouro_conn conn;

    (void)arg;
    o.size--;
    must_be(ouro_listen(&l, &a, &o), -EINVAL);
    o = (struct ouro_listen_options){.size = sizeof o, .backlog = -1};
    must_be(ouro_listen(&l, &a, &o), -EINVAL);
    o = (struct ouro_listen_options){.size = sizeof o, .queue_max = 65537};
    must_be(ouro_listen(&l, &a, &o), -EINVAL);
    o = (struct ouro_listen_options){.size = sizeof o, .socket.size = 3};
    must_be(ouro_listen(&l, &a, &o), -EINVAL);
    bad = (struct ouro_addr){0};
    must_be(ouro_listen(&l, &bad, NULL), -EAFNOSUPPORT);
    bad = parsed("192.0.2.1:0"); /* nobody's here */
    must_be(ouro_listen(&l, &bad, NULL), -EADDRNOTAVAIL);
    bad = parsed("unix:/nonexistent/directory/socket");
    must_be(ouro_listen(&l, &bad, NULL), -ENOENT);
    bad = a;
    bad.len = 2;
    must_be(ouro_listen(&l, &bad, NULL), -EINVAL);
    must_be(l.id, 0);
    must_be(ouro_accept(l, &conn), -EBADF);
    must(ouro_done(ouro_accept_ready(l)));
    must_be(ouro_result(ouro_accept_ready(l)), -EBADF);
    return 0;
}

static int get(ouro_conn conn, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof value;

    must_be(ouro_getsockopt(conn, level, option, &value, &len), 0);
    return value;
}

static int inherited_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_listen_options o = {.size = sizeof o,
                                    .socket = {.size = sizeof o.socket,
                                               .keepalive = true,
                                               .keepalive_idle_s = 21,
                                               .keepalive_interval_s = 22,
                                               .keepalive_count = 23,
                                               .send_buffer_bytes = 20000,
                                               .receive_buffer_bytes = 30000}};
    struct ouro_addr a = any_addr(f), bound;
    struct linger linger;
    socklen_t len = sizeof linger;
    ouro_listener l;
    ouro_conn conn;
    int fd;

    for (int plain = 0; plain < 2; plain++) {
        must_be(ouro_listen(&l, &a, plain ? NULL : &o), 0);
        must_be(ouro_listener_addr(l, &bound), 0);
        must((fd = plain_connect(&bound)) >= 0);
        must_be(ouro_accept(l, &conn), 0);
        if (f != UNIX) { /* what a Unix socket accepts begins anew */
            must_be(get(conn, IPPROTO_TCP, TCP_NODELAY), 1);
            must_be(get(conn, SOL_SOCKET, SO_KEEPALIVE), !plain);
            if (!plain) {
                must_be(get(conn, SOL_SOCKET, SO_SNDBUF), 40000);
                must_be(get(conn, SOL_SOCKET, SO_RCVBUF), 60000);
                must_be(get(conn, IPPROTO_TCP, TCP_KEEPIDLE), 21);
                must_be(get(conn, IPPROTO_TCP, TCP_KEEPINTVL), 22);
                must_be(get(conn, IPPROTO_TCP, TCP_KEEPCNT), 23);
            }
            must_be(ouro_getsockopt(conn, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
            must_be(linger.l_onoff, 0);
        }
        must_be(ouro_close(conn), 0);
        close(fd);
        must_be(ouro_listener_close(l), 0);
    }
    return 0;
}

/* [::] takes IPv4 as well, unless it is told not to. */
static int dual_stack_main(void *arg)
{
    struct ouro_listen_options o = {.size = sizeof o};
    struct ouro_addr a = parsed("[::]:0"), bound, v4 = parsed("127.0.0.1:0");
    ouro_listener l;
    ouro_conn conn;

    (void)arg;
    for (int only = 0; only < 2; only++) {
        int fd;

        o.v6only = only != 0;
        must_be(ouro_listen(&l, &a, &o), 0);
        must_be(ouro_listener_addr(l, &bound), 0);
        must_be(ouro_addr_set_port(&v4, (uint16_t)ouro_addr_port(&bound)), 0);
        fd = plain_connect(&v4);
        if (only) {
            must_be(fd, -ECONNREFUSED);
        } else {
            must(fd >= 0);
            must_be(ouro_accept(l, &conn), 0);
            must_be(ouro_close(conn), 0);
            close(fd);
        }
        must_be(ouro_listener_close(l), 0);
    }
    return 0;
}

/* Peers that are gone before they are taken are connections all the same, and do no harm. */
static int gone_before_main(void *arg)
{
    struct linger reset = {.l_onoff = 1};
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);

    for (int i = 0; i < 20; i++) {
        int fd = plain_connect(&bound);
        ouro_conn conn;
        char byte;

        must(fd >= 0);
        if (i % 2)
            must_be(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        close(fd);
        must_be(ouro_accept(l, &conn), 0);
        must(ouro_recv(conn, &byte, 1) <= 0);
        must_be(ouro_close(conn), 0);
    }
    must_be(ouro_listener_close(l), 0);
    return 0;
}

ON_EACH_FAMILY(take)
ON_EACH_FAMILY(cancel)
ON_EACH_FAMILY(cancelled_take)
ON_EACH_FAMILY(queue_max)
ON_EACH_FAMILY(queue_of_one)
ON_ONE_SHARD(refusals)
ON_EACH_FAMILY(inherited)
ON_EACH_FAMILY(gone_before)

static void dual_stack(void **state)
{
    (void)state;
    if (!family_there(V6))
        skip();
    assert_int_equal(run_on(1, dual_stack_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take),           cmocka_unit_test(cancel),
        cmocka_unit_test(cancelled_take), cmocka_unit_test(queue_max),
        cmocka_unit_test(queue_of_one),   cmocka_unit_test(refusals),
        cmocka_unit_test(inherited),      cmocka_unit_test(dual_stack),
        cmocka_unit_test(gone_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
