/* SPDX-License-Identifier: MIT */
/* Messages go out and come in as the msghdr says: parts, control data, flags. Wrong ones are
 * refused before the kernel sees them; a receive that waits is cancelled like any other. */
#include "support/net_support.h"

#include <fcntl.h>
#include <limits.h>

static char in[64], x[] = "x", ab[] = "ab", cdef[] = "cdef";

/* A control buffer with one descriptor. */
struct passed {
    char bytes[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
};

static struct msghdr message(struct iovec *iov, size_t n, void *control, size_t len)
{
    return (struct msghdr){
        .msg_iov = iov, .msg_iovlen = n, .msg_control = control, .msg_controllen = len};
}

static void put(struct msghdr *h, int fd)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(h);

    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

static int parts_main(void *arg)
{
    char a[3], b[8];
    struct iovec out[2] = {{ab, 2}, {cdef, 4}}, parts[2] = {{a, 3}, {b, 8}};
    struct msghdr m = message(out, 2, NULL, 0);
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_sendmsg(p.near, &m, 0), 6);
    m = message(parts, 2, NULL, 0);
    must_be(ouro_recvmsg(p.far, &m, MSG_PEEK), 6);
    must_be(ouro_recvmsg(p.far, &m, 0), 6);
    must(memcmp(a, "abc", 3) == 0 && memcmp(b, "def", 3) == 0);
    must_be(ouro_recvmsg(p.far, &m, MSG_DONTWAIT), -EAGAIN);
    must_be(ouro_shutdown(p.near, SHUT_WR), 0);
    must_be(ouro_recvmsg(p.far, &m, 0), 0);
    pair_close(&p);
    return 0;
}

/* The lengths and flags that the kernel writes come back; descriptors are close-on-exec. */
static int control_main(void *arg)
{
    struct iovec part = {x, 1}, into = {in, sizeof in};
    struct passed out, got;
    struct msghdr m;
    unsigned before;
    struct pair p;
    int fd;

    (void)arg;
    pair_open(&p, UNIX);
    before = open_descriptors();
    m = message(&part, 1, out.bytes, sizeof out.bytes);
    put(&m, 1);
    must_be(ouro_sendmsg(p.near, &m, 0), 1);
    m = message(&into, 1, got.bytes, sizeof got.bytes);
    must_be(ouro_recvmsg(p.far, &m, 0), 1);
    must_be(m.msg_controllen, CMSG_SPACE(sizeof fd));
    must_be(m.msg_flags & MSG_CTRUNC, 0);
    must_be(CMSG_FIRSTHDR(&m)->cmsg_type, SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    must_be(fcntl(fd, F_GETFD), FD_CLOEXEC);
    must_be(open_descriptors(), before + 1);
    close(fd);

    m = message(&part, 1, out.bytes, sizeof out.bytes);
    put(&m, 1);
    must_be(ouro_sendmsg(p.near, &m, 0), 1);
    m = message(&into, 1, NULL, 0);
    must_be(ouro_recvmsg(p.far, &m, 0), 1);
    must_be(m.msg_controllen, 0);
    must(m.msg_flags & MSG_CTRUNC);
    must_be(open_descriptors(), before);
    pair_close(&p);
    return 0;
}

/* Both styles of starting; the struct's header has what was written. */
static int started_main(void *arg)
{
    struct iovec part = {x, 1}, into = {in, sizeof in};
    struct msghdr m = message(&into, 1, NULL, 0);
    struct ouro_msg r, s;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    ouro_recvmsg_start(&r, p.far, &m, 0);
    turns(2);
    must(!ouro_done(&r.op.future));
    m = message(&part, 1, NULL, 0);
    ouro_sendmsg_start(&s, p.near, &m, 0);
    must_be(ouro_await(&s.op.future), 1);
    must_be(ouro_await(&r.op.future), 1);
    must_be(r.header.msg_flags & MSG_TRUNC, 0);
    pair_close(&p);
    return 0;
}

static void both_refused(ouro_conn conn, const struct msghdr *m, int flags, int error)
{
    struct ouro_msg r, s;

    ouro_recvmsg_start(&r, conn, m, flags);
    ouro_sendmsg_start(&s, conn, m, flags);
    must(ouro_done(&r.op.future) && ouro_done(&s.op.future));
    must_be(ouro_result(&r.op.future), error);
    must_be(ouro_result(&s.op.future), error);
}

static int refused_main(void *arg)
{
    struct iovec part = {in, 1};
    struct passed control;
    struct msghdr m = message(&part, IOV_MAX + 1, NULL, 0);
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    both_refused(p.near, NULL, 0, -EINVAL);
    both_refused(p.near, &m, 0, -EINVAL);
    m = message(NULL, 1, NULL, 0);
    both_refused(p.near, &m, 0, -EINVAL);
    m = message(&part, 1, NULL, 8);
    both_refused(p.near, &m, 0, -EINVAL);
    m = message(&part, 1, control.bytes, sizeof control.bytes);
    both_refused(p.near, &m, MSG_WAITALL, -EINVAL);
    m = message(&part, 1, NULL, 0);
    both_refused((ouro_conn){0}, &m, 0, -EBADF);
    both_refused((ouro_conn){p.near.id ^ UINT64_C(1) << 24}, &m, 0, -OURO_EOTHERSHARD);
    /* The kernel's own. */
    m = message(&part, 1, (void *)(uintptr_t)8, 64);
    must_be(ouro_sendmsg(p.near, &m, 0), -EFAULT);
    part.iov_base = (void *)(uintptr_t)8;
    m = message(&part, 1, NULL, 0);
    must_be(ouro_sendmsg(p.near, &m, 0), -EFAULT);
    must_be(ouro_close(p.far), 0);
    part.iov_base = in;
    until(ouro_sendmsg(p.near, &m, 0) == -EPIPE); /* and no signal */
    must_be(ouro_close(p.near), 0);
    return 0;
}

/* Leaving the block waits until the kernel can write no more. */
static int cancelled_main(void *arg)
{
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    {
        char here[32];
        struct iovec into = {here, sizeof here};
        struct passed got;
        struct msghdr m = message(&into, 1, got.bytes, sizeof got.bytes);
        OURO_OP(struct ouro_msg, r);

        ouro_recvmsg_start(&r, p.far, &m, 0);
        turns(2);
        must(!ouro_done(&r.op.future));
    }
    {
        struct iovec into = {in, sizeof in};
        struct msghdr m = message(&into, 1, NULL, 0);
        struct ouro_msg r;

        ouro_recvmsg_start(&r, p.far, &m, 0);
        must_be(ouro_await_for(&r.op.future, 10 * MS), -ETIMEDOUT);
    }
    must_be(ouro_send(p.near, "kept", 4), 4);
    must_be(ouro_recv(p.far, in, sizeof in), 4);
    pair_close(&p);
    return 0;
}

static void off_a_shard(void **state)
{
    struct iovec part = {in, 1};
    struct msghdr m = message(&part, 1, NULL, 0);

    (void)state;
    assert_int_equal(ouro_sendmsg((ouro_conn){1}, &m, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_recvmsg((ouro_conn){1}, &m, 0), -OURO_ENOSHARD);
}

ON_EACH_FAMILY(parts)
ON_ONE_SHARD(control)
ON_EACH_FAMILY(started)
ON_ONE_SHARD(refused)
ON_EACH_FAMILY(cancelled)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),   cmocka_unit_test(control),   cmocka_unit_test(started),
        cmocka_unit_test(refused), cmocka_unit_test(cancelled), cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
