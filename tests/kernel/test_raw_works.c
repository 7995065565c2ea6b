/* SPDX-License-Identifier: MIT */
/* Operations that the caller filled in: results and completion flags come through, on ordinary
 * descriptors, connections and files, in fibers and stackless tasks; they are cancelled and waited
 * for like any other; and one that completes more than once is over with its last completion. */
#include "support/net_kernel.h"
#include "support/net_support.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "shard/op.h"

static struct io_uring_sqe poll_of(int fd)
{
    return (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD, .fd = fd, .poll32_events = POLLIN};
}

/* A result of one's choice, from kernels that have it. */
static struct io_uring_sqe nop_with(int result)
{
    return (struct io_uring_sqe){
        .opcode = IORING_OP_NOP, .nop_flags = IORING_NOP_INJECT_RESULT, .len = (unsigned)result};
}

static int results_main(void *arg)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .user_data = 1234}, none = {.opcode = 255};
    uint32_t flags = 99;

    (void)arg;
    must_be(ouro_op_raw(&sqe, &flags), 0);
    must_be(flags & ~IORING_CQE_F_SOCK_NONEMPTY, 0);
    must_be(sqe.user_data, 1234); /* it is the caller's, and copied */
    sqe.flags = IOSQE_ASYNC;
    must_be(ouro_op_raw(&sqe, NULL), 0);
    must_be(ouro_op_raw(&none, NULL), -EINVAL);
    sqe = nop_with(77);
    if (ouro_op_raw(&sqe, NULL) == 77) {
        sqe = nop_with(-EIO);
        must_be(ouro_op_raw(&sqe, NULL), -EIO);
        sqe = nop_with(-ECANCELED);
        must_be(ouro_op_raw(&sqe, NULL), -ECANCELED);
    }
    return 0;
}

/* The start copies: the entry may change at once. */
static int copied_main(void *arg)
{
    struct io_uring_sqe sqe;
    struct ouro_op_raw r;
    char out[4] = {0};
    int fd[2];

    (void)arg;
    must_be(pipe2(fd, O_CLOEXEC), 0);
    sqe = (struct io_uring_sqe){.opcode = IORING_OP_READ,
                                .fd = fd[0],
                                .addr = (uintptr_t)out,
                                .len = sizeof out,
                                .off = (uint64_t)-1};
    ouro_op_raw_start(&r, &sqe);
    memset(&sqe, 0xff, sizeof sqe);
    turns(3);
    must(!ouro_done(&r.op.future));
    must_be(write(fd[1], "abc", 3), 3);
    must_be(ouro_await(&r.op.future), 3);
    must(memcmp(out, "abc", 4) == 0);
    close(fd[0]);
    close(fd[1]);
    return 0;
}

/* The completion's flags tell a receive that more is there. */
static int connection_main(void *arg)
{
    char in[4], out[] = "12345678";
    struct io_uring_sqe sending = {.opcode = IORING_OP_SEND,
                                   .fd = -1,
                                   .addr = (uintptr_t)out,
                                   .len = 8,
                                   .msg_flags = MSG_NOSIGNAL};
    struct io_uring_sqe receiving = {
        .opcode = IORING_OP_RECV, .fd = 12345, .addr = (uintptr_t)in, .len = sizeof in};
    uint32_t flags = 0;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    must_be(ouro_op_raw_conn(p.near, &sending, NULL), 8);
    must_be(ouro_op_raw_conn(p.far, &receiving, &flags), 4);
    must(memcmp(in, "1234", 4) == 0);
    must((flags & IORING_CQE_F_SOCK_NONEMPTY) != 0);
    must_be(ouro_op_raw_conn(p.far, &receiving, &flags), 4);
    must(memcmp(in, "5678", 4) == 0);
    pair_close(&p);
    return 0;
}

static int file_main(void *arg)
{
    struct io_uring_sqe writing = {
        .opcode = IORING_OP_WRITE, .addr = (uintptr_t) "hello", .len = 5, .off = 10};
    struct io_uring_sqe sync = {.opcode = IORING_OP_FSYNC};
    const char *path = temp_path("raw");
    struct stat st;
    ouro_file f;

    (void)arg;
    must_be(ouro_open(&f, path, O_RDWR | O_CREAT, 0600), 0);
    must_be(ouro_op_raw_file(f, &writing, NULL), 5);
    must_be(ouro_op_raw_file(f, &sync, NULL), 0);
    must_be(stat(path, &st), 0);
    must_be(st.st_size, 15);
    must_be(ouro_file_close(f), 0);
    return 0;
}

/* Closing the handle ends what is in flight on it. */
static int closed_main(void *arg)
{
    struct io_uring_sqe sqe = poll_of(-1);
    struct ouro_op_raw r;
    struct pair p;

    pair_open(&p, *(enum family *)arg);
    ouro_op_raw_conn_start(&r, p.near, &sqe);
    turns(3);
    must(!ouro_done(&r.op.future));
    must_be(ouro_close(p.near), 0);
    must_be(ouro_await(&r.op.future), -ECANCELED);
    must_be(ouro_close(p.far), 0);
    return 0;
}

/* --- cancelling ------------------------------------------------------------------------------- */

static int quiet[2];

static struct ouro_future *poll_start(void *arg)
{
    struct io_uring_sqe sqe = poll_of(quiet[0]);
    struct ouro_op_raw *r = arg;

    ouro_op_raw_start(r, &sqe);
    return &r->op.future;
}

static int cancel_main(void *arg)
{
    (void)arg;
    must_be(pipe2(quiet, O_CLOEXEC), 0);
    for (enum style style = 0; style < STYLES; style++) {
        static struct ouro_op_raw r;
        static struct waiter w;

        w = (struct waiter){.start = poll_start, .arg = &r, .deadline_ns = ouro_after_ns(20 * MS)};
        waiter_spawn(&w, style, NULL);
        until(w.ended);
        must_be(w.result, -ETIMEDOUT);
        w = (struct waiter){.start = poll_start, .arg = &r};
        waiter_spawn(&w, style, NULL);
        until(w.started);
        turns(2);
        waiter_cancel(&w);
        until(w.ended);
        must_be(w.result, -ECANCELED);
        must(ouro_done(&r.op.future));
    }
    close(quiet[0]);
    close(quiet[1]);
    return 0;
}

/* Leaving the block waits for the kernel, which may write until then. */
static int leave_main(void *arg)
{
    int fd[2];

    (void)arg;
    must_be(pipe2(fd, O_CLOEXEC), 0);
    {
        char in[64];
        struct io_uring_sqe sqe = {.opcode = IORING_OP_READ,
                                   .fd = fd[0],
                                   .addr = (uintptr_t)in,
                                   .len = sizeof in,
                                   .off = (uint64_t)-1};
        OURO_OP(struct ouro_op_raw, r);

        ouro_op_raw_start(&r, &sqe);
        turns(2);
        must(!ouro_done(&r.op.future));
    }
    must_be(write(fd[1], "late", 4), 4);
    turns(3);
    {
        char in[8];

        must_be(read(fd[0], in, sizeof in), 4); /* nobody has read it */
    }
    close(fd[0]);
    close(fd[1]);
    return 0;
}

/* --- more than one completion ----------------------------------------------------------------- */

/* Posts a completion for `r` into the shard's own ring. The result of the posting. */
static int post(struct ouro_op_raw *r, int result, unsigned flags)
{
    struct ouro_op op;
    struct io_uring_sqe *sqe = op_begin(shard_self, &op, IORING_OP_MSG_RING, NULL);

    must(sqe != NULL);
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_MSG_RING,
                                 .fd = shard_self->ring.u.ring_fd,
                                 .off = op_user_data(&r->op, TAG_RAW),
                                 .len = (unsigned)result,
                                 .file_index = flags,
                                 .msg_ring_flags = IORING_MSG_RING_FLAGS_PASS};
    op_go(&op, sqe, NULL, TAG_OP);
    return ouro_await(&op.future);
}

static int more_main(void *arg)
{
    struct io_uring_sqe sqe;
    struct ouro_op_raw r;
    int fd[2], posted;

    (void)arg;
    must_be(pipe2(fd, O_CLOEXEC), 0);
    sqe = poll_of(fd[0]);
    ouro_op_raw_start(&r, &sqe);
    turns(2);
    posted = post(&r, 5, IORING_CQE_F_MORE);
    if (posted < 0) { /* a kernel without it */
        ouro_cancel(&r.op.future);
        must_be(ouro_await(&r.op.future), -ECANCELED);
    } else {
        turns(1);
        must(r.op.future.state != OURO_PENDING); /* somebody asked for its end */
        must_be(ouro_await(&r.op.future), 5);
        must_be(r.cqe_flags, IORING_CQE_F_MORE);
    }
    must_be(write(fd[1], "x", 1), 1);
    turns(3); /* the poll is over: nobody completes again */
    close(fd[0]);
    close(fd[1]);
    return posted < 0 ? 77 : 0;
}

/* The same while it is being cancelled: the first result is hidden by nothing. */
static int more_and_cancelled_main(void *arg)
{
    struct io_uring_sqe sqe;
    struct ouro_op_raw r;
    int fd[2], posted;

    (void)arg;
    must_be(pipe2(fd, O_CLOEXEC), 0);
    sqe = poll_of(fd[0]);
    ouro_op_raw_start(&r, &sqe);
    turns(2);
    posted = post(&r, 6, IORING_CQE_F_MORE);
    ouro_cancel(&r.op.future);
    must_be(ouro_await(&r.op.future), posted < 0 ? -ECANCELED : 6);
    close(fd[0]);
    close(fd[1]);
    return 0;
}

/* What is wrong with an entry's pointers is the kernel's to say, with and without a sanitizer. */
static int bad_pointers_main(void *arg)
{
    static const uint8_t opcodes[] = {IORING_OP_SENDMSG, IORING_OP_RECVMSG, IORING_OP_READV,
                                      IORING_OP_WRITEV};
    int fd[2];

    (void)arg;
    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    for (size_t i = 0; i < sizeof opcodes; i++) {
        struct io_uring_sqe sqe = {.opcode = opcodes[i], .fd = fd[0], .len = 1};

        must_be(ouro_op_raw(&sqe, NULL), -EFAULT);
    }
    close(fd[0]);
    close(fd[1]);
    return 0;
}

ON_ONE_SHARD(results)
ON_ONE_SHARD(bad_pointers)
ON_ONE_SHARD(copied)
ON_EACH_FAMILY(connection)
ON_ONE_SHARD(file)
ON_EACH_FAMILY(closed)
ON_ONE_SHARD(cancel)
ON_ONE_SHARD(leave)
ON_ONE_SHARD(more_and_cancelled)

static void more(void **state)
{
    (void)state;
    if (run_on(1, more_main, NULL) == 77)
        skip();
}

/* The handles are of ordinary descriptors. */
static void ordinary(void **state)
{
    kernel_default = &kernel_without_direct;
    connection(state);
    file(state);
    closed(state);
    kernel_default = &kernel_linux;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results),
        cmocka_unit_test(copied),
        cmocka_unit_test(connection),
        cmocka_unit_test(file),
        cmocka_unit_test(closed),
        cmocka_unit_test(cancel),
        cmocka_unit_test(leave),
        cmocka_unit_test(more),
        cmocka_unit_test(more_and_cancelled),
        cmocka_unit_test(ordinary),
        cmocka_unit_test(bad_pointers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
