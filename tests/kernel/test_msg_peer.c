/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a Unix socket: its pid, user and group, as they were when it
 * connected, and a descriptor of the process. Other sockets have no such peer, and say so. */
#include "support/net_support.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int own_main(void *arg)
{
    struct ouro_credentials c = {0};
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    for (int i = 0; i < 2; i++) {
        memset(&c, 0xff, sizeof c);
        must_be(ouro_peer_credentials(i == 0 ? p.near : p.far, &c), 0);
        must_be(c.pid, getpid());
        must_be(c.uid, geteuid());
        must_be(c.gid, getegid());
    }
    pair_close(&p);
    return 0;
}

/* A child that connects when it is told where, and waits for the end of the stream. It is made
 * before the runtime: a fiber's stack has no copy in a child. */
static struct {
    pid_t pid;
    int tell;
} peer;

static void connect_and_wait(int where)
{
    struct ouro_addr to;
    char byte;
    int fd;

    if (read(where, &to, sizeof to) != sizeof to)
        _exit(1);
    fd = socket(ouro_addr_family(&to), SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, &to.sa, to.len) != 0)
        _exit(2);
    (void)!read(fd, &byte, 1);
    _exit(0);
}

static void peer_make(void)
{
    int where[2];

    must_be(pipe2(where, O_CLOEXEC), 0);
    peer.pid = fork();
    if (peer.pid == 0)
        connect_and_wait(where[0]);
    must(peer.pid > 0);
    close(where[0]);
    peer.tell = where[1];
}

static ouro_conn peer_accept(void)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(UNIX, &bound);
    ouro_conn conn;

    must_be(write(peer.tell, &bound, sizeof bound), sizeof bound);
    must_be(ouro_accept(l, &conn), 0);
    must_be(ouro_listener_close(l), 0);
    return conn;
}

static int child_main(void *arg)
{
    ouro_conn conn = peer_accept();
    struct ouro_credentials c;
    int fd, status;

    (void)arg;
    must_be(ouro_peer_credentials(conn, &c), 0);
    must_be(c.pid, peer.pid);
    must_be(c.uid, geteuid());
    fd = ouro_peer_pidfd(conn);
    if (fd != -EOPNOTSUPP) {
        must(fd >= 0);
        must_be(fcntl(fd, F_GETFD), FD_CLOEXEC);
        must_be(ouro_shutdown(conn, SHUT_RDWR), 0);
        must_be(ouro_poll(fd, POLLIN), POLLIN); /* it has ended */
    }
    must_be(ouro_close(conn), 0);
    must_be(waitpid(peer.pid, &status, 0), peer.pid);
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (fd >= 0)
        close(fd);
    return fd == -EOPNOTSUPP ? 77 : 0;
}

/* The process has ended and been waited for: its credentials stay what they were. */
static int gone_main(void *arg)
{
    ouro_conn conn = peer_accept();
    struct ouro_credentials c;
    int fd;

    (void)arg;
    must_be(kill(peer.pid, SIGKILL), 0);
    must_be(waitpid(peer.pid, NULL, 0), peer.pid);
    must_be(ouro_peer_credentials(conn, &c), 0);
    must_be(c.uid, geteuid());
    fd = ouro_peer_pidfd(conn);
    must(fd >= 0 || fd == -ESRCH || fd == -EOPNOTSUPP);
    if (fd >= 0)
        close(fd);
    must_be(ouro_close(conn), 0);
    return 0;
}

static int internet_main(void *arg)
{
    struct ouro_credentials c = {.pid = 5};
    unsigned before;
    struct pair p;
    int fd;

    (void)arg;
    pair_open(&p, V4);
    before = open_descriptors();
    must_be(ouro_peer_credentials(p.near, &c), -EOPNOTSUPP);
    must_be(c.pid, 5);
    fd = ouro_peer_pidfd(p.near);
    must(fd == -ENODATA || fd == -EOPNOTSUPP);
    must_be(open_descriptors(), before);
    pair_close(&p);
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_credentials c;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    must_be(ouro_peer_credentials(p.near, NULL), -EINVAL);
    pair_close(&p);
    must_be(ouro_peer_credentials(p.near, &c), -EBADF);
    must_be(ouro_peer_pidfd(p.near), -EBADF);
    p.near.id ^= UINT64_C(1) << 24;
    must_be(ouro_peer_credentials(p.near, &c), -OURO_EOTHERSHARD);
    must_be(ouro_peer_pidfd(p.near), -OURO_EOTHERSHARD);
    return 0;
}

static void off_a_shard(void **state)
{
    struct ouro_credentials c;

    (void)state;
    assert_int_equal(ouro_peer_credentials((ouro_conn){1}, &c), -OURO_ENOSHARD);
    assert_int_equal(ouro_peer_pidfd((ouro_conn){1}), -OURO_ENOSHARD);
}

ON_ONE_SHARD(own)
ON_ONE_SHARD(internet)
ON_ONE_SHARD(refused)

static void child(void **state)
{
    int result;

    (void)state;
    peer_make();
    result = run_on(1, child_main, NULL);
    close(peer.tell);
    if (result == 77)
        skip();
}

static void gone(void **state)
{
    (void)state;
    peer_make();
    assert_int_equal(run_on(1, gone_main, NULL), 0);
    close(peer.tell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own),      cmocka_unit_test(child),   cmocka_unit_test(gone),
        cmocka_unit_test(internet), cmocka_unit_test(refused), cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
