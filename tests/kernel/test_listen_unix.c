/* SPDX-License-Identifier: MIT */
/* Unix sockets: one for all shards, with a file that a dead process left replaced, a live one
 * respected and not disturbed, and the file removed at the last close. */
#include "support/net_support.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SHARDS 3

static struct ouro_addr addr;
static ouro_listener listener[SHARDS];
static _Atomic unsigned accepted[SHARDS], waiting[SHARDS];

static bool file_there(void)
{
    struct stat st;

    return stat(addr.un.sun_path, &st) == 0;
}

static int open_mine(void *arg)
{
    /* A queue of one: accepting starts anew after each connection. */
    struct ouro_listen_options o = {.size = sizeof o, .queue_max = 1};

    (void)arg;
    return ouro_listen(&listener[ouro_current_shard()], &addr, &o);
}

static int serve(void *arg)
{
    int i = ouro_current_shard();
    ouro_conn conn;

    (void)arg;
    while (ouro_accept(listener[i], &conn) == 0) {
        accepted[i]++;
        must_be(ouro_send(conn, "x", 1), 1);
        must_be(ouro_close(conn), 0);
    }
    return 0;
}

static int spawn_server(void *arg)
{
    (void)arg;
    return ouro_spawn(NULL, serve, NULL, 0);
}

static int close_mine(void *arg)
{
    int i = ouro_current_shard();

    (void)arg;
    if (i == 0)
        return 0;
    must(file_there());
    return ouro_listener_close(listener[i]);
}

static int serve_all(const char *text)
{
    ouro_listener twice;
    unsigned sum = 0;

    addr = any_addr(UNIX);
    if (text != NULL)
        addr = parsed(text);
    memset((void *)accepted, 0, sizeof accepted);
    must_be(ouro_on_each_shard(open_mine, NULL, "open", NULL), 0);
    must_be(ouro_listen(&twice, &addr, NULL), -EADDRINUSE);
    must_be(ouro_on_each_shard(spawn_server, NULL, "serve", NULL), 0);
    for (int i = 0; i < 300; i++) {
        ouro_conn conn;
        char in;

        must_be(ouro_connect(&conn, &addr, NULL, 20 * SEC), 0);
        must_be(ouro_recv(conn, &in, 1), 1);
        must_be(ouro_close(conn), 0);
    }
    for (int i = 0; i < SHARDS; i++)
        sum += accepted[i];
    must_be(sum, 300);
    return 0;
}

static int shut_mine(void *arg)
{
    (void)arg;
    return ouro_listener_close(listener[ouro_current_shard()]);
}

static int path_main(void *arg)
{
    (void)arg;
    must_be(serve_all(NULL), 0);
    must_be(ouro_on_each_shard(close_mine, NULL, "close", NULL), 0);
    must(file_there());
    must_be(ouro_listener_close(listener[0]), 0);
    must(!file_there());
    return 0;
}

static int abstract_main(void *arg)
{
    char text[64];

    (void)arg;
    snprintf(text, sizeof text, "unix:@ouro-share-%d", (int)getpid());
    must_be(serve_all(text), 0);
    must_be(ouro_on_each_shard(shut_mine, NULL, "close", NULL), 0);
    return 0;
}

static int stale_main(void *arg)
{
    struct ouro_addr left, bound;
    ouro_listener l;
    struct pair p;

    (void)arg;
    close(plain_listen(UNIX, 1, &left)); /* its file stays, as after a kill */
    addr = left;
    must(file_there());
    must_be(ouro_listen(&l, &left, NULL), 0);
    must_be(ouro_listener_addr(l, &bound), 0);
    must(ouro_addr_equal(&left, &bound));
    must_be(ouro_connect(&p.near, &left, NULL, 20 * SEC), 0);
    must_be(ouro_accept(l, &p.far), 0);
    pair_close(&p);
    must_be(ouro_listener_close(l), 0);
    must(!file_there());
    return 0;
}

/* Somebody listens there: refused, and the other one sees nothing of the try. */
static int live_main(void *arg)
{
    struct ouro_addr theirs;
    int fd = plain_listen(UNIX, 8, &theirs);
    ouro_listener l;

    (void)arg;
    addr = theirs;
    must_be(ouro_listen(&l, &theirs, NULL), -EADDRINUSE);
    must(file_there());
    must_be(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    must(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
    close(fd);
    return 0;
}

/* What is no socket is not touched. */
static int no_socket_main(void *arg)
{
    struct ouro_addr a = any_addr(UNIX);
    FILE *f = fopen(a.un.sun_path, "w");
    ouro_listener l;

    (void)arg;
    must(f != NULL);
    fclose(f);
    addr = a;
    must_be(ouro_listen(&l, &a, NULL), -EADDRINUSE);
    must(file_there());
    return 0;
}

/* The file was replaced by somebody else's meanwhile: that one stays. */
static int replaced_main(void *arg)
{
    struct ouro_addr a = any_addr(UNIX);
    ouro_listener l;
    int fd;

    (void)arg;
    addr = a;
    must_be(ouro_listen(&l, &a, NULL), 0);
    must_be(unlink(a.un.sun_path), 0);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must_be(bind(fd, &a.sa, a.len), 0);
    must_be(listen(fd, 1), 0);
    must_be(ouro_listener_close(l), 0);
    must(file_there());
    close(fd);
    return 0;
}

static int open_private(void *arg)
{
    struct ouro_listen_options o = {.size = sizeof o, .private_port = true};

    (void)arg;
    return ouro_listen(&listener[ouro_current_shard()], &addr, &o);
}

static int private_main(void *arg)
{
    struct ouro_each_result results[SHARDS];
    ouro_listener l;

    (void)arg;
    addr = any_addr(UNIX);
    must_be(open_private(NULL), 0);
    must_be(ouro_on_each_shard(open_mine, NULL, "open", results), -EADDRINUSE);
    for (int i = 0; i < SHARDS; i++)
        must_be(results[i].value, -EADDRINUSE);
    must_be(ouro_listener_close(listener[0]), 0);
    must(!file_there());
    must_be(ouro_listen(&l, &addr, NULL), 0);
    must_be(open_private(NULL), -EADDRINUSE);
    must_be(ouro_listener_close(l), 0);
    must(!file_there());
    return 0;
}

/* One shard drains and the others go on as if nothing had happened. */
static int drain_mine(void *arg)
{
    ouro_conn conn;
    int i = ouro_current_shard();

    (void)arg;
    if (i != 1)
        return 0;
    must_be(ouro_accept_stop(listener[i]), 0);
    while (ouro_accept_drain(listener[i], &conn) == 0)
        must_be(ouro_close(conn), 0);
    return 0;
}

static int one_drains_main(void *arg)
{
    (void)arg;
    addr = any_addr(UNIX);
    memset((void *)accepted, 0, sizeof accepted);
    must_be(ouro_on_each_shard(open_mine, NULL, "open", NULL), 0);
    must_be(ouro_on_each_shard(drain_mine, NULL, "drain", NULL), 0);
    must_be(ouro_on_each_shard(spawn_server, NULL, "serve", NULL), 0);
    for (int i = 0; i < 200; i++) {
        uint64_t start = ouro_now_precise_ns();
        ouro_conn conn;
        char in;

        must_be(ouro_connect(&conn, &addr, NULL, 20 * SEC), 0);
        must_be(ouro_recv(conn, &in, 1), 1);
        must_be(ouro_close(conn), 0);
        waiting[0] += ouro_now_precise_ns() - start > 9 * MS; /* the pause after a failed accept */
    }
    must_be(accepted[1], 0);
    must(accepted[0] + accepted[2] == 200);
    must(waiting[0] < 20);
    must_be(counters_now().accept_errors, 0);
    must_be(ouro_on_each_shard(shut_mine, NULL, "close", NULL), 0);
    return 0;
}

ON_ONE_SHARD(stale)
ON_ONE_SHARD(live)
ON_ONE_SHARD(no_socket)
ON_ONE_SHARD(replaced)

#define ON_SHARDS(name)                                                                            \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(run_on(SHARDS, name##_main, NULL), 0);                                    \
    }

ON_SHARDS(path)
ON_SHARDS(abstract)
ON_SHARDS(one_drains)
ON_SHARDS(private)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path),       cmocka_unit_test(abstract),  cmocka_unit_test(stale),
        cmocka_unit_test(live),       cmocka_unit_test(no_socket), cmocka_unit_test(replaced),
        cmocka_unit_test(one_drains), cmocka_unit_test(private),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
