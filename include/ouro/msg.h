/* SPDX-License-Identifier: MIT */
/* Messages with control data over connections, descriptors that are passed over Unix sockets, and
 * who the peer is. Starts behave as in ouro/net.h. Sources: sendmsg(2), recvmsg(2), cmsg(3),
 * unix(7).
 */
#ifndef OURO_MSG_H
#define OURO_MSG_H

#include <ouro/net.h>

OURO_BEGIN_DECLS

/* As sendmsg(2) and recvmsg(2). `msg` is copied into m->header; what it points to (parts, name,
 * control buffer) belongs to the operation until DONE. Then m->header has what the kernel wrote:
 * msg_controllen, msg_namelen, msg_flags. A send raises no SIGPIPE; received descriptors are always
 * close-on-exec, and the caller's. Over Unix datagram sockets no send waits for room, descriptors'
 * neither: -EAGAIN, as in ouro/datagram.h. -EINVAL: more than 1024 parts; MSG_WAITALL with control
 * data, which an operation that is continued could send or take twice. */
OURO_API void ouro_sendmsg_start(struct ouro_msg *m, ouro_conn conn, const struct msghdr *msg,
                                 int flags);
OURO_API void ouro_recvmsg_start(struct ouro_msg *m, ouro_conn conn, const struct msghdr *msg,
                                 int flags);

static inline ssize_t ouro_sendmsg(ouro_conn conn, const struct msghdr *msg, int flags)
{
    struct ouro_msg m;

    ouro_sendmsg_start(&m, conn, msg, flags);
    return ouro_await(&m.op.future);
}

/* Also writes the lengths and flags back. */
static inline ssize_t ouro_recvmsg(ouro_conn conn, struct msghdr *msg, int flags)
{
    struct ouro_msg m;
    ssize_t n;

    ouro_recvmsg_start(&m, conn, msg, flags);
    n = ouro_await(&m.op.future);
    if (n >= 0)
        *msg = m.header;
    return n;
}

/* --- descriptors ------------------------------------------------------------------------------ */

/* In one message, by the kernel's rule. */
#define OURO_FDS_MAX 253

/* Besides them, what the socket was told to receive: credentials, labels. */
#define OURO_FDS_ROOM (CMSG_SPACE(OURO_FDS_MAX * sizeof(int)) + 256)

/* Sends some or all of the bytes, at least one, and with the first of them copies of n descriptors.
 * The array is copied at once; the descriptors themselves must stay open until DONE. What is left
 * of the bytes goes by ouro_send_all(). `conn` is a Unix socket: over any other the kernel sends
 * the bytes alone. -EINVAL also: n over OURO_FDS_MAX, no bytes; -EBADF also: one is not open;
 * -ETOOMANYREFS: too many are on their way. */
struct ouro_send_fds {
    struct ouro_msg msg; /* its op.future is the result */
    struct iovec part;
    char control[CMSG_SPACE(OURO_FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
};
OURO_API void ouro_send_fds_start(struct ouro_send_fds *s, ouro_conn conn, const void *buf,
                                  size_t len, const int *fds, size_t n);

static inline ssize_t ouro_send_fds(ouro_conn conn, const void *buf, size_t len, const int *fds,
                                    size_t n)
{
    struct ouro_send_fds s;

    ouro_send_fds_start(&s, conn, buf, len, fds, n);
    return ouro_await(&s.msg.op.future);
}

/* Receives bytes, and the descriptors of at most one message: `n` of them stand in `fds`,
 * close-on-exec, the caller's from DONE on. The result is bytes, 0 at the end of the stream;
 * -EMSGSIZE: there were more than `max`, or the kernel could not hand out all (the limit of open
 * files): then every one of them is closed, n is 0, and `received` says how many bytes are in the
 * buffer all the same. -EINVAL also: no room for a byte. */
struct ouro_recv_fds {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_msg step;
    struct iovec part;
    ouro_conn conn;
    int *fds;
    size_t max, n, received;
    char control[OURO_FDS_ROOM] __attribute__((aligned(8)));
};
OURO_API void ouro_recv_fds_start(struct ouro_recv_fds *r, ouro_conn conn, void *buf, size_t len,
                                  int *fds, size_t max);

/* *n is the room in `fds`, and then how many there are. */
static inline ssize_t ouro_recv_fds(ouro_conn conn, void *buf, size_t len, int *fds, size_t *n)
{
    struct ouro_recv_fds r;
    ssize_t result;

    ouro_recv_fds_start(&r, conn, buf, len, fds, n != NULL ? *n : 0);
    result = ouro_await(&r.op.future);
    if (n != NULL)
        *n = r.n;
    return result;
}

/* An ordinary descriptor of the connection beside its handle, which stays as it is: >= 0,
 * close-on-exec, the caller's. To pass a connection on, send this one, close it, and close the
 * connection; who receives it calls ouro_conn_adopt(). May wait. Errors: -EMFILE, -EOPNOTSUPP as
 * ouro_conn_give_out(). */
OURO_API OURO_NODISCARD int ouro_conn_dup(ouro_conn conn);

/* --- the peer --------------------------------------------------------------------------------- */

/* Of the process that connected, or listened, as they were then (SO_PEERCRED). */
struct ouro_credentials {
    pid_t pid; /* 0: it is in a pid namespace that cannot be seen from here */
    uid_t uid;
    gid_t gid;
};

/* May wait. -EOPNOTSUPP: the connection is no Unix socket. */
OURO_API int ouro_peer_credentials(ouro_conn conn, struct ouro_credentials *out);

/* A pidfd of that process: >= 0, close-on-exec, the caller's; unlike the pid it is never another
 * one's. May wait. -EOPNOTSUPP: the kernel cannot (before 6.5); -ENODATA: the connection is no Unix
 * socket; -ESRCH: the process has gone, on kernels that then have none. */
OURO_API OURO_NODISCARD int ouro_peer_pidfd(ouro_conn conn);

OURO_END_DECLS

#endif
