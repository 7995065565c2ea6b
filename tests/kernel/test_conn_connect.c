/* SPDX-License-Identifier: MIT */
/* Connecting: what it makes, and every way in which it fails, is cut short, or runs out of time.
 * Nothing is left of one that failed. */
#include "support/net_support.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>

#include "shard/shard.h"

static bool nothing_open(void)
{
    const struct shard *s = shard_self;

    return s->slots.open[SLOT_CONN] == 0;
}

static int works_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    struct ouro_connect c;
    ouro_conn conn;

    ouro_connect_start(&c, &bound, NULL);
    must_be(ouro_await(&c.op.future), 0);
    must(c.conn.id != 0);
    must_be(ouro_accept(l, &conn), 0);
    must_be(ouro_send(c.conn, "hello", 5), 5);
    must_be(ouro_close(c.conn), 0);
    must_be(ouro_close(conn), 0);

    must_be(ouro_connect(&conn, &bound, NULL, 20 * SEC), 0);
    must_be(ouro_close(conn), 0);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

static int get(ouro_conn conn, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof value;

    must_be(ouro_getsockopt(conn, level, option, &value, &len), 0);
    must_be(len, sizeof value);
    return value;
}

static int options_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_socket_options o = {.size = sizeof o,
                                    .delay = true,
                                    .keepalive = true,
                                    .keepalive_idle_s = 11,
                                    .keepalive_interval_s = 12,
                                    .keepalive_count = 13,
                                    .send_buffer_bytes = 20000,
                                    .receive_buffer_bytes = 30000,
                                    .linger = true,
                                    .linger_s = 14};
    struct linger linger;
    socklen_t len = sizeof linger;
    struct ouro_addr bound;
    ouro_listener l = listen_on(f, &bound);
    ouro_conn plain, set;

    must_be(ouro_connect(&plain, &bound, NULL, 20 * SEC), 0);
    must_be(ouro_connect(&set, &bound, &o, 20 * SEC), 0);
    must_be(get(plain, SOL_SOCKET, SO_KEEPALIVE), 0);
    must_be(get(set, SOL_SOCKET, SO_KEEPALIVE), 1);
    must_be(get(set, SOL_SOCKET, SO_SNDBUF), 40000); /* the kernel doubles them */
    must_be(get(set, SOL_SOCKET, SO_RCVBUF), 60000);
    must_be(ouro_getsockopt(set, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    must(linger.l_onoff == 1 && linger.l_linger == 14);
    must_be(ouro_getsockopt(plain, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    must_be(linger.l_onoff, 0);
    if (f != UNIX) {
        must_be(get(plain, IPPROTO_TCP, TCP_NODELAY), 1);
        must_be(get(set, IPPROTO_TCP, TCP_NODELAY), 0);
        must_be(get(set, IPPROTO_TCP, TCP_KEEPIDLE), 11);
        must_be(get(set, IPPROTO_TCP, TCP_KEEPINTVL), 12);
        must_be(get(set, IPPROTO_TCP, TCP_KEEPCNT), 13);
    }
    must_be(ouro_close(plain), 0);
    must_be(ouro_close(set), 0);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

static void fails(const struct ouro_addr *a, const struct ouro_socket_options *o, int error)
{
    ouro_conn conn = {99};

    must_be(ouro_connect(&conn, a, o, 10 * SEC), error);
    must_be(conn.id, 0);
    until(nothing_open());
}

static int refused_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_addr bound;
    ouro_listener l = listen_on(f, &bound);

    must_be(ouro_listener_close(l), 0);
    fails(&bound, NULL, f == UNIX ? -ENOENT : -ECONNREFUSED);
    if (f == UNIX) { /* a file that is left, with nobody behind it */
        close(plain_listen(UNIX, 1, &bound));
        fails(&bound, NULL, -ECONNREFUSED);
    }
    return 0;
}

static int bad_addresses_main(void *arg)
{
    struct ouro_addr a = {0}, v4 = parsed("127.0.0.1:1"), far;
    struct ouro_socket_options o = {.size = sizeof o - 1};

    (void)arg;
    fails(&a, NULL, -EAFNOSUPPORT);
    a = v4;
    a.len = 3;
    fails(&a, NULL, -EINVAL);
    a.len = 100000;
    fails(&a, NULL, -EINVAL);
    a = v4;
    a.sa.sa_family = 255;
    fails(&a, NULL, -EAFNOSUPPORT);
    fails(&v4, &o, -EINVAL);
    o.size = sizeof o;
    o.keepalive = true;
    o.keepalive_idle_s = 1u << 30; /* more than the kernel allows */
    fails(&v4, &o, -EINVAL);
    far = parsed("255.255.255.255:1");
    fails(&far, NULL, -ENETUNREACH);
    return 0;
}

/* A listener whose queue is full: the kernel answers no more, and connecting waits. Filled by
 * ordinary sockets; one of them may still be asking. */
struct silent {
    int listener, fill[64];
    unsigned n;
    struct ouro_addr bound;
};

static void silence(struct silent *s, enum family f)
{
    s->listener = plain_listen(f, 0, &s->bound);
    for (s->n = 0; s->n < 64; s->n++) {
        int fd = socket(ouro_addr_family(&s->bound), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int done;
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        must(fd >= 0);
        s->fill[s->n] = fd;
        done = connect(fd, &s->bound.sa, s->bound.len);
        if (done != 0 && errno == EAGAIN) /* a Unix socket's queue is full */
            return;
        if (done != 0 && poll(&p, 1, 50) == 0) /* no answer: the queue is full */
            return;
    }
    must_fail(__FILE__, __LINE__, "a listener with a backlog of 0 fills up");
}

static void speak(struct silent *s)
{
    for (unsigned i = 0; i <= s->n; i++)
        close(s->fill[i]);
    close(s->listener);
}

static int time_out_main(void *arg)
{
    struct silent s;
    uint64_t start;
    ouro_conn conn = {99};

    silence(&s, *(enum family *)arg);
    start = ouro_now_precise_ns();
    must_be(ouro_connect(&conn, &s.bound, NULL, 30 * MS), -ETIMEDOUT);
    must(ouro_now_precise_ns() - start >= 30 * MS);
    must_be(conn.id, 0);
    until(nothing_open());
    speak(&s);
    return 0;
}

struct
try {
    struct ouro_addr to;
    int result;
    bool started;
};

static int connect_task(void *arg)
{
    struct try *t = *(struct try **)arg;
    ouro_conn conn;

    t->started = true;
    t->result = ouro_connect(&conn, &t->to, NULL, OURO_FOREVER);
    if (t->result == 0)
        must_be(ouro_close(conn), 0);
    return t->result;
}

/* At every step of the call: after 0, 1, 2, … turns. */
static int cancel_midway_main(void *arg)
{
    struct silent s;

    silence(&s, *(enum family *)arg);
    for (unsigned after = 0; after < 12; after++) {
        struct try t = {.to = s.bound}, *pt = &t;
        ouro_fiber f;

        must_be(ouro_spawn_joinable(NULL, connect_task, &pt, sizeof pt, &f), 0);
        until(t.started);
        for (unsigned i = 0; i < after; i++)
            turns(1);
        must_be(ouro_fiber_cancel(f), 0);
        must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
        must_be(t.result, -ECANCELED);
        until(nothing_open());
    }
    speak(&s);
    return 0;
}

/* The same against a listener that answers: it may have been too late, and then it is a connection.
 */
static int cancel_races_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    unsigned made = 0;

    for (unsigned i = 0; i < 100; i++) {
        struct ouro_connect c;
        int n;

        ouro_connect_start(&c, &bound, NULL);
        for (unsigned k = 0; k < i % 8; k++)
            turns(1);
        ouro_cancel(&c.op.future);
        n = ouro_await(&c.op.future);
        must(n == -ECANCELED || n == 0);
        must((n == 0) == (c.conn.id != 0));
        made += n == 0;
        if (n == 0)
            must_be(ouro_close(c.conn), 0);
    }
    printf("%s: %u of 100 were made\n", family_name[*(enum family *)arg], made);
    must_be(ouro_listener_close(l), 0);
    until(nothing_open());
    return 0;
}

/* The struct stays the call's until DONE; leaving the block ends it. */
static int leave_the_block_main(void *arg)
{
    struct silent s;

    silence(&s, *(enum family *)arg);
    {
        OURO_OP(struct ouro_connect, c);

        ouro_connect_start(&c, &s.bound, NULL);
        turns(4);
        must(!ouro_done(&c.op.future));
    }
    until(nothing_open());
    speak(&s);
    return 0;
}

static int many_at_once_main(void *arg)
{
    enum { N = 200 };
    static struct ouro_connect c[N];
    static ouro_conn conn[N];
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);

    for (int i = 0; i < N; i++)
        ouro_connect_start(&c[i], &bound, NULL);
    for (int i = 0; i < N; i++)
        must_be(ouro_accept(l, &conn[i]), 0);
    for (int i = 0; i < N; i++) {
        must_be(ouro_await(&c[i].op.future), 0);
        for (int k = 0; k < i; k++)
            must(c[i].conn.id != c[k].conn.id);
    }
    for (int i = 0; i < N; i++) {
        must_be(ouro_close(c[i].conn), 0);
        must_be(ouro_close(conn[i]), 0);
    }
    must_be(ouro_listener_close(l), 0);
    return 0;
}

ON_EACH_FAMILY(works)
ON_EACH_FAMILY(options)
ON_EACH_FAMILY(refused)
ON_ONE_SHARD(bad_addresses)
ON_EACH_FAMILY(time_out)
ON_EACH_FAMILY(cancel_midway)
ON_EACH_FAMILY(cancel_races)
ON_EACH_FAMILY(leave_the_block)
ON_EACH_FAMILY(many_at_once)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works),        cmocka_unit_test(options),
        cmocka_unit_test(refused),      cmocka_unit_test(bad_addresses),
        cmocka_unit_test(time_out),     cmocka_unit_test(cancel_midway),
        cmocka_unit_test(cancel_races), cmocka_unit_test(leave_the_block),
        cmocka_unit_test(many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
