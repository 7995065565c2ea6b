/* SPDX-License-Identifier: MIT */
/* Listening descriptors from elsewhere: a service manager's (LISTEN_FDS), or made by hand. */
#include "support/net_support.h"

#include <fcntl.h>
#include <netinet/tcp.h>

static int adopt_main(void *arg)
{
    struct ouro_listen_options o = {.size = sizeof o, .queue_max = 5};
    struct ouro_addr bound, told;
    int fd = plain_listen(*(enum family *)arg, 16, &bound), peer;
    ouro_listener l;
    ouro_conn conn;
    char in[4];

    must_be(fcntl(fd, F_SETFL, O_NONBLOCK), 0); /* as another loop may have left it */
    must_be(ouro_listener_adopt(&l, fd, &o), 0);
    must_be(ouro_listener_addr(l, &told), 0);
    must(ouro_addr_equal(&told, &bound));
    for (int i = 0; i < 20; i++) {
        must((peer = plain_connect(&bound)) >= 0);
        must_be(ouro_accept(l, &conn), 0);
        plain_send(peer, "x", 1);
        must_be(ouro_recv(conn, in, sizeof in), 1);
        must_be(ouro_close(conn), 0);
        close(peer);
    }
    must_be(ouro_listener_close(l), 0);
    must_be(fcntl(fd, F_GETFD), -1); /* it was ours */
    must(plain_connect(&bound) < 0);
    return 0;
}

/* Who waited in it before is taken too, and the options reach those who come after. */
static int inherits_main(void *arg)
{
    struct ouro_listen_options o = {.size = sizeof o,
                                    .socket = {.size = sizeof o.socket, .keepalive = true}};
    enum family f = *(enum family *)arg;
    struct ouro_addr bound;
    int fd = plain_listen(f, 16, &bound), before = plain_connect(&bound), after, value = 0;
    socklen_t len = sizeof value;
    ouro_listener l;
    ouro_conn conn;

    must(before >= 0);
    must_be(ouro_listener_adopt(&l, fd, &o), 0);
    must_be(ouro_accept(l, &conn), 0);
    must_be(ouro_close(conn), 0);
    must((after = plain_connect(&bound)) >= 0);
    must_be(ouro_accept(l, &conn), 0);
    if (f != UNIX) {
        must_be(ouro_getsockopt(conn, SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
        must_be(value, 1);
        must_be(ouro_getsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
        must_be(value, 1);
    }
    must_be(ouro_close(conn), 0);
    close(before);
    close(after);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

/* The file of a Unix socket that somebody else bound is somebody else's. */
static int file_stays_main(void *arg)
{
    struct ouro_addr bound;
    int fd = plain_listen(UNIX, 4, &bound);
    ouro_listener l;

    (void)arg;
    must_be(ouro_listener_adopt(&l, fd, NULL), 0);
    must_be(ouro_listener_close(l), 0);
    must_be(access(bound.un.sun_path, F_OK), 0);
    return 0;
}

static int refuse_main(void *arg)
{
    struct ouro_listen_options bad = {.size = 1};
    struct ouro_addr bound;
    int fd = plain_listen(V4, 4, &bound), plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int pipes[2];
    ouro_listener l = {0};

    (void)arg;
    must_be(pipe2(pipes, O_CLOEXEC), 0);
    must_be(ouro_listener_adopt(&l, -1, NULL), -EBADF);
    must_be(ouro_listener_adopt(&l, pipes[0], NULL), -ENOTSOCK);
    must_be(ouro_listener_adopt(&l, plain, NULL), -EINVAL); /* it does not listen */
    must_be(ouro_listener_adopt(&l, fd, &bad), -EINVAL);
    must_be(l.id, 0);
    must_be(fcntl(fd, F_GETFD), FD_CLOEXEC); /* all of them are still the caller's */
    close(fd);
    close(plain);
    close(pipes[0]);
    close(pipes[1]);
    return 0;
}

static int fds_for(const char *pid, const char *n)
{
    if (pid == NULL)
        unsetenv("LISTEN_PID");
    else
        setenv("LISTEN_PID", pid, 1);
    if (n == NULL)
        unsetenv("LISTEN_FDS");
    else
        setenv("LISTEN_FDS", n, 1);
    return ouro_listen_fds();
}

static void listen_fds(void **state)
{
    char me[32], other[32], trailing[40];

    (void)state;
    snprintf(me, sizeof me, "%d", (int)getpid());
    snprintf(other, sizeof other, "%d", (int)getppid());
    snprintf(trailing, sizeof trailing, "%d x", (int)getpid());
    assert_int_equal(fds_for(NULL, NULL), 0);
    assert_int_equal(fds_for(me, NULL), 0);
    assert_int_equal(fds_for(NULL, "2"), 0);
    assert_int_equal(fds_for(me, "2"), 2);
    assert_int_equal(fds_for(me, "0"), 0);
    assert_int_equal(fds_for(other, "2"), 0);
    assert_int_equal(fds_for(trailing, "2"), 0);
    assert_int_equal(fds_for("", "2"), 0);
    assert_int_equal(fds_for(me, "-1"), 0);
    assert_int_equal(fds_for(me, "2x"), 0);
    assert_int_equal(fds_for(me, ""), 0);
    assert_int_equal(fds_for(me, "99999999999999999999"), 0);
    fds_for(NULL, NULL);
}

/* As a service manager does it: descriptor 3 in a new process. */
static int inherited_main(void *arg)
{
    ouro_listener l;
    ouro_conn conn;

    (void)arg;
    must_be(ouro_listen_fds(), 1);
    must_be(ouro_listener_adopt(&l, 3, NULL), 0);
    must_be(ouro_accept(l, &conn), 0);
    must_be(ouro_send_all(conn, "served", 6), 6);
    must_be(ouro_close(conn), 0);
    must_be(ouro_listener_close(l), 0);
    return 0;
}

static int service(void *arg)
{
    struct ouro_options o = small_options(1);
    char me[32];
    int value = 1;

    snprintf(me, sizeof me, "%d", (int)getpid());
    setenv("LISTEN_PID", me, 1);
    setenv("LISTEN_FDS", "1", 1);
    must_be(dup2(*(int *)arg, 3), 3);
    must_be(ouro_run(&o, inherited_main, NULL, &value), 0);
    return value;
}

static void inherited(void **state)
{
    struct ouro_addr bound;
    int fd, listener, high;
    struct child child;
    char in[8] = {0};

    (void)state;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f)) {
            listener = plain_listen(f, 4, &bound);
            high = fcntl(listener, F_DUPFD_CLOEXEC, 10); /* so that 3 is free for it */
            fd = plain_connect(&bound);
            assert_true(fd >= 0 && high >= 0);
            in_child(&child, service, &high);
            assert_int_equal(child_exit(&child), 0);
            child_free(&child);
            plain_recv(fd, in, 6);
            assert_string_equal(in, "served");
            close(fd);
            close(high);
            close(listener);
        }
}

ON_EACH_FAMILY(adopt)
ON_EACH_FAMILY(inherits)
ON_ONE_SHARD(file_stays)
ON_ONE_SHARD(refuse)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adopt),  cmocka_unit_test(inherits),   cmocka_unit_test(file_stays),
        cmocka_unit_test(refuse), cmocka_unit_test(listen_fds), cmocka_unit_test(inherited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
