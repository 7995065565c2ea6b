/* SPDX-License-Identifier: MIT */
/* What a raw operation is refused for before anything reaches the kernel: flags and opcodes that
 * involve others, completions that come twice, entries of the direct table, bad handles, threads
 * that are no shard, tasks that are cancelled. */
#include "support/net_kernel.h"
#include "support/net_support.h"

#include <fcntl.h>

static void refused_as(const struct io_uring_sqe *sqe, int error)
{
    struct ouro_op_raw r;

    memset(&r, 0xff, sizeof r);
    ouro_op_raw_start(&r, sqe);
    must(ouro_done(&r.op.future));
    must_be(ouro_result(&r.op.future), error);
    must_be(r.cqe_flags, 0);
}

static void refused(struct io_uring_sqe sqe)
{
    refused_as(&sqe, -EINVAL);
}

static int flags_main(void *arg)
{
    uint64_t submitted;

    (void)arg;
    turns(3);
    submitted = counters_now().submitted;
    for (unsigned bit = 0; bit < 8; bit++)
        if ((1u << bit) != IOSQE_ASYNC)
            refused((struct io_uring_sqe){.opcode = IORING_OP_NOP, .flags = (uint8_t)(1u << bit)});
    refused((struct io_uring_sqe){.opcode = IORING_OP_NOP, .flags = IOSQE_ASYNC | IOSQE_IO_LINK});
    turns(3);
    must_be(counters_now().submitted, submitted);
    return 0;
}

static int opcodes_main(void *arg)
{
    static const uint8_t never[] = {
        IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_REMOVE,  IORING_OP_TIMEOUT_REMOVE,
        IORING_OP_LINK_TIMEOUT, IORING_OP_FILES_UPDATE, IORING_OP_SEND_ZC,
        IORING_OP_SENDMSG_ZC,   IORING_OP_MSG_RING,
    };
    static const uint8_t entry[] = {IORING_OP_ACCEPT, IORING_OP_OPENAT, IORING_OP_OPENAT2,
                                    IORING_OP_SOCKET, IORING_OP_CLOSE,  62 /* PIPE */};
    uint64_t submitted;

    (void)arg;
    turns(3);
    submitted = counters_now().submitted;
    for (size_t i = 0; i < sizeof never; i++)
        refused((struct io_uring_sqe){.opcode = never[i]});
    for (size_t i = 0; i < sizeof entry; i++) {
        refused((struct io_uring_sqe){.opcode = entry[i], .file_index = 1});
        refused((struct io_uring_sqe){.opcode = entry[i], .file_index = UINT32_MAX});
    }
    refused((struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD, .len = IORING_POLL_ADD_MULTI});
    refused((struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .ioprio = IORING_ACCEPT_MULTISHOT});
    refused((struct io_uring_sqe){.opcode = IORING_OP_TIMEOUT,
                                  .timeout_flags = IORING_TIMEOUT_MULTISHOT});
    refused(
        (struct io_uring_sqe){.opcode = IORING_OP_SPLICE, .splice_flags = SPLICE_F_FD_IN_FIXED});
    refused((struct io_uring_sqe){.opcode = IORING_OP_TEE, .splice_flags = SPLICE_F_FD_IN_FIXED});
    refused_as(NULL, -EINVAL);
    turns(3);
    must_be(counters_now().submitted, submitted);
    return 0;
}

/* Multishot receives need provided buffers, and end with the kernel's word for that. */
static int multishot_receive_main(void *arg)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_RECV, .ioprio = IORING_RECV_MULTISHOT};
    struct pair p;

    (void)arg;
    pair_open(&p, UNIX);
    must_be(ouro_op_raw_conn(p.near, &sqe, NULL), -EINVAL);
    pair_close(&p);
    return 0;
}

static int handles_main(void *arg)
{
    struct io_uring_sqe nop = {.opcode = IORING_OP_NOP}, closing = {.opcode = IORING_OP_CLOSE};
    const char *path = temp_path("raw");
    struct ouro_op_raw r;
    struct pair p;
    ouro_file f;
    uint64_t submitted;

    (void)arg;
    pair_open(&p, V4);
    must_be(ouro_open(&f, path, O_RDWR | O_CREAT, 0600), 0);
    turns(3);
    submitted = counters_now().submitted;
    must_be(ouro_op_raw_conn((ouro_conn){0}, &nop, NULL), -EBADF);
    must_be(ouro_op_raw_file((ouro_file){0}, &nop, NULL), -EBADF);
    must_be(ouro_op_raw_conn((ouro_conn){f.id}, &nop, NULL), -EBADF);
    must_be(ouro_op_raw_file((ouro_file){p.near.id}, &nop, NULL), -EBADF);
    must_be(ouro_op_raw_conn((ouro_conn){p.near.id ^ UINT64_C(1) << 40}, &nop, NULL), -EBADF);
    must_be(ouro_op_raw_conn((ouro_conn){p.near.id ^ UINT64_C(1) << 24}, &nop, NULL),
            -OURO_EOTHERSHARD);
    must_be(ouro_op_raw_file((ouro_file){f.id ^ UINT64_C(1) << 24}, &nop, NULL), -OURO_EOTHERSHARD);
    must_be(ouro_op_raw_conn(p.near, &closing, NULL), -EINVAL);
    must_be(ouro_op_raw_file(f, &closing, NULL), -EINVAL);
    ouro_op_raw_conn_start(&r, p.near, NULL);
    must_be(ouro_result(&r.op.future), -EINVAL);
    ouro_op_raw_file_start(&r, f, NULL);
    must_be(ouro_result(&r.op.future), -EINVAL);
    turns(3);
    must_be(counters_now().submitted, submitted);
    must_be(ouro_send(p.near, "x", 1), 1);
    must_be(ouro_file_close(f), 0);
    pair_close(&p);
    return 0;
}

static int cancelled_task(void *arg)
{
    struct io_uring_sqe nop = {.opcode = IORING_OP_NOP};

    (void)arg;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    refused_as(&nop, -ECANCELED);
    return 0;
}

static int cancelled_main(void *arg)
{
    ouro_fiber f;

    (void)arg;
    must_be(ouro_spawn_joinable(NULL, cancelled_task, NULL, 0, &f), 0);
    turns(1);
    must_be(ouro_fiber_cancel(f), 0);
    (void)ouro_join(f, NULL);
    return 0;
}

static void off_a_shard(void **state)
{
    struct io_uring_sqe nop = {.opcode = IORING_OP_NOP};
    uint32_t flags = 9;

    (void)state;
    assert_int_equal(ouro_op_raw(&nop, &flags), -OURO_ENOSHARD);
    assert_int_equal(flags, 0);
    assert_int_equal(ouro_op_raw_conn((ouro_conn){1}, &nop, NULL), -OURO_ENOSHARD);
    assert_int_equal(ouro_op_raw_file((ouro_file){1}, &nop, NULL), -OURO_ENOSHARD);
}

ON_ONE_SHARD(flags)
ON_ONE_SHARD(opcodes)
ON_ONE_SHARD(multishot_receive)
ON_ONE_SHARD(handles)
ON_ONE_SHARD(cancelled)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags),   cmocka_unit_test(opcodes),   cmocka_unit_test(multishot_receive),
        cmocka_unit_test(handles), cmocka_unit_test(cancelled), cmocka_unit_test(off_a_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
