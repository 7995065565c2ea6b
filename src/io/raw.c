/* SPDX-License-Identifier: MIT */
/* Operations whose entry the caller filled in. */
#include "shard/op.h"

#include <ouro/raw.h>
#include <string.h>

#define OP_PIPE 62 /* newer than liburing 2.9 */

#define CALLER __builtin_return_address(0)

_Static_assert(sizeof(struct io_uring_sqe) == 64, "what the contract says is copied");

/* What other operations, the table of direct descriptors or the reaper would suffer from. */
static bool breaks_the_runtime(const struct io_uring_sqe *sqe)
{
    if ((sqe->flags & ~(unsigned)IOSQE_ASYNC) != 0)
        return true;
    switch (sqe->opcode) {
    case IORING_OP_ASYNC_CANCEL:
    case IORING_OP_POLL_REMOVE:
    case IORING_OP_TIMEOUT_REMOVE:
    case IORING_OP_LINK_TIMEOUT:
    case IORING_OP_FILES_UPDATE:
    case IORING_OP_SEND_ZC:
    case IORING_OP_SENDMSG_ZC:
    case IORING_OP_MSG_RING: /* a completion with whatever user data, in a shard's ring too */
        return true;
    case IORING_OP_POLL_ADD:
        return (sqe->len & IORING_POLL_ADD_MULTI) != 0;
    case IORING_OP_TIMEOUT:
        return (sqe->timeout_flags & IORING_TIMEOUT_MULTISHOT) != 0;
    case IORING_OP_ACCEPT:
        return (sqe->ioprio & IORING_ACCEPT_MULTISHOT) != 0 || sqe->file_index != 0;
    case IORING_OP_SPLICE:
    case IORING_OP_TEE:
        return (sqe->splice_flags & SPLICE_F_FD_IN_FIXED) != 0;
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
    case IORING_OP_SOCKET:
    case IORING_OP_CLOSE:
    case OP_PIPE:
        return sqe->file_index != 0;
    default:
        return false;
    }
}

/* 0 with a copy of the entry, or why not. */
static int take(struct ouro_op_raw *r, const void *sqe64, struct io_uring_sqe *copy)
{
    r->cqe_flags = 0;
    r->more = false;
    if (sqe64 == NULL)
        return -EINVAL;
    memcpy(copy, sqe64, sizeof *copy);
    return breaks_the_runtime(copy) ? -EINVAL : 0;
}

static void go(struct ouro_op_raw *r, struct io_uring_sqe *sqe, const struct io_uring_sqe *copy,
               const struct slot *slot)
{
    r->op.future.kind = KIND_RAW;
    *sqe = *copy;
    op_go(&r->op, sqe, slot, TAG_RAW);
}

void ouro_op_raw_start(struct ouro_op_raw *r, const void *sqe64)
{
    struct io_uring_sqe copy, *sqe;
    int error = take(r, sqe64, &copy);

    if (error != 0) {
        op_refuse(&r->op, error);
        return;
    }
    sqe = op_begin(shard_self, &r->op, copy.opcode, CALLER);
    if (sqe != NULL)
        go(r, sqe, &copy, NULL);
}

static void start_on(struct ouro_op_raw *r, uint64_t handle, enum slot_kind kind, const void *sqe64,
                     const void *place)
{
    struct io_uring_sqe copy, *sqe;
    struct slot *slot;
    int error = take(r, sqe64, &copy);

    if (error == 0 && copy.opcode == IORING_OP_CLOSE)
        error = -EINVAL;
    if (error != 0) {
        op_refuse(&r->op, error);
        return;
    }
    sqe = op_begin_on(shard_self, &r->op, handle, kind, copy.opcode, place, &slot);
    if (sqe != NULL)
        go(r, sqe, &copy, slot);
}

void ouro_op_raw_conn_start(struct ouro_op_raw *r, ouro_conn conn, const void *sqe64)
{
    start_on(r, conn.id, SLOT_CONN, sqe64, CALLER);
}

void ouro_op_raw_file_start(struct ouro_op_raw *r, ouro_file file, const void *sqe64)
{
    start_on(r, file.id, SLOT_FILE, sqe64, CALLER);
}
