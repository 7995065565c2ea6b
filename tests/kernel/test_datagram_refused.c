/* SPDX-License-Identifier: MIT */
/* What a datagram socket refuses: bad arguments, handles of others, addresses that are taken or
 * that nobody has. Every start is DONE at once then, and nothing is left. */
#include "support/net_support.h"

#include <sys/stat.h>

static char buf[64];

static int send_result(ouro_conn c, const void *data, size_t len, const struct ouro_addr *to)
{
    struct ouro_send_to s;

    ouro_send_to_start(&s, c, data, len, to);
    must(ouro_done(&s.op.future));
    return ouro_result(&s.op.future);
}

static int segments_result(ouro_conn c, size_t segment, const struct ouro_addr *to)
{
    struct ouro_send_to s;

    ouro_send_segments_start(&s, c, buf, sizeof buf, segment, to);
    must(ouro_done(&s.op.future));
    return ouro_result(&s.op.future);
}

static int recv_result(ouro_conn c, void *data, size_t len)
{
    struct ouro_recv_from r;
    struct ouro_datagram d;

    ouro_recv_from_start(&r, c, data, len);
    must(ouro_done(&r.op.future));
    must_be(ouro_recv_from_read(&r, &d), ouro_result(&r.op.future));
    return ouro_result(&r.op.future);
}

static int connect_result(ouro_conn c, const struct ouro_addr *to)
{
    struct ouro_datagram_connect o;

    ouro_datagram_connect_start(&o, c, to);
    must(ouro_done(&o.op.future));
    return ouro_result(&o.op.future);
}

/* All calls that take a handle say the same about it. */
static void all_say(ouro_conn c, int error)
{
    struct ouro_addr a = parsed("127.0.0.1:9"), group = parsed("239.1.2.3:0");
    struct ouro_datagram_info info = {.size = sizeof info};
    struct ouro_datagram_source source;
    struct ouro_datagram d;

    must_be(send_result(c, "x", 1, &a), error);
    must_be(segments_result(c, 8, &a), error);
    must_be(recv_result(c, buf, sizeof buf), error);
    must_be(connect_result(c, &a), error);
    must_be(ouro_datagram_info(c, &info), error);
    must_be(ouro_multicast_join(c, &group, 0, NULL), error);
    must_be(ouro_multicast_leave(c, &group, 0, NULL), error);
    must_be(ouro_datagram_source_open(&source, c, 0, 0), error);
    must_be(ouro_datagram_take(&source, &d), error == -OURO_ENOSHARD ? error : -EBADF);
    must_be(ouro_datagram_source_close(&source), error == -OURO_ENOSHARD ? error : 0);
    must_be(ouro_close(c), error);
}

static ouro_conn theirs;

static int open_there(void *arg)
{
    (void)arg;
    if (ouro_current_shard() == 1)
        must_be(ouro_datagram_open(&theirs, AF_INET, NULL), 0);
    return 0;
}

static int close_there(void *arg)
{
    (void)arg;
    return ouro_current_shard() == 1 ? ouro_close(theirs) : 0;
}

static int handles_main(void *arg)
{
    ouro_conn none = {0}, c;

    (void)arg;
    all_say(none, -EBADF);
    must_be(ouro_datagram_open(&c, AF_INET, NULL), 0);
    must_be(ouro_close(c), 0);
    all_say(c, -EBADF);
    must_be(ouro_on_each_shard(open_there, NULL, "open", NULL), 0);
    all_say(theirs, -OURO_EOTHERSHARD);
    must_be(ouro_on_each_shard(close_there, NULL, "close", NULL), 0);
    return 0;
}

static void handles(void **state)
{
    struct ouro_addr a = parsed("127.0.0.1:0");
    ouro_conn c = {1};

    (void)state;
    assert_int_equal(run_on(2, handles_main, NULL), 0);
    must_be(ouro_datagram_open(&c, AF_INET, NULL), -OURO_ENOSHARD);
    must_be(ouro_datagram_bind(&c, &a, NULL), -OURO_ENOSHARD);
    all_say(c, -OURO_ENOSHARD);
}

static int arguments_main(void *arg)
{
    struct ouro_addr a = any_addr(V4), bad = {0}, u = any_addr(UNIX), group = parsed("239.1.2.3:0"),
                     group6 = parsed("[ff15::1]:0");
    struct ouro_datagram_options o = {.size = 1}, ip[5];
    struct ouro_datagram_info info = {0};
    struct ouro_datagram_source source;
    struct ouro_recv_from r;
    struct ouro_datagram d;
    ouro_conn c;

    (void)arg;
    must_be(ouro_datagram_bind(NULL, &a, NULL), -EINVAL);
    must_be(ouro_datagram_bind(&c, NULL, NULL), -EINVAL);
    must_be(ouro_datagram_bind(&c, &a, &o), -EINVAL);
    must_be(ouro_datagram_bind(&c, &bad, NULL), -EAFNOSUPPORT);
    must_be(ouro_datagram_open(NULL, AF_INET, NULL), -EINVAL);
    must_be(ouro_datagram_open(&c, AF_INET, &o), -EINVAL);
    must_be(ouro_datagram_open(&c, AF_NETLINK, NULL), -EAFNOSUPPORT);
    memset(ip, 0, sizeof ip);
    for (int i = 0; i < 5; i++)
        ip[i].size = sizeof ip[i];
    ip[0].broadcast = ip[1].destination = ip[2].multicast_no_loop = true;
    ip[3].multicast_ttl = 1;
    ip[4].multicast_interface = 1;
    for (int i = 0; i < 5; i++) {
        must_be(ouro_datagram_open(&c, AF_UNIX, &ip[i]), -EINVAL);
        must_be(ouro_datagram_bind(&c, &u, &ip[i]), -EINVAL);
        must_be(ouro_datagram_open(&c, AF_INET, &ip[i]), 0);
        must_be(ouro_close(c), 0);
    }
    ip[4].multicast_interface = 1000000;
    must(ouro_datagram_open(&c, AF_INET, &ip[4]) < 0);

    must_be(ouro_datagram_bind(&c, &a, NULL), 0);
    bad.len = sizeof bad;
    must_be(send_result(c, NULL, 1, &a), -EINVAL);
    must_be(send_result(c, buf, (size_t)INT32_MAX + 1, &a), -EINVAL);
    must_be(send_result(c, buf, 1, &bad), -EINVAL);
    must_be(connect_result(c, &bad), -EINVAL);
    must_be(segments_result(c, 0, &a), -EINVAL);
    must_be(segments_result(c, 65536, &a), -EINVAL);
    must_be(recv_result(c, NULL, 1), -EINVAL);
    must_be(recv_result(c, buf, (size_t)INT32_MAX + 1), -EINVAL);
    must_be(ouro_recv_from_read(NULL, &d), -EINVAL);
    ouro_recv_from_start(&r, c, NULL, 1);
    must_be(ouro_recv_from_read(&r, NULL), -EINVAL);
    must_be(ouro_datagram_info(c, NULL), -EINVAL);
    must_be(ouro_datagram_info(c, &info), -EINVAL);
    must_be(ouro_datagram_source_open(NULL, c, 0, 0), -EINVAL);
    must_be(ouro_datagram_source_open(&source, c, 1 << 20, 0), -EMSGSIZE);
    must_be(ouro_datagram_take(&source, &d), -EBADF);
    must_be(ouro_datagram_take(NULL, &d), -EINVAL);
    must_be(ouro_datagram_take(&source, NULL), -EINVAL);
    must_be(ouro_datagram_source_close(NULL), -EINVAL);
    must_be(ouro_datagram_source_close(&source), 0);
    must_be(ouro_multicast_join(c, NULL, 0, NULL), -EINVAL);
    must_be(ouro_multicast_join(c, &a, 0, NULL), -EINVAL);
    must_be(ouro_multicast_join(c, &u, 0, NULL), -EINVAL);
    must_be(ouro_multicast_join(c, &group, 0, &group6), -EINVAL);
    must_be(ouro_multicast_leave(c, &group, 0, NULL), -EADDRNOTAVAIL);
    must_be(ouro_interface(NULL), -EINVAL);
    must_be(ouro_interface(""), -EINVAL);
    must_be(ouro_interface("no such one"), -ENODEV);
    must_be(ouro_interface("1000000"), -ENODEV);
    must_be(ouro_interface("1x"), -ENODEV);
    must_be(ouro_close(c), 0);
    return 0;
}

/* A stream is none, and comes to no harm: neither its bytes nor its connection are lost. */
static int stream_main(void *arg)
{
    struct ouro_datagram_info info = {.size = sizeof info};
    struct ouro_datagram_source source;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_datagram_info(p.near, &info), -EPROTOTYPE);
    must_be(ouro_datagram_info(p.far, &info), -EPROTOTYPE);
    must_be(ouro_datagram_source_open(&source, p.near, 0, 0), -EPROTOTYPE);
    must_be(segments_result(p.near, 8, NULL), -EOPNOTSUPP);
    must_be(connect_result(p.near, NULL), -EPROTOTYPE);
    must_be(ouro_send(p.near, "kept", 4), 4);
    must_be(recv_result(p.far, buf, sizeof buf), -EPROTOTYPE);
    must_be(ouro_recv(p.far, buf, sizeof buf), 4);
    must(memcmp(buf, "kept", 4) == 0);
    pair_close(&p);
    return 0;
}

static int cancelled_task(void *arg)
{
    ouro_conn c = *(ouro_conn *)arg;
    struct ouro_addr a = parsed("127.0.0.1:9");
    struct ouro_datagram_source source;

    must_be(ouro_sleep(60 * SEC), -ECANCELED);
    must_be(send_result(c, "x", 1, &a), -ECANCELED);
    must_be(recv_result(c, buf, sizeof buf), -ECANCELED);
    must_be(connect_result(c, &a), -ECANCELED);
    must_be(ouro_datagram_source_open(&source, c, 0, 0), -ECANCELED);
    must_be(ouro_datagram_source_close(&source), 0);
    return 0;
}

static int cancelled_main(void *arg)
{
    struct ouro_addr a = any_addr(V4);
    ouro_fiber f;
    ouro_conn c;
    int value = 1;

    (void)arg;
    must_be(ouro_datagram_bind(&c, &a, NULL), 0);
    must_be(ouro_spawn_joinable(NULL, cancelled_task, &c, sizeof c, &f), 0);
    turns(1);
    must_be(ouro_fiber_cancel(f), 0);
    (void)ouro_join(f, &value);
    must_be(ouro_close(c), 0);
    return 0;
}

/* --- what the network and the file system say ------------------------------------------------ */

/* Nobody is there: told once each, to a receive or to the next send, which then sent nothing. */
static int refused_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_addr a, any = any_addr(f);
    ouro_conn x, y;

    must_be(ouro_datagram_bind(&x, &any, NULL), 0);
    must_be(ouro_local_addr(x, &a), 0);
    any = any_addr(f);
    must_be(ouro_datagram_bind(&y, &any, NULL), 0);
    must_be(ouro_datagram_connect(y, &a), 0);
    must_be(ouro_close(x), 0);
    if (f == UNIX) {
        must_be(ouro_send(y, "x", 1), -ECONNREFUSED);
        must_be(ouro_send_to(y, "x", 1, &a), -ENOENT); /* the path is gone, too */
    } else {
        must_be(ouro_send(y, "x", 1), 1);
        must_be(ouro_recv(y, buf, sizeof buf), -ECONNREFUSED);
        must_be(ouro_send(y, "x", 1), 1);
        must_be(ouro_send(y, "x", 1), -ECONNREFUSED);
        must_be(ouro_send(y, "x", 1), 1); /* the one before was not sent */
        must_be(ouro_recv_from(y, buf, sizeof buf, NULL), -ECONNREFUSED);
    }
    must_be(ouro_close(y), 0);
    return 0;
}

static int unix_paths_main(void *arg)
{
    struct ouro_addr a = any_addr(UNIX), gone = parsed("unix:@ouro-test-of-nobody");
    ouro_conn x, y;
    struct stat st;
    int stale;

    (void)arg;
    must_be(ouro_datagram_open(&x, AF_UNIX, NULL), 0);
    must_be(ouro_send_to(x, "x", 1, &a), -ENOENT);
    must_be(ouro_datagram_connect(x, &a), -ENOENT);
    must_be(ouro_send_to(x, "x", 1, &gone), -ECONNREFUSED);
    must_be(ouro_send(x, "x", 1), -ENOTCONN);
    must_be(segments_result(x, 8, NULL), -EOPNOTSUPP);
    /* Left by a process that died: refused, and replaced by a bind. */
    stale = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must_be(bind(stale, &a.sa, a.len), 0);
    must_be(ouro_datagram_bind(&y, &a, NULL), -EADDRINUSE); /* not yet */
    close(stale);
    must_be(ouro_send_to(x, "x", 1, &a), -ECONNREFUSED);
    must_be(ouro_datagram_bind(&y, &a, NULL), 0);
    must_be(ouro_send_to(x, "x", 1, &a), 1);
    must_be(ouro_recv(y, buf, sizeof buf), 1);
    must_be(stat(a.un.sun_path, &st), 0);
    must_be(ouro_close(y), 0);
    must(stat(a.un.sun_path, &st) != 0 && errno == ENOENT);
    must_be(ouro_close(x), 0);
    return 0;
}

/* An address can be taken once; after the close it is free at once. */
static int taken_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_datagram_options own = {.size = sizeof own, .private_port = true};
    struct ouro_addr a, any = any_addr(f);
    ouro_conn x, y;

    for (int i = 0; i < 2; i++) {
        must_be(ouro_datagram_bind(&x, &any, i != 0 ? &own : NULL), 0);
        must_be(ouro_local_addr(x, &a), 0);
        must_be(ouro_datagram_bind(&y, &a, NULL), -EADDRINUSE); /* this shard has it */
        must_be(ouro_datagram_bind(&y, &a, &own), -EADDRINUSE);
        must_be(ouro_close(x), 0);
        for (int k = 0; k < 20; k++) {
            must_be(ouro_datagram_bind(&y, &a, k % 2 != 0 ? &own : NULL), 0);
            must_be(ouro_close(y), 0);
        }
    }
    return 0;
}

/* UDP and TCP have the same numbers for different things. */
static int beside_tcp_main(void *arg)
{
    struct ouro_addr a;
    ouro_listener l = listen_on(*(enum family *)arg, &a);
    ouro_conn c;

    if (*(enum family *)arg == UNIX) {
        must_be(ouro_datagram_bind(&c, &a, NULL), -EADDRINUSE);
    } else {
        must_be(ouro_datagram_bind(&c, &a, NULL), 0);
        must_be(ouro_close(c), 0);
    }
    must_be(ouro_listener_close(l), 0);
    return 0;
}

static int unreachable_main(void *arg)
{
    struct ouro_addr broadcast = parsed("255.255.255.255:9"), six = parsed("[::1]:9");
    ouro_conn c;

    (void)arg;
    must_be(ouro_datagram_open(&c, AF_INET, NULL), 0);
    must_be(ouro_send(c, "x", 1), -EDESTADDRREQ);
    must_be(ouro_send_to(c, "x", 1, &six), -EAFNOSUPPORT);
    must(ouro_send_to(c, "x", 1, &broadcast) < 0); /* EACCES, or no route at all */
    must_be(ouro_close(c), 0);
    return 0;
}

ON_ONE_SHARD(arguments)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(unix_paths)
ON_ONE_SHARD(unreachable)
ON_EACH_FAMILY(stream)
ON_EACH_FAMILY(refused)
ON_EACH_FAMILY(taken)
ON_EACH_FAMILY(beside_tcp)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles),   cmocka_unit_test(arguments),  cmocka_unit_test(stream),
        cmocka_unit_test(cancelled), cmocka_unit_test(refused),    cmocka_unit_test(unix_paths),
        cmocka_unit_test(taken),     cmocka_unit_test(beside_tcp), cmocka_unit_test(unreachable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
