/* SPDX-License-Identifier: MIT */
/* Operations on connections: each start is a base and the few fields that differ. */
#include "shard/op.h"

#include <limits.h>
#include <string.h>

#define CALLER __builtin_return_address(0)

static bool bad_range(const void *buf, size_t len)
{
    return len > INT32_MAX || (buf == NULL && len != 0);
}

void ouro_recv_start(struct ouro_recv *r, ouro_conn conn, void *buf, size_t len)
{
    struct shard *s = shard_self;
    struct slot *slot;
    struct io_uring_sqe *sqe;

    if (bad_range(buf, len)) {
        op_refuse(&r->op, -EINVAL);
        return;
    }
    sqe = op_begin_on(s, &r->op, conn.id, SLOT_CONN, IORING_OP_RECV, CALLER, &slot);
    if (sqe == NULL)
        return;
    io_uring_prep_recv(sqe, 0, buf, len, 0);
    op_go(&r->op, sqe, slot, TAG_OP);
}

static void send_start(struct ouro_op *op, ouro_conn conn, const void *buf, size_t len, int flags,
                       const void *place)
{
    struct shard *s = shard_self;
    struct slot *slot;
    struct io_uring_sqe *sqe;

    if (bad_range(buf, len)) {
        op_refuse(op, -EINVAL);
        return;
    }
    sqe = op_begin_on(s, op, conn.id, SLOT_CONN, IORING_OP_SEND, place, &slot);
    if (sqe == NULL)
        return;
    io_uring_prep_send(sqe, 0, buf, len, slot_send_flags(slot) | flags);
    op_go(op, sqe, slot, TAG_OP);
}

void ouro_send_start(struct ouro_send *o, ouro_conn conn, const void *buf, size_t len)
{
    send_start(&o->op, conn, buf, len, 0, CALLER);
}

static void msg_start(struct ouro_msg *m, ouro_conn conn, const struct iovec *iov, size_t n,
                      unsigned opcode, int flags, const void *place)
{
    struct shard *s = shard_self;
    struct slot *slot;
    struct io_uring_sqe *sqe;

    if (n > IOV_MAX || (iov == NULL && n != 0)) {
        op_refuse(&m->op, -EINVAL);
        return;
    }
    sqe = op_begin_on(s, &m->op, conn.id, SLOT_CONN, opcode, place, &slot);
    if (sqe == NULL)
        return;
    m->header = (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
    if (opcode == IORING_OP_RECVMSG)
        io_uring_prep_recvmsg(sqe, 0, &m->header, (unsigned)flags);
    else
        io_uring_prep_sendmsg(sqe, 0, &m->header, (unsigned)(flags | slot_send_flags(slot)));
    op_go(&m->op, sqe, slot, TAG_OP);
}

void ouro_recvv_start(struct ouro_msg *m, ouro_conn conn, const struct iovec *iov, size_t n)
{
    msg_start(m, conn, iov, n, IORING_OP_RECVMSG, 0, CALLER);
}

void ouro_sendv_start(struct ouro_msg *m, ouro_conn conn, const struct iovec *iov, size_t n)
{
    msg_start(m, conn, iov, n, IORING_OP_SENDMSG, 0, CALLER);
}

void ouro_send_zc_start(struct ouro_send_zc *z, ouro_conn conn, const void *buf, size_t len)
{
    struct shard *s = shard_self;
    struct slot *slot;
    struct io_uring_sqe *sqe = NULL;

    if (bad_range(buf, len))
        op_refuse(&z->op, -EINVAL);
    else
        sqe = op_begin_on(s, &z->op, conn.id, SLOT_CONN, IORING_OP_SEND_ZC, CALLER, &slot);
    future_init(&z->released, KIND_RELEASED);
    if (sqe == NULL) { /* both futures complete in every case */
        z->released.state = OURO_DONE;
        return;
    }
    z->op.future.kind = KIND_ZC;
    io_uring_prep_send_zc(sqe, 0, buf, len, MSG_NOSIGNAL, IORING_SEND_ZC_REPORT_USAGE);
    op_go(&z->op, sqe, slot, TAG_ZC);
}

void ouro_shutdown_start(struct ouro_shutdown *o, ouro_conn conn, int how)
{
    struct shard *s = shard_self;
    struct slot *slot;
    struct io_uring_sqe *sqe;

    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) {
        op_refuse(&o->op, -EINVAL);
        return;
    }
    sqe = op_begin_on(s, &o->op, conn.id, SLOT_CONN, IORING_OP_SHUTDOWN, CALLER, &slot);
    if (sqe == NULL)
        return;
    io_uring_prep_shutdown(sqe, 0, how);
    op_go(&o->op, sqe, slot, TAG_OP);
}

/* --- all of it ------------------------------------------------------------------------------- */

/* MSG_WAITALL lets the kernel go on after a short send; what is left after an interruption is sent
 * from here. A peer that takes nothing keeps the operation, and the buffer, in the kernel. */
static void send_all_resume(struct ouro_task *task)
{
    struct ouro_send_all *a = OURO_FRAME(task, struct ouro_send_all, task);
    int n;

    OURO_BEGIN(task);
    while (a->sent < a->len) {
        send_start(&a->step, a->conn, a->data + a->sent, a->len - a->sent, MSG_WAITALL,
                   a->op.place);
        OURO_AWAIT(task, &a->step.future);
        n = op_step_result(shard_self, a->conn.id, SLOT_CONN, a->step.future.result);
        if (n <= 0) {
            call_end(task, n < 0 ? n : -EPIPE);
            return;
        }
        a->sent += (size_t)n;
    }
    CALL_END(task, (int)a->len);
}

/* 0 if the handle is good: with nothing to send no step would find out. */
static int missing(struct shard *s, ouro_conn conn)
{
    if (s == NULL)
        return -OURO_ENOSHARD;
    return slots_find(&s->slots, conn.id, SLOT_CONN) == NULL ? slots_missing(&s->slots, conn.id)
                                                             : 0;
}

void ouro_send_all_start(struct ouro_send_all *a, ouro_conn conn, const void *buf, size_t len)
{
    struct shard *s = shard_self;
    int error;

    a->conn = conn;
    a->data = buf;
    a->len = len;
    a->sent = 0;
    error = bad_range(buf, len) ? -EINVAL : missing(s, conn);
    if (error != 0) {
        op_refuse(&a->op, error);
        return;
    }
    call_start(s, (struct call *)&a->op, send_all_resume, "send_all", CALLER, false);
}

/* Steps over what was sent. */
static void advance(struct ouro_sendv_all *a, size_t n)
{
    a->sent += n;
    while (a->n != 0 && n >= a->iov->iov_len) {
        n -= a->iov->iov_len;
        a->iov++;
        a->n--;
    }
    if (n != 0) {
        a->iov->iov_base = (char *)a->iov->iov_base + n;
        a->iov->iov_len -= n;
    }
}

static void sendv_all_resume(struct ouro_task *task)
{
    struct ouro_sendv_all *a = OURO_FRAME(task, struct ouro_sendv_all, task);
    int n;

    OURO_BEGIN(task);
    advance(a, 0);
    while (a->n != 0) {
        msg_start(&a->step, a->conn, a->iov, a->n < IOV_MAX ? a->n : IOV_MAX, IORING_OP_SENDMSG,
                  MSG_WAITALL, a->op.place);
        OURO_AWAIT(task, &a->step.op.future);
        n = op_step_result(shard_self, a->conn.id, SLOT_CONN, a->step.op.future.result);
        if (n <= 0) {
            call_end(task, n < 0 ? n : -EPIPE);
            return;
        }
        advance(a, (size_t)n);
    }
    CALL_END(task, (int)a->sent);
}

void ouro_sendv_all_start(struct ouro_sendv_all *a, ouro_conn conn, struct iovec *iov, size_t n)
{
    struct shard *s = shard_self;
    size_t sum = 0;
    int error = iov == NULL && n != 0 ? -EINVAL : missing(s, conn);

    for (size_t i = 0; error == 0 && i < n; i++) {
        sum += iov[i].iov_len;
        if (sum > INT32_MAX || iov[i].iov_len > INT32_MAX)
            error = -EINVAL;
    }
    a->conn = conn;
    a->iov = iov;
    a->n = n;
    a->sent = 0;
    if (error != 0) {
        op_refuse(&a->op, error);
        return;
    }
    call_start(s, (struct call *)&a->op, sendv_all_resume, "sendv_all", CALLER, false);
}
