/* SPDX-License-Identifier: MIT */
/* Datagrams: UDP over IPv4 and IPv6, Unix datagram sockets.
 *
 * A datagram socket is an ouro_conn, so ouro_close, ouro_local_addr, ouro_setsockopt,
 * ouro_getsockopt, ouro_conn_adopt and ouro_conn_give_out (ouro/net.h) serve it as they are. Once
 * it has a default peer, ouro_send, ouro_sendv, ouro_recv, ouro_recvv and ouro_peer_addr do too:
 * each moves one datagram, and receiving cuts off without a word what does not fit. What treats a
 * socket as a stream is not for it: ouro_send_all, ouro_recv_source (an empty datagram would end
 * it), ouro_shutdown.
 *
 * Starts, results and errors are as in ouro/net.h. Errors that mean something here:
 *   -EMSGSIZE      a datagram longer than the protocol or the path allows (UDP: 65,507 bytes over
 *                  IPv4); nothing was sent
 *   -ECONNREFUSED  UDP with a default peer: an earlier datagram found nobody (ICMP); told once, to
 *                  a send (which then sent nothing) or a receive. Unix: nobody has that socket open
 *                  any more. The like: -EHOSTUNREACH, -ENETUNREACH
 *   -ENOENT        Unix: no such path
 *   -ENOTCONN, -EDESTADDRREQ   no address was given and there is no default peer
 *   -EPROTOTYPE    what is for datagram sockets alone was called on a stream
 *
 * UDP that a receiver has no room for is lost, and counted in its ouro_datagram_info. A Unix
 * receiver whose queue is full blocks its senders: ouro_send_to waits, the sending task alone, and
 * can be cancelled; it hears at once of room at the default peer, and looks for it every
 * millisecond at another address. ouro_send and ouro_sendv do not wait for it: -EAGAIN (the kernel,
 * left to wait, would send an empty datagram instead). Descriptors that come with a Unix datagram
 * are dropped: ouro_recv_fds() takes them. Sources: udp(7), unix(7), ip(7), ipv6(7).
 */
#ifndef OURO_DATAGRAM_H
#define OURO_DATAGRAM_H

#include <ouro/net.h>

OURO_BEGIN_DECLS

/* Zero: the kernel's default. */
struct ouro_datagram_options {
    size_t size;       /* sizeof(struct ouro_datagram_options) */
    bool v6only;       /* IPV6_V6ONLY; default off: [::] also takes IPv4 */
    bool share_port;   /* other processes of this user may bind there too; where shards share, those
                          that ask to share get in anyway */
    bool private_port; /* this shard's alone: not shared with the other shards' */
    bool broadcast;    /* allow sending to broadcast addresses. IPv4 */
    bool destination;  /* tell where each datagram was sent to. UDP */
    bool gro;          /* a wish: let the kernel join datagrams of one sender that come
                          together, see segment_bytes. Granted: see ouro_datagram_info */
    bool multicast_no_loop;       /* what is sent to a group does not come back to this host */
    uint8_t multicast_ttl;        /* hops; default 1 */
    unsigned multicast_interface; /* that sends to groups by default, see ouro_interface() */
    uint32_t send_buffer_bytes, receive_buffer_bytes; /* SO_SNDBUF, SO_RCVBUF */
};

/* Opens a socket of AF_INET, AF_INET6 or AF_UNIX without an address: for senders. IP gets a port
 * with the first datagram; a Unix one stays nameless, so nobody can answer it. Does not wait.
 * Errors: -EINVAL (options that a Unix socket does not have; gro, v6only and those of ports are
 * ignored where they mean nothing), -EMFILE, as socket(2). */
OURO_API OURO_NODISCARD int ouro_datagram_open(ouro_conn *out, int family,
                                               const struct ouro_datagram_options *options);

/* Opens one bound to `addr`, by the rules of ouro_listen(): shards that bind the same UDP address
 * share it through SO_REUSEPORT (port 0 is chosen once), and the kernel gives all datagrams of one
 * sender to one of them; a Unix socket is bound by the first, with one queue for all; a path is
 * removed at the last close. What is queued at a close is lost. Does not wait. Errors: as above and
 * bind(2); -EADDRINUSE also when another process is there. */
OURO_API OURO_NODISCARD int ouro_datagram_bind(ouro_conn *out, const struct ouro_addr *addr,
                                               const struct ouro_datagram_options *options);

/* Sets or replaces the default peer, from which alone datagrams are then received (those queued
 * before stay); NULL: none any more. */
struct ouro_datagram_connect {
    struct ouro_op op;
    struct ouro_addr peer;
};
OURO_API void ouro_datagram_connect_start(struct ouro_datagram_connect *c, ouro_conn conn,
                                          const struct ouro_addr *peer);

static inline int ouro_datagram_connect(ouro_conn conn, const struct ouro_addr *peer)
{
    struct ouro_datagram_connect c;

    ouro_datagram_connect_start(&c, conn, peer);
    return ouro_await(&c.op.future);
}

struct ouro_datagram_info {
    size_t size;      /* sizeof(struct ouro_datagram_info), set by the caller */
    bool gso;         /* ouro_send_segments works */
    bool gro;         /* received datagrams may be joined */
    uint64_t dropped; /* datagrams lost here for want of room in the socket's queue */
};

/* What the kernel granted, and what it lost. Does not wait. -EPROTOTYPE: not a datagram socket. */
OURO_API int ouro_datagram_info(ouro_conn conn, struct ouro_datagram_info *out);

/* --- sending -----------------------------------------------------------------------------------
 */

/* Sends one datagram to `to`, which is copied (NULL: the default peer). The result is len. Over a
 * Unix socket a call of several steps. */
struct ouro_send_to {
    struct ouro_op op;
    struct ouro_task task;
    struct ouro_op step;
    struct ouro_timer again;
    ouro_conn conn;
    struct msghdr header;
    struct iovec part;
    struct ouro_addr to;
    char control[CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8)));
};
OURO_API void ouro_send_to_start(struct ouro_send_to *s, ouro_conn conn, const void *buf,
                                 size_t len, const struct ouro_addr *to);

static inline ssize_t ouro_send_to(ouro_conn conn, const void *buf, size_t len,
                                   const struct ouro_addr *to)
{
    struct ouro_send_to s;

    ouro_send_to_start(&s, conn, buf, len, to);
    return ouro_await(&s.op.future);
}

/* Sends buf as UDP datagrams of segment_bytes each, the last one with what is left, in one pass
 * through the kernel (UDP_SEGMENT): all or none. The result is len. -EOPNOTSUPP: not UDP, or the
 * kernel cannot (info.gso); send them one by one. -EMSGSIZE: more than one datagram may have in
 * all. -EINVAL: segment_bytes not 1 … 65535, or as the kernel says too many segments (64) or one
 * that does not fit the path. */
OURO_API void ouro_send_segments_start(struct ouro_send_to *s, ouro_conn conn, const void *buf,
                                       size_t len, size_t segment_bytes,
                                       const struct ouro_addr *to);

static inline ssize_t ouro_send_segments(ouro_conn conn, const void *buf, size_t len,
                                         size_t segment_bytes, const struct ouro_addr *to)
{
    struct ouro_send_to s;

    ouro_send_segments_start(&s, conn, buf, len, segment_bytes, to);
    return ouro_await(&s.op.future);
}

/* --- receiving ---------------------------------------------------------------------------------
 */

/* A datagram that was received. With options.gro it may be several of one sender, joined:
 * segment_bytes each, the last one with what is left. */
struct ouro_datagram {
    char *data;
    uint32_t len;           /* bytes at data; 0 is an empty datagram */
    uint32_t full_len;      /* that were sent */
    bool truncated;         /* full_len > len: the rest did not fit and is lost */
    uint16_t segment_bytes; /* 0: this is one datagram */
    unsigned interface;     /* where it came in; options.destination, else 0 */
    struct ouro_addr from;  /* empty: a nameless Unix sender */
    struct ouro_addr to;    /* where it was sent, port 0; options.destination, else empty */
    struct ouro_buf buf;    /* from a source: the lease on data; else {0} */
};

/* Receives one datagram; what does not fit is lost. The result is its full length, as it was sent:
 * it was truncated when that is more than len. Unlike a stream there is no end: 0 is an empty one.
 */
#define OURO_DATAGRAM_CONTROL_BYTES 128
struct ouro_recv_from {
    struct ouro_op op;
    struct msghdr header;
    struct iovec part;
    struct ouro_addr from;
    char control[OURO_DATAGRAM_CONTROL_BYTES] __attribute__((aligned(8)));
};
OURO_API void ouro_recv_from_start(struct ouro_recv_from *r, ouro_conn conn, void *buf, size_t len);

/* All about the datagram of a receive that is DONE. Its result (-errno: there is none, *out is
 * untouched), or -EINVAL when it is not DONE. */
OURO_API int ouro_recv_from_read(const struct ouro_recv_from *r, struct ouro_datagram *out);

/* Also the sender's address, unless `from` is NULL. */
static inline ssize_t ouro_recv_from(ouro_conn conn, void *buf, size_t len, struct ouro_addr *from)
{
    struct ouro_recv_from r;
    struct ouro_datagram d;
    ssize_t n;

    ouro_recv_from_start(&r, conn, buf, len);
    n = ouro_await(&r.op.future);
    if (n >= 0 && from != NULL && ouro_recv_from_read(&r, &d) >= 0)
        *from = d.from;
    return n;
}

/* Receives by one multishot operation into provided buffers, as struct ouro_recv_source does and by
 * its rules, with these differences: there is no end of the stream; the buffer size is chosen at
 * open and stays; without a buffer it always waits for one (counters buffers_dry,
 * receives_parked), and what comes meanwhile waits in the socket's queue. Declare it with
 * OURO_DATAGRAM_SOURCE in a fiber's frame. */
struct ouro_datagram_source {
    struct ouro_recv_source recv; /* recv.ready: something can be taken */
    struct msghdr shape;          /* of what stands in front of the data in each buffer */
};

/* Opens it and starts receiving datagrams of up to max_bytes; 0: what a small buffer of the shard
 * has room for. Of a buffer 256 bytes are needed for the address and the like. Longer datagrams are
 * truncated, and say so. hold_max 0: 16. Errors as a start; -EPROTOTYPE: not a datagram socket;
 * -EMSGSIZE: not even options.large_buffer_bytes of the runtime has room for max_bytes, or, where
 * joined datagrams are received (info.gro), for 65,535. */
OURO_API int ouro_datagram_source_open(struct ouro_datagram_source *source, ouro_conn conn,
                                       uint32_t max_bytes, uint32_t hold_max);

/* Takes the next datagram, with a lease in out->buf: out->len, which may be 0; -EAGAIN nothing yet;
 * -ECANCELED the task is cancelled. An error that the network reported (-ECONNREFUSED and the like)
 * is given once and the source goes on; any other has ended it. */
OURO_API int ouro_datagram_take(struct ouro_datagram_source *source, struct ouro_datagram *out);

/* Waits until there is one and takes it. */
static inline int ouro_datagram_next(struct ouro_datagram_source *source, struct ouro_datagram *out)
{
    int n = ouro_datagram_take(source, out);

    while (n == -EAGAIN) {
        int error = ouro_await(&source->recv.ready);

        if (error < 0)
            return error;
        n = ouro_datagram_take(source, out);
    }
    return n;
}

/* As ouro_recv_source_close and ouro_recv_source_stop; queued datagrams are dropped. */
static inline int ouro_datagram_source_close(struct ouro_datagram_source *source)
{
    return source != NULL ? ouro_recv_source_close(&source->recv) : -EINVAL;
}

static inline void ouro_datagram_source_stop(struct ouro_datagram_source *source)
{
    if (source != NULL)
        ouro_recv_source_stop(&source->recv);
}

/* Declares one that is closed on every way out of the block. */
#define OURO_DATAGRAM_SOURCE(name)                                                                 \
    struct ouro_datagram_source name __attribute__((cleanup(ouro_datagram_source_cleanup))) = {}

static inline void ouro_datagram_source_cleanup(struct ouro_datagram_source *source)
{
    ouro_datagram_source_close(source);
}

/* --- multicast ---------------------------------------------------------------------------------
 */

/* The number of a network interface, from its name or that number as text; -ENODEV: none has it. */
OURO_API int ouro_interface(const char *name);

/* Begins or ends receiving what is sent to the group's address (its port does not matter, the
 * socket's does) and comes in at `interface` (0: the kernel chooses by its routes); with `source`
 * only what that address sends. A socket receives the groups that it joined itself and no others;
 * shards that share a port receive a copy each. May wait, as ouro_setsockopt. Errors: -EINVAL not a
 * multicast address, or a source of another family; -EADDRINUSE joined already; -EADDRNOTAVAIL
 * leaving what was not joined; -ENODEV; -ENOBUFS net.ipv4.igmp_max_memberships. */
OURO_API int ouro_multicast_join(ouro_conn conn, const struct ouro_addr *group, unsigned interface,
                                 const struct ouro_addr *source);
OURO_API int ouro_multicast_leave(ouro_conn conn, const struct ouro_addr *group, unsigned interface,
                                  const struct ouro_addr *source);

OURO_END_DECLS

#endif
