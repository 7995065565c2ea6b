/* SPDX-License-Identifier: MIT */
/* Sockets: listeners, connections, receive sources.
 *
 * Handles are values of slot + generation, checked at every call: a stale one gives -EBADF, one of
 * another shard -OURO_EOTHERSHARD. A slot is reused only after every operation on it has completed.
 *
 * Every waiting call exists once, as ouro_X_start(struct ouro_X *, …), with the fiber form beside
 * it. A start returns nothing: what is wrong is the result of the future, which is then DONE at
 * once. From start to DONE the struct and the buffers are the kernel's (ouro/future.h). Results are
 * bytes or -errno; for every start: -OURO_ENOSHARD off a shard, -EBADF,
 * -OURO_EOTHERSHARD, -EINVAL (NULL, a length over INT32_MAX), -ECANCELED. Only the errors that mean
 * something beyond the man page of the system call are named below.
 */
#ifndef OURO_NET_H
#define OURO_NET_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <ouro/addr.h>
#include <ouro/timer.h>

OURO_BEGIN_DECLS

/* 0 is no connection, no listener. */
typedef struct ouro_conn {
    uint64_t id;
} ouro_conn;

typedef struct ouro_listener {
    uint64_t id;
} ouro_listener;

/* --- options of sockets ------------------------------------------------------------------------
 */

/* What is set on a connection at birth. Zero: leave the kernel's default, except nodelay. */
struct ouro_socket_options {
    size_t size;    /* sizeof(struct ouro_socket_options) */
    bool delay;     /* TCP: keep Nagle's algorithm; by default TCP_NODELAY is set */
    bool keepalive; /* SO_KEEPALIVE */
    uint32_t keepalive_idle_s, keepalive_interval_s, keepalive_count;
    uint32_t send_buffer_bytes, receive_buffer_bytes; /* SO_SNDBUF, SO_RCVBUF */
    bool linger; /* SO_LINGER with linger_s; 0 s: close resets the connection */
    uint16_t linger_s;
};

struct ouro_listen_options {
    size_t size;        /* sizeof(struct ouro_listen_options) */
    int backlog;        /* default 4096, capped by net.core.somaxconn */
    bool v6only;        /* IPV6_V6ONLY; default off: [::] also takes IPv4 */
    bool share_port;    /* let other processes of this user listen on the port too */
    bool private_port;  /* this shard's own listener: not shared with the other shards' */
    uint32_t queue_max; /* accepted and not yet taken, per listener: above it accepting pauses.
                           Passed once by what one look into the kernel's queue finds, at most the
                           backlog. Default 1024; 1 … 65536 */
    struct ouro_socket_options
        socket; /* inherited by what is accepted; its size may be 0: defaults */
};

/* Opens a listener of the calling shard. Shards that listen on the same TCP address share it
 * through SO_REUSEPORT (with port 0 the first one's port is taken by all); a Unix socket is opened
 * by the first and accepted from by all. Does not wait (a few system calls: it is set-up). A stale
 * Unix socket file that nobody listens on is replaced; the file is removed at the last close.
 * Errors: as socket, bind and listen; -EADDRINUSE also when another process listens there. */
OURO_API OURO_NODISCARD int ouro_listen(ouro_listener *out, const struct ouro_addr *addr,
                                        const struct ouro_listen_options *options);

/* Adopts a listening descriptor (inherited, LISTEN_FDS). Owned by Ouro from success on. */
OURO_API OURO_NODISCARD int ouro_listener_adopt(ouro_listener *out, int fd,
                                                const struct ouro_listen_options *options);

/* How many descriptors a service manager passed to this process (LISTEN_PID, LISTEN_FDS): they are
 * 3, 4, …; 0 if none. */
OURO_API int ouro_listen_fds(void);

/* The address it is bound to. */
OURO_API int ouro_listener_addr(ouro_listener listener, struct ouro_addr *out);

/* Accepting is a source: connections are taken by multishot accept into the listener's queue;
 * `ready` is DONE while one is queued or the listener has failed. One task at a time waits on a
 * listener. */
OURO_API struct ouro_future *ouro_accept_ready(ouro_listener listener);

/* Takes the next accepted connection: 0, -EAGAIN none is queued, -EBADF, or the error that ended
 * accepting. Transient errors (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, a full descriptor table) are
 * counted, and accepting goes on by itself after a pause. The connection is the caller's. */
OURO_API int ouro_accept_take(ouro_listener listener, ouro_conn *out);

/* Waits for a connection and takes it: 0, or as above, or -ECANCELED. */
OURO_API int ouro_accept(ouro_listener listener, ouro_conn *out);

/* Like ouro_accept, and also what is still in the kernel's accept queue when it has nothing queued:
 * takes without waiting for new peers. -EAGAIN: both queues are empty. For draining before a close;
 * accepting by source must have been stopped by ouro_accept_stop() before. */
OURO_API int ouro_accept_drain(ouro_listener listener, ouro_conn *out);

/* Stops the source; connections queued so far can still be taken. From here on no new peer comes in
 * (TCP connection requests are ignored, connects to a Unix socket refused once every shard has
 * stopped), so that draining leaves none behind to be reset by the close; handshakes that have
 * begun still end. An adopted listener goes on queueing: others may accept from it. A release. */
OURO_API int ouro_accept_stop(ouro_listener listener);

/* Closes a listener. What is queued in it and was not taken is closed. A release; waits. */
OURO_API int ouro_listener_close(ouro_listener listener);

/* --- connections -------------------------------------------------------------------------------
 */

struct ouro_connect_options {
    size_t size; /* sizeof(struct ouro_connect_options) */
    /* Local address to connect from, of the same family; empty: the kernel's choice. With port 0
       only the address is fixed, and a port taken that is free towards this peer. A Unix socket's
       path is made by the connect and removed by nobody. */
    struct ouro_addr source;
    struct ouro_socket_options socket; /* its size may be 0: defaults */
};

/* Connects: a socket is made, options set, bound if a source is given, connected. A call of several
 * steps. `conn` is set when the future is DONE with 0. Errors also: -EINVAL (a source of another
 * family), -EADDRNOTAVAIL (the source is no address of this machine, or has no port left towards
 * the peer), -EADDRINUSE (the source's port or path is taken), -ENFILE, -EMFILE. */
struct ouro_connect {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_op step;
    ouro_conn conn;
    struct ouro_addr addr;
    struct ouro_connect_options options;
    union {
        int number;
        struct linger linger;
    } value; /* of the option being set */
    unsigned option;
    bool promised, direct, bound;
};
OURO_API void ouro_connect_start(struct ouro_connect *c, const struct ouro_addr *addr,
                                 const struct ouro_socket_options *options);
OURO_API void ouro_connect_with_start(struct ouro_connect *c, const struct ouro_addr *addr,
                                      const struct ouro_connect_options *options);

/* Waits at most timeout_ns (OURO_FOREVER: as long as the kernel tries); -ETIMEDOUT then. */
OURO_API int ouro_connect(ouro_conn *out, const struct ouro_addr *addr,
                          const struct ouro_socket_options *options, uint64_t timeout_ns);
OURO_API int ouro_connect_with(ouro_conn *out, const struct ouro_addr *addr,
                               const struct ouro_connect_options *options, uint64_t timeout_ns);

/* Receives what is there, at most len bytes; 0 is the end of the stream. */
struct ouro_recv {
    struct ouro_op op;
};
OURO_API void ouro_recv_start(struct ouro_recv *r, ouro_conn conn, void *buf, size_t len);

static inline ssize_t ouro_recv(ouro_conn conn, void *buf, size_t len)
{
    struct ouro_recv r;

    ouro_recv_start(&r, conn, buf, len);
    return ouro_await(&r.op.future);
}

/* Sends some or all of it. */
struct ouro_send {
    struct ouro_op op;
};
OURO_API void ouro_send_start(struct ouro_send *s, ouro_conn conn, const void *buf, size_t len);

static inline ssize_t ouro_send(ouro_conn conn, const void *buf, size_t len)
{
    struct ouro_send s;

    ouro_send_start(&s, conn, buf, len);
    return ouro_await(&s.op.future);
}

/* Vectored. The iovec array and the msghdr in the struct belong to the operation too. At most 1024
 * parts (-EINVAL). */
struct ouro_msg {
    struct ouro_op op;
    struct msghdr header;
};
OURO_API void ouro_recvv_start(struct ouro_msg *m, ouro_conn conn, const struct iovec *iov,
                               size_t n);
OURO_API void ouro_sendv_start(struct ouro_msg *m, ouro_conn conn, const struct iovec *iov,
                               size_t n);

static inline ssize_t ouro_recvv(ouro_conn conn, const struct iovec *iov, size_t n)
{
    struct ouro_msg m;

    ouro_recvv_start(&m, conn, iov, n);
    return ouro_await(&m.op.future);
}

static inline ssize_t ouro_sendv(ouro_conn conn, const struct iovec *iov, size_t n)
{
    struct ouro_msg m;

    ouro_sendv_start(&m, conn, iov, n);
    return ouro_await(&m.op.future);
}

/* Sends all of it. A call of several steps. The result is len; on an error `sent` says how many
 * bytes had gone before it. */
struct ouro_send_all {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_op step;
    ouro_conn conn;
    const char *data;
    size_t len, sent;
};
OURO_API void ouro_send_all_start(struct ouro_send_all *s, ouro_conn conn, const void *buf,
                                  size_t len);

static inline ssize_t ouro_send_all(ouro_conn conn, const void *buf, size_t len)
{
    struct ouro_send_all s;

    ouro_send_all_start(&s, conn, buf, len);
    return ouro_await(&s.op.future);
}

/* The same for parts; the array is used as scratch and belongs to the call until DONE. The result
 * is the sum of the lengths. */
struct ouro_sendv_all {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_msg step;
    ouro_conn conn;
    struct iovec *iov;
    size_t n, sent;
};
OURO_API void ouro_sendv_all_start(struct ouro_sendv_all *s, ouro_conn conn, struct iovec *iov,
                                   size_t n);

static inline ssize_t ouro_sendv_all(ouro_conn conn, struct iovec *iov, size_t n)
{
    struct ouro_sendv_all s;

    ouro_sendv_all_start(&s, conn, iov, n);
    return ouro_await(&s.op.future);
}

/* Zero-copy send, a two-step: op.future is DONE with the bytes when the data was *sent* (queued),
 * `released` when the kernel has let go of the buffer: 0, or 1 if it had copied the data after all
 * (loopback always does: stop using it there). Until then the buffer and the struct are the
 * kernel's, and the operation counts as in flight. Both futures complete in every case. A wait for
 * `released` is not cut short: cancellation and deadlines cancel the send, if it is not sent yet.
 */
struct ouro_send_zc {
    struct ouro_op op;
    struct ouro_future released;
};
OURO_API void ouro_send_zc_start(struct ouro_send_zc *s, ouro_conn conn, const void *buf,
                                 size_t len);

/* Ends one direction or both: SHUT_RD, SHUT_WR, SHUT_RDWR. */
struct ouro_shutdown {
    struct ouro_op op;
};
OURO_API void ouro_shutdown_start(struct ouro_shutdown *s, ouro_conn conn, int how);

static inline int ouro_shutdown(ouro_conn conn, int how)
{
    struct ouro_shutdown s;

    ouro_shutdown_start(&s, conn, how);
    return ouro_await(&s.op.future);
}

/* Closes a connection or file with whatever is in flight on it: new operations are
 * refused, those in flight are cancelled by descriptor and complete with -ECANCELED (or what they
 * did), then the descriptor is closed and the handle is stale. A release: never cut short. Result
 * 0, or the error of the kernel's close. */
struct ouro_close {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_op step;
    struct ouro_future drained;
    struct ouro_timer again;
    uint64_t id;
};
OURO_API void ouro_close_start(struct ouro_close *c, ouro_conn conn);

/* Returns at once when nothing is in flight on it, else waits as above. A bound datagram socket
 * always waits: its address is free afterwards. */
OURO_API int ouro_close(ouro_conn conn);

/* Closes so that the peer gets a reset and nothing that is unsent goes out. A release. */
OURO_API int ouro_close_reset(ouro_conn conn);

/* The peer's and the local address. Waits where the kernel needs it for direct descriptors. */
OURO_API int ouro_peer_addr(ouro_conn conn, struct ouro_addr *out);
OURO_API int ouro_local_addr(ouro_conn conn, struct ouro_addr *out);

/* Any option of the socket by level and number, as setsockopt(2) and getsockopt(2). May wait. */
OURO_API int ouro_setsockopt(ouro_conn conn, int level, int option, const void *value,
                             socklen_t len);
OURO_API int ouro_getsockopt(ouro_conn conn, int level, int option, void *value, socklen_t *len);

/* Takes over an ordinary socket, connected or of datagrams: owned by Ouro from success on.
 * O_NONBLOCK is taken from it. Errors: -OURO_ENOSHARD, -EINVAL (NULL), -EBADF, -ENOTSOCK, -EMFILE:
 * then it is still the caller's. */
OURO_API OURO_NODISCARD int ouro_conn_adopt(ouro_conn *out, int fd);

/* Gives the connection out as an ordinary descriptor (>= 0, close-on-exec, the caller's) and closes
 * the handle. -EBUSY: operations are in flight. May wait. -EOPNOTSUPP: the kernel cannot
 * (before 6.8). */
OURO_API int ouro_conn_give_out(ouro_conn conn);

/* --- receive sources ---------------------------------------------------------------------------
 */

/* A lease on received bytes in a provided buffer of the shard. Owned by whoever took it, until
 * ouro_buf_release(); it may be passed to sends. */
struct ouro_buf {
    char *data;
    uint32_t len;
    uint32_t id; /* the pool's: do not change */
};

/* Gives the buffer back. A release; harmless on a lease that is released ({0}). Zeroes it. On any
 * other thread than the lease's shard it aborts, in every build: a buffer that nobody gives back is
 * lost to receiving. */
OURO_API void ouro_buf_release(struct ouro_buf *buf);

/* Receives by one multishot operation into provided buffers, which it queues without allocating.
 *
 *      open ──► RECEIVING ──end, error──────────────► ENDED   op.future DONE
 *                 │  ▲  │                               ▲
 *      queue full │  │  │ no buffer    stop, close      │
 *                 ▼  │  ▼  (goes on by itself)          │
 *                PAUSED / PARKED ───────────────────────┘
 *
 * Above `hold_max` queued buffers it stops receiving (TCP then holds the peer back) and goes on
 * below half. `ready` is DONE while there is something to take, data or the end. One waiter at a
 * time. An open one is refused on another shard: -OURO_EOTHERSHARD, a stop aborts there. It is in
 * flight, owned by the task that opened it, until closed; then its memory is the
 * caller's again. Closing the connection first ends it too. Declare it with OURO_RECV_SOURCE in a
 * fiber's frame. */
struct ouro_recv_source {
    struct ouro_op op;
    struct ouro_future ready;
    struct ouro_recv_source *parked_next; /* waiting for a buffer */
    struct ouro_recv_source **parked_pprev;
    ouro_conn conn;
    struct msghdr *shape; /* of datagrams (ouro/datagram.h); NULL: a stream */
    uint32_t head, tail;  /* queued buffers */
    uint32_t queued, hold_max;
    int32_t end;   /* what ended it, or a passing error not yet told: 0 or -errno */
    uint16_t fits; /* receives in a row that argue for the other buffer size */
    uint8_t group;
    uint8_t flags;
};

/* Opens it and starts receiving. hold_max 0: 16. Errors as a start. */
OURO_API int ouro_recv_source_open(struct ouro_recv_source *source, ouro_conn conn,
                                   uint32_t hold_max);

/* Takes what was received next: > 0 bytes with a lease in *out, 0 end of stream, -EAGAIN nothing
 * yet, -ECANCELED the task is cancelled (a lease is never lost: it is still queued), else what
 * ended it. */
OURO_API int ouro_recv_take(struct ouro_recv_source *source, struct ouro_buf *out);

/* Waits until there is something and takes it. */
static inline int ouro_recv_next(struct ouro_recv_source *source, struct ouro_buf *out)
{
    int n = ouro_recv_take(source, out);

    while (n == -EAGAIN) {
        int error = ouro_await(&source->ready);

        if (error < 0)
            return error;
        n = ouro_recv_take(source, out);
    }
    return n;
}

/* Stops receiving, awaits the operation's end and gives queued buffers back. A release; fiber only.
 * A stackless task calls ouro_recv_source_stop(), awaits &source->op.future, and calls it then.
 * Leases that were taken stay valid. */
OURO_API int ouro_recv_source_close(struct ouro_recv_source *source);
OURO_API void ouro_recv_source_stop(struct ouro_recv_source *source);

/* Declares one that is closed on every way out of the block. */
#define OURO_RECV_SOURCE(name)                                                                     \
    struct ouro_recv_source name __attribute__((cleanup(ouro_recv_source_cleanup))) = {}

static inline void ouro_recv_source_cleanup(struct ouro_recv_source *source)
{
    ouro_recv_source_close(source);
}

OURO_END_DECLS

#endif
