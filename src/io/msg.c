/* SPDX-License-Identifier: MIT */
/* Messages with control data; descriptors in them. */
#include "shard/op.h"

#include <limits.h>
#include <ouro/msg.h>
#include <string.h>
#include <unistd.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define CALLER __builtin_return_address(0)

/* The header is set. */
static void go(struct ouro_msg *m, ouro_conn conn, unsigned opcode, int flags, const void *place)
{
    struct slot *slot;
    struct io_uring_sqe *sqe =
        op_begin_on(shard_self, &m->op, conn.id, SLOT_CONN, opcode, place, &slot);

    if (sqe == NULL)
        return;
    if (opcode == IORING_OP_RECVMSG)
        io_uring_prep_recvmsg(sqe, 0, &m->header, (unsigned)flags | MSG_CMSG_CLOEXEC);
    else
        io_uring_prep_sendmsg(sqe, 0, &m->header, (unsigned)(flags | slot_send_flags(slot)));
    op_go(&m->op, sqe, slot, TAG_OP);
}

static void start(struct ouro_msg *m, ouro_conn conn, const struct msghdr *msg, unsigned opcode,
                  int flags, const void *place)
{
    if (msg == NULL || msg->msg_iovlen > IOV_MAX ||
        (msg->msg_iov == NULL && msg->msg_iovlen != 0) ||
        (msg->msg_control == NULL && msg->msg_controllen != 0) ||
        ((flags & MSG_WAITALL) != 0 && msg->msg_controllen != 0)) {
        op_refuse(&m->op, -EINVAL);
        return;
    }
    m->header = *msg;
    go(m, conn, opcode, flags, place);
}

void ouro_sendmsg_start(struct ouro_msg *m, ouro_conn conn, const struct msghdr *msg, int flags)
{
    start(m, conn, msg, IORING_OP_SENDMSG, flags, CALLER);
}

void ouro_recvmsg_start(struct ouro_msg *m, ouro_conn conn, const struct msghdr *msg, int flags)
{
    start(m, conn, msg, IORING_OP_RECVMSG, flags, CALLER);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static bool bad_part(const void *buf, size_t len)
{
    return buf == NULL || len == 0 || len > INT32_MAX;
}

void ouro_send_fds_start(struct ouro_send_fds *s, ouro_conn conn, const void *buf, size_t len,
                         const int *fds, size_t n)
{
    struct msghdr *h = &s->msg.header;
    struct cmsghdr *c;

    if (bad_part(buf, len) || n > OURO_FDS_MAX || (fds == NULL && n != 0)) {
        op_refuse(&s->msg.op, -EINVAL);
        return;
    }
    s->part = (struct iovec){(void *)(uintptr_t)buf, len};
    *h = (struct msghdr){.msg_iov = &s->part, .msg_iovlen = 1};
    if (n != 0) {
        h->msg_control = s->control;
        h->msg_controllen = CMSG_SPACE(n * sizeof(int));
        c = CMSG_FIRSTHDR(h);
        *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                              .cmsg_type = SCM_RIGHTS,
                              .cmsg_len = CMSG_LEN(n * sizeof(int))};
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    go(&s->msg, conn, IORING_OP_SENDMSG, 0, CALLER);
}

/* Keeps the descriptors of one piece of control data; false: not all. */
static bool keep(struct ouro_recv_fds *r, struct cmsghdr *c)
{
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), max = r->max;
    bool all = true;
    int fd;

    if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != SCM_PIDFD))
        return true;
    for (size_t i = 0; i < n; i++) {
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        if (c->cmsg_type == SCM_RIGHTS && r->n < max) {
            r->fds[r->n++] = fd;
            continue;
        }
        all = all && c->cmsg_type == SCM_PIDFD; /* not asked for here */
        if (fd >= 0)
            close(fd);
    }
    return all;
}

/* All descriptors of the message, or none. */
static int take(struct ouro_recv_fds *r)
{
    struct msghdr *h = &r->step.header;
    bool all = (h->msg_flags & MSG_CTRUNC) == 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
        all = keep(r, c) && all;
    if (all)
        return (int)r->received;
    while (r->n != 0)
        close(r->fds[--r->n]);
    return -EMSGSIZE;
}

static void recv_fds_resume(struct ouro_task *task)
{
    struct ouro_recv_fds *r = OURO_FRAME(task, struct ouro_recv_fds, task);

    OURO_BEGIN(task);
    go(&r->step, r->conn, IORING_OP_RECVMSG, 0, r->op.place);
    OURO_AWAIT(task, &r->step.op.future);
    if (r->step.op.future.result < 0) {
        call_end(task, r->step.op.future.result);
        return;
    }
    r->received = (size_t)r->step.op.future.result;
    CALL_END(task, take(r));
}

void ouro_recv_fds_start(struct ouro_recv_fds *r, ouro_conn conn, void *buf, size_t len, int *fds,
                         size_t max)
{
    struct shard *s = shard_self;

    r->n = r->received = 0;
    if (s == NULL || bad_part(buf, len) || (fds == NULL && max != 0)) {
        op_refuse(&r->op, s == NULL ? -OURO_ENOSHARD : -EINVAL);
        return;
    }
    r->conn = conn;
    r->fds = fds;
    r->max = max;
    r->part = (struct iovec){buf, len};
    r->step.header = (struct msghdr){.msg_iov = &r->part,
                                     .msg_iovlen = 1,
                                     .msg_control = r->control,
                                     .msg_controllen = sizeof r->control};
    call_start(s, (struct call *)&r->op, recv_fds_resume, "recv_fds", CALLER, false);
}

/* --- the peer --------------------------------------------------------------------------------- */

int ouro_peer_credentials(ouro_conn conn, struct ouro_credentials *out)
{
    struct ucred u;
    socklen_t len = sizeof u;
    int error;

    if (out == NULL)
        return -EINVAL;
    error = ouro_getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &u, &len);
    if (error != 0)
        return error;
    if (u.uid == (uid_t)-1) /* the kernel's word for nobody */
        return -EOPNOTSUPP;
    *out = (struct ouro_credentials){.pid = u.pid, .uid = u.uid, .gid = u.gid};
    return 0;
}

int ouro_peer_pidfd(ouro_conn conn)
{
    int fd = -1, error;
    socklen_t len = sizeof fd;

    error = ouro_getsockopt(conn, SOL_SOCKET, SO_PEERPIDFD, &fd, &len);
    if (error != 0)
        return error == -ENOPROTOOPT ? -EOPNOTSUPP : error;
    return fd;
}
