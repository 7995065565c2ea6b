/* SPDX-License-Identifier: MIT */
/* Descriptors are passed over Unix sockets: all of a message's arrive, close-on-exec, or none does
 * and none is left open; a connection can be passed and adopted at the other end. Descriptors are
 * counted throughout. */
#include "support/net_kernel.h"
#include "support/net_support.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char in[64];

/* n copies of one descriptor. */
static void copies(int *fds, size_t n, int fd)
{
    for (size_t i = 0; i < n; i++)
        fds[i] = fd;
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        must_be(close(fds[i]), 0);
}

/* Over a pair of pipes' ends: what is written to one received is read from the other. */
static int works_main(void *arg)
{
    int fd[2], got[4] = {-1, -1, -1, -1};
    size_t n = 4;
    unsigned before;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    before = open_descriptors();
    must_be(pipe(fd), 0);
    must_be(ouro_send_fds(p.near, "abc", 3, fd, 2), 3);
    must_be(ouro_recv_fds(p.far, in, sizeof in, got, &n), 3);
    must(memcmp(in, "abc", 3) == 0);
    must_be(n, 2);
    must_be(open_descriptors(), before + 4);
    must_be(got[2], -1);
    for (int i = 0; i < 2; i++)
        must_be(fcntl(got[i], F_GETFD), FD_CLOEXEC);
    must_be(write(got[1], "through", 7), 7);
    must_be(read(fd[0], in, sizeof in), 7);
    close_all(fd, 2);
    close_all(got, 2);
    must_be(open_descriptors(), before);
    pair_close(&p);
    return 0;
}

/* None sent, none received; and bytes alone. */
static int none_main(void *arg)
{
    int got[2];
    size_t n = 2;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_send_fds(p.near, "a", 1, NULL, 0), 1);
    must_be(ouro_recv_fds(p.far, in, sizeof in, got, &n), 1);
    must_be(n, 0);
    must_be(ouro_send(p.near, "b", 1), 1);
    must_be(ouro_recv_fds(p.far, in, sizeof in, NULL, NULL), 1);
    must_be(ouro_shutdown(p.near, SHUT_WR), 0);
    n = 2;
    must_be(ouro_recv_fds(p.far, in, sizeof in, got, &n), 0);
    must_be(n, 0);
    pair_close(&p);
    return 0;
}

static int most_main(void *arg)
{
    static int fds[OURO_FDS_MAX], got[OURO_FDS_MAX];
    size_t n = OURO_FDS_MAX;
    unsigned before;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    before = open_descriptors();
    copies(fds, OURO_FDS_MAX, 1);
    must_be(ouro_send_fds(p.near, "x", 1, fds, OURO_FDS_MAX), 1);
    must_be(ouro_recv_fds(p.far, in, sizeof in, got, &n), 1);
    must_be(n, OURO_FDS_MAX);
    must_be(open_descriptors(), before + OURO_FDS_MAX);
    close_all(got, n);
    pair_close(&p);
    return 0;
}

/* More than there is room for: told, with the bytes, and none stays open, sender's or receiver's.
 */
static int surplus_main(void *arg)
{
    int fds[7] = {0}, got[7];
    unsigned before;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    before = open_descriptors();
    for (size_t room = 0; room < 7; room++) {
        struct ouro_recv_fds r;

        must_be(ouro_send_fds(p.near, "four", 4, fds, 7), 4);
        ouro_recv_fds_start(&r, p.far, in, sizeof in, got, room);
        must_be(ouro_await(&r.op.future), -EMSGSIZE);
        must_be(r.n, 0);
        must_be(r.received, 4);
        must(memcmp(in, "four", 4) == 0);
        must_be(open_descriptors(), before);
    }
    must_be(ouro_send_fds(p.near, "x", 1, fds, 1), 1);
    must_be(ouro_recv_fds(p.far, in, sizeof in, NULL, NULL), -EMSGSIZE);
    must_be(open_descriptors(), before);
    must_be(ouro_send(p.near, "on", 2), 2); /* the stream goes on */
    must_be(ouro_recv(p.far, in, sizeof in), 2);
    pair_close(&p);
    return 0;
}

/* The kernel hands out as many as the limit of open files allows: all or none here too. */
static int limit_main(void *arg)
{
    int fds[8] = {0}, got[8];
    size_t n = 8;
    unsigned before;
    struct rlimit old, low;
    struct pair p;
    int next;

    (void)arg;
    pair_open(&p, UNIX);
    turns(5);
    before = open_descriptors();
    must_be(ouro_send_fds(p.near, "x", 1, fds, 8), 1);
    next = dup(0);
    close(next);
    must_be(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)next + 3;
    must_be(setrlimit(RLIMIT_NOFILE, &low), 0);
    must_be(ouro_recv_fds(p.far, in, sizeof in, got, &n), -EMSGSIZE);
    must_be(setrlimit(RLIMIT_NOFILE, &old), 0);
    must_be(n, 0);
    must_be(open_descriptors(), before);
    pair_close(&p);
    return 0;
}

/* Credentials that the socket was told to receive come beside them, and are not taken for them. */
static int credentials_main(void *arg)
{
    int fds[3] = {0, 1, 2}, got[3], yes = 1;
    size_t n = 3;
    unsigned before;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    before = open_descriptors();
    must_be(ouro_setsockopt(p.far, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes), 0);
    /* SO_PASSPIDFD: a descriptor that nobody asked this call for */
    (void)ouro_setsockopt(p.far, SOL_SOCKET, 76, &yes, sizeof yes);
    must_be(ouro_send_fds(p.near, "x", 1, fds, 3), 1);
    must_be(ouro_recv_fds(p.far, in, sizeof in, got, &n), 1);
    must_be(n, 3);
    must_be(open_descriptors(), before + 3);
    close_all(got, 3);
    pair_close(&p);
    return 0;
}

static int refused_main(void *arg)
{
    static int fds[OURO_FDS_MAX + 1];
    int bad = 1 << 20;
    size_t n = 1;
    unsigned before;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    before = open_descriptors();
    must_be(ouro_send_fds(p.near, "x", 1, fds, OURO_FDS_MAX + 1), -EINVAL);
    must_be(ouro_send_fds(p.near, "x", 1, NULL, 1), -EINVAL);
    must_be(ouro_send_fds(p.near, "x", 0, fds, 1), -EINVAL);
    must_be(ouro_send_fds(p.near, NULL, 1, fds, 1), -EINVAL);
    must_be(ouro_send_fds(p.near, "x", SIZE_MAX, fds, 1), -EINVAL);
    must_be(ouro_send_fds(p.near, "x", 1, &bad, 1), -EBADF);
    must_be(ouro_send_fds((ouro_conn){0}, "x", 1, fds, 1), -EBADF);
    must_be(ouro_recv_fds(p.far, NULL, 1, fds, &n), -EINVAL);
    must_be(n, 0);
    n = 1;
    must_be(ouro_recv_fds(p.far, in, 0, fds, &n), -EINVAL);
    n = 1;
    must_be(ouro_recv_fds(p.far, in, SIZE_MAX, fds, &n), -EINVAL);
    n = 1;
    must_be(ouro_recv_fds(p.far, in, 1, NULL, &n), -EINVAL);
    n = 1;
    must_be(ouro_recv_fds((ouro_conn){0}, in, 1, fds, &n), -EBADF);
    must_be(n, 0);
    n = 1;
    must_be(ouro_recv_fds((ouro_conn){p.far.id ^ UINT64_C(1) << 24}, in, 1, fds, &n),
            -OURO_EOTHERSHARD);
    must_be(open_descriptors(), before);
    must_be(ouro_close(p.far), 0);
    until(ouro_send_fds(p.near, "x", 1, fds, 1) == -EPIPE);
    must_be(ouro_close(p.near), 0);
    return 0;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static struct pair ends;
static int got_fds[2];

static struct ouro_future *receive_start(void *arg)
{
    struct ouro_recv_fds *r = arg;

    ouro_recv_fds_start(r, ends.far, in, sizeof in, got_fds, 2);
    return &r->op.future;
}

static int waiting_main(void *arg)
{
    static struct ouro_recv_fds r;
    static struct waiter w;
    int out[2] = {0, 1};
    unsigned before;

    (void)arg;
    pair_open(&ends, UNIX);
    before = open_descriptors();
    for (enum style style = 0; style < STYLES; style++) {
        w = (struct waiter){
            .start = receive_start, .arg = &r, .deadline_ns = ouro_after_ns(20 * MS)};
        waiter_spawn(&w, style, NULL);
        until(w.ended);
        must_be(w.result, -ETIMEDOUT);
        must_be(r.n, 0);
        w = (struct waiter){.start = receive_start, .arg = &r};
        waiter_spawn(&w, style, NULL);
        until(w.started);
        turns(2);
        waiter_cancel(&w);
        until(w.ended);
        must_be(w.result, -ECANCELED);
        w = (struct waiter){.start = receive_start, .arg = &r};
        waiter_spawn(&w, style, NULL);
        until(w.started);
        must_be(ouro_send_fds(ends.near, "now", 3, out, 2), 3);
        until(w.ended);
        must_be(w.result, 3);
        must_be(r.n, 2);
        close_all(got_fds, 2);
        must_be(open_descriptors(), before);
    }
    pair_close(&ends);
    return 0;
}

/* Cancelled while a message is on its way: it comes now, with its descriptors, or the next time. */
static int race_main(void *arg)
{
    unsigned now = 0, before, rounds = slow_build() ? 100 : 500;
    int out[2] = {0, 1};
    size_t n;

    (void)arg;
    pair_open(&ends, UNIX);
    before = open_descriptors();
    for (unsigned i = 0; i < rounds; i++) {
        struct ouro_recv_fds r;
        struct ouro_send_fds s;
        int result;

        ouro_recv_fds_start(&r, ends.far, in, sizeof in, got_fds, 2);
        turns(i % 3);
        ouro_send_fds_start(&s, ends.near, "x", 1, out, 2);
        turns(i / 3 % 3);
        ouro_cancel(&r.op.future);
        result = ouro_await(&r.op.future);
        must_be(ouro_await(&s.msg.op.future), 1);
        must(result == 1 || result == -ECANCELED);
        must_be(r.n, result == 1 ? 2 : 0);
        now += result == 1;
        n = 2;
        if (result != 1) {
            must_be(ouro_recv_fds(ends.far, in, sizeof in, got_fds, &n), 1);
            must_be(n, 2);
        }
        close_all(got_fds, 2);
        must_be(open_descriptors(), before);
    }
    printf("%u of %u came before their cancellation\n", now, rounds);
    pair_close(&ends);
    return 0;
}

/* A sender with descriptors that blocks is cancelled; what it had to pass goes with it. */
static int blocked_main(void *arg)
{
    struct ouro_send_fds s;
    unsigned before;
    int out = 0;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    before = open_descriptors();
    clog_up(p.near);
    ouro_send_fds_start(&s, p.near, "x", 1, &out, 1);
    turns(3);
    must(!ouro_done(&s.msg.op.future));
    ouro_cancel(&s.msg.op.future);
    must_be(ouro_await(&s.msg.op.future), -ECANCELED);
    must_be(open_descriptors(), before);
    pair_close(&p);
    return 0;
}

/* A sender that had to wait passes what it was given before. */
static int delayed_main(void *arg)
{
    static char much[65536];
    struct ouro_send_fds s;
    int out[3] = {0, 1, 2}, got[3];
    size_t n = 0, left;
    ssize_t received = 0;
    unsigned before;
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    before = open_descriptors();
    left = clog_up(p.near);
    ouro_send_fds_start(&s, p.near, "x", 1, out, 3);
    turns(3);
    must(!ouro_done(&s.msg.op.future));
    for (left++; left != 0; left -= (size_t)received) {
        must_be(n, 0); /* they come with the last byte */
        n = 3;
        received = ouro_recv_fds(p.far, much, sizeof much, got, &n);
        must(received > 0);
    }
    must_be(ouro_await(&s.msg.op.future), 1);
    must_be(n, 3);
    must_be(much[received - 1], 'x');
    must_be(open_descriptors(), before + 3);
    close_all(got, 3);
    pair_close(&p);
    return 0;
}

/* --- connections ------------------------------------------------------------------------------ */

static int duplicate_main(void *arg)
{
    unsigned before;
    struct pair p;
    int fd;

    pair_open(&p, *(enum family *)arg);
    before = open_descriptors();
    fd = ouro_conn_dup(p.near);
    must(fd >= 0);
    must_be(fcntl(fd, F_GETFD), FD_CLOEXEC);
    plain_send(fd, "one", 3);
    must_be(ouro_recv(p.far, in, sizeof in), 3);
    must_be(ouro_send(p.near, "two", 3), 3); /* the handle is as it was */
    must_be(ouro_recv(p.far, in, sizeof in), 3);
    close(fd);
    must_be(open_descriptors(), before);
    must_be(ouro_send(p.near, "three", 5), 5);
    must_be(ouro_recv(p.far, in, sizeof in), 5);
    pair_close(&p);
    must_be(ouro_conn_dup(p.near), -EBADF);
    must_be(ouro_conn_dup((ouro_conn){p.near.id ^ UINT64_C(1) << 24}), -OURO_EOTHERSHARD);
    return 0;
}

/* A connection goes over another one and lives on at the other end. */
static int pass_main(void *arg)
{
    struct pair over, p;
    ouro_conn adopted;
    int fd, got;
    size_t n = 1;

    pair_open(&over, UNIX);
    pair_open(&p, *(enum family *)arg);
    fd = ouro_conn_dup(p.near);
    must(fd >= 0);
    must_be(ouro_send_fds(over.near, "c", 1, &fd, 1), 1);
    close(fd);
    must_be(ouro_close(p.near), 0);
    must_be(ouro_recv_fds(over.far, in, sizeof in, &got, &n), 1);
    must_be(n, 1);
    must_be(ouro_conn_adopt(&adopted, got), 0);
    must_be(ouro_send(adopted, "hello", 5), 5);
    must_be(ouro_recv(p.far, in, sizeof in), 5);
    must_be(ouro_send(p.far, "there", 5), 5);
    must_be(ouro_recv(adopted, in, sizeof in), 5);
    must_be(ouro_close(adopted), 0);
    must_be(ouro_recv(p.far, in, sizeof in), 0); /* that was its last descriptor */
    must_be(ouro_close(p.far), 0);
    pair_close(&over);
    return 0;
}

ON_ONE_SHARD(works)
ON_EACH_FAMILY(none)
ON_ONE_SHARD(most)
ON_ONE_SHARD(surplus)
ON_ONE_SHARD(limit)
ON_ONE_SHARD(credentials)
ON_ONE_SHARD(refused)
ON_ONE_SHARD(waiting)
ON_ONE_SHARD(race)
ON_ONE_SHARD(blocked)
ON_ONE_SHARD(delayed)
ON_EACH_FAMILY(duplicate)
ON_EACH_FAMILY(pass)

static void ordinary(void **state)
{
    kernel_default = &kernel_without_direct;
    works(state);
    duplicate(state);
    pass(state);
    kernel_default = &kernel_linux;
}

static void off_a_shard(void **state)
{
    int fd = 0;
    size_t n = 1;

    (void)state;
    assert_int_equal(ouro_send_fds((ouro_conn){1}, "x", 1, &fd, 1), -OURO_ENOSHARD);
    assert_int_equal(ouro_recv_fds((ouro_conn){1}, in, 1, &fd, &n), -OURO_ENOSHARD);
    assert_int_equal(n, 0);
    assert_int_equal(ouro_conn_dup((ouro_conn){1}), -OURO_ENOSHARD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works),   cmocka_unit_test(none),     cmocka_unit_test(most),
        cmocka_unit_test(surplus), cmocka_unit_test(limit),    cmocka_unit_test(credentials),
        cmocka_unit_test(refused), cmocka_unit_test(waiting),  cmocka_unit_test(race),
        cmocka_unit_test(blocked), cmocka_unit_test(delayed),  cmocka_unit_test(duplicate),
        cmocka_unit_test(pass),    cmocka_unit_test(ordinary), cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
