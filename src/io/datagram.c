/* SPDX-License-Identifier: MIT */
/* Datagrams: opening sockets, sending, receiving one at a time. */
#include "io/datagram.h"
#include "io/port.h"
#include "io/sockopt.h"
#include "shard/op.h"

#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

/* --- opening --------------------------------------------------------------------------------- */

static int set(int fd, int level, int name, unsigned value)
{
    return setsockopt(fd, level, name, &value, sizeof value) != 0 ? -errno : 0;
}

static int set_multicast(int fd, int family, const struct ouro_datagram_options *o)
{
    bool v4 = family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, error;
    const struct ip_mreqn by_number = {.imr_ifindex = (int)o->multicast_interface};

    /* Without this it would get what any other process has joined. */
    error = set(fd, level, v4 ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL, 0);
    if (error == 0 && o->multicast_ttl != 0)
        error = set(fd, level, v4 ? IP_MULTICAST_TTL : IPV6_MULTICAST_HOPS, o->multicast_ttl);
    if (error == 0 && o->multicast_no_loop)
        error = set(fd, level, v4 ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP, 0);
    if (error == 0 && o->multicast_interface != 0 && v4 &&
        setsockopt(fd, level, IP_MULTICAST_IF, &by_number, sizeof by_number) != 0)
        error = -errno;
    if (error == 0 && o->multicast_interface != 0 && !v4)
        error = set(fd, level, IPV6_MULTICAST_IF, o->multicast_interface);
    return error;
}

static int set_ip(int fd, int family, const struct ouro_datagram_options *o)
{
    int error = set_multicast(fd, family, o);

    if (error == 0 && o->broadcast)
        error = set(fd, SOL_SOCKET, SO_BROADCAST, 1);
    if (error == 0 && o->destination)
        error = family == AF_INET ? set(fd, IPPROTO_IP, IP_PKTINFO, 1)
                                  : set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (error == 0 && o->gro)
        (void)set(fd, SOL_UDP, UDP_GRO, 1); /* a wish */
    return error;
}

static int prepare(int fd, int family, const void *options)
{
    const struct ouro_datagram_options *o = options;
    int error = 0;

    if (o->send_buffer_bytes != 0)
        error = set(fd, SOL_SOCKET, SO_SNDBUF, o->send_buffer_bytes);
    if (error == 0 && o->receive_buffer_bytes != 0)
        error = set(fd, SOL_SOCKET, SO_RCVBUF, o->receive_buffer_bytes);
    return error != 0 || family == AF_UNIX ? error : set_ip(fd, family, o);
}

static int take_options(struct ouro_datagram_options *out, const struct ouro_datagram_options *in,
                        int family)
{
    bool ip_only;

    *out = (struct ouro_datagram_options){.size = sizeof *out};
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return -EAFNOSUPPORT;
    if (in == NULL)
        return 0;
    if (in->size != sizeof *in)
        return -EINVAL;
    *out = *in;
    ip_only = in->broadcast || in->destination || in->multicast_no_loop || in->multicast_ttl != 0 ||
              in->multicast_interface != 0;
    return family == AF_UNIX && ip_only ? -EINVAL : 0;
}

/* Gives the socket a handle; closes it if there is none. */
static int begin(struct shard *s, ouro_conn *out, int fd, struct port *port)
{
    struct slot *slot = slots_take(&s->slots, fd, SLOT_CONN);

    if (slot == NULL) {
        close(fd);
        port_close(s->number, port);
        return -EMFILE;
    }
    slot->object = port;
    slot->gso = sockopt_has_gso(fd);
    out->id = slot->id;
    return 0;
}

int ouro_datagram_open(ouro_conn *out, int family, const struct ouro_datagram_options *options)
{
    struct shard *s = shard_self;
    struct ouro_datagram_options o;
    int fd, error;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (out == NULL)
        return -EINVAL;
    error = take_options(&o, options, family);
    if (error != 0)
        return error;
    fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    error = prepare(fd, family, &o);
    if (error == 0 && family == AF_INET6)
        error = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, o.v6only);
    if (error != 0) {
        close(fd);
        return error;
    }
    return begin(s, out, fd, NULL);
}

int ouro_datagram_bind(ouro_conn *out, const struct ouro_addr *addr,
                       const struct ouro_datagram_options *options)
{
    struct shard *s = shard_self;
    struct ouro_datagram_options o;
    struct port_request request;
    struct ouro_addr bound;
    struct port *port;
    int fd, error;

    if (s == NULL)
        return -OURO_ENOSHARD;
    if (out == NULL || addr == NULL)
        return -EINVAL;
    error = take_options(&o, options, ouro_addr_family(addr));
    if (error != 0)
        return error;
    request = (struct port_request){.type = SOCK_DGRAM,
                                    .v6only = o.v6only,
                                    .share_port = o.share_port,
                                    .private_port = o.private_port,
                                    .prepare = prepare,
                                    .options = &o};
    fd = port_open(s->number, addr, &request, &port, &bound);
    return fd < 0 ? fd : begin(s, out, fd, port);
}

void ouro_datagram_connect_start(struct ouro_datagram_connect *c, ouro_conn conn,
                                 const struct ouro_addr *peer)
{
    static const struct ouro_addr nobody = {.len = sizeof(struct sockaddr)};
    struct io_uring_sqe *sqe;
    struct slot *slot;

    if (peer != NULL && peer->len > sizeof peer->un) {
        op_refuse(&c->op, -EINVAL);
        return;
    }
    sqe = op_begin_on(shard_self, &c->op, conn.id, SLOT_CONN, IORING_OP_CONNECT, CALLER, &slot);
    if (sqe == NULL)
        return;
    c->peer = peer != NULL ? *peer : nobody;
    io_uring_prep_connect(sqe, 0, &c->peer.sa, c->peer.len);
    op_go(&c->op, sqe, slot, TAG_OP);
}

/* --- what it is ------------------------------------------------------------------------------ */

int datagram_slot(struct shard *s, ouro_conn conn, struct slot **out)
{
    int type = 0;
    socklen_t len = sizeof type;

    if (s == NULL)
        return -OURO_ENOSHARD;
    *out = slots_find(&s->slots, conn.id, SLOT_CONN);
    if (*out == NULL)
        return slots_missing(&s->slots, conn.id);
    /* Datagram sockets have ordinary descriptors. */
    if ((*out)->direct || getsockopt((*out)->fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
        type != SOCK_DGRAM)
        return -EPROTOTYPE;
    return 0;
}

bool datagram_has_gro(const struct slot *slot)
{
    int on = 0;
    socklen_t len = sizeof on;

    return getsockopt(slot->fd, SOL_UDP, UDP_GRO, &on, &len) == 0 && on != 0;
}

int ouro_datagram_info(ouro_conn conn, struct ouro_datagram_info *out)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof memory;
    struct slot *slot;
    int error = datagram_slot(shard_self, conn, &slot);

    if (error != 0)
        return error;
    if (out == NULL || out->size != sizeof *out)
        return -EINVAL;
    if (getsockopt(slot->fd, SOL_SOCKET, SO_MEMINFO, memory, &len) != 0)
        return -errno;
    out->gso = slot->gso;
    out->gro = datagram_has_gro(slot);
    out->dropped = memory[SK_MEMINFO_DROPS];
    return 0;
}

/* --- sending --------------------------------------------------------------------------------- */

static void ask_segments(struct ouro_send_to *o, uint16_t bytes)
{
    struct cmsghdr *c = &o->control.align;

    memset(&o->control, 0, sizeof o->control);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof bytes);
    memcpy(CMSG_DATA(c), &bytes, sizeof bytes);
    o->header.msg_control = &o->control;
    o->header.msg_controllen = sizeof o->control.bytes;
}

static bool bad_range(const void *buf, size_t len)
{
    return len > INT32_MAX || (buf == NULL && len != 0);
}

static void send_start(struct ouro_send_to *o, ouro_conn conn, struct iovec part, uint16_t segment,
                       const struct ouro_addr *to, const void *place)
{
    struct shard *s = shard_self;
    struct io_uring_sqe *sqe;
    struct slot *slot;

    if (bad_range(part.iov_base, part.iov_len) || (to != NULL && to->len > sizeof to->un)) {
        op_refuse(&o->op, -EINVAL);
        return;
    }
    slot = s != NULL ? slots_find(&s->slots, conn.id, SLOT_CONN) : NULL;
    if (segment != 0 && slot != NULL && !slot->gso) {
        op_refuse(&o->op, -EOPNOTSUPP);
        return;
    }
    sqe = op_begin_on(s, &o->op, conn.id, SLOT_CONN, IORING_OP_SENDMSG, place, &slot);
    if (sqe == NULL)
        return;
    o->part = part;
    o->header = (struct msghdr){.msg_iov = &o->part, .msg_iovlen = 1};
    if (to != NULL) {
        o->to = *to;
        o->header.msg_name = &o->to.sa;
        o->header.msg_namelen = o->to.len;
    }
    if (segment != 0)
        ask_segments(o, segment);
    io_uring_prep_sendmsg(sqe, 0, &o->header, MSG_NOSIGNAL);
    op_go(&o->op, sqe, slot, TAG_OP);
}

static struct iovec part_of(const void *buf, size_t len)
{
    return (struct iovec){(void *)(uintptr_t)buf, len};
}

void ouro_send_to_start(struct ouro_send_to *o, ouro_conn conn, const void *buf, size_t len,
                        const struct ouro_addr *to)
{
    send_start(o, conn, part_of(buf, len), 0, to, CALLER);
}

void ouro_send_segments_start(struct ouro_send_to *o, ouro_conn conn, const void *buf, size_t len,
                              size_t segment_bytes, const struct ouro_addr *to)
{
    if (segment_bytes == 0 || segment_bytes > UINT16_MAX)
        op_refuse(&o->op, -EINVAL);
    else
        send_start(o, conn, part_of(buf, len), (uint16_t)segment_bytes, to, CALLER);
}

/* --- receiving ------------------------------------------------------------------------------- */

void ouro_recv_from_start(struct ouro_recv_from *r, ouro_conn conn, void *buf, size_t len)
{
    struct io_uring_sqe *sqe;
    struct slot *slot;

    if (bad_range(buf, len)) {
        op_refuse(&r->op, -EINVAL);
        return;
    }
    sqe = op_begin_on(shard_self, &r->op, conn.id, SLOT_CONN, IORING_OP_RECVMSG, CALLER, &slot);
    if (sqe == NULL)
        return;
    r->part = (struct iovec){buf, len};
    r->header = (struct msghdr){.msg_name = &r->from.sa,
                                .msg_namelen = sizeof r->from.un,
                                .msg_iov = &r->part,
                                .msg_iovlen = 1,
                                .msg_control = &r->control,
                                .msg_controllen = sizeof r->control};
    io_uring_prep_recvmsg(sqe, 0, &r->header, MSG_TRUNC);
    op_go(&r->op, sqe, slot, TAG_OP);
}

int ouro_recv_from_read(const struct ouro_recv_from *r, struct ouro_datagram *out)
{
    if (r == NULL || out == NULL || r->op.future.state != OURO_DONE)
        return -EINVAL;
    if (r->op.future.result < 0)
        return r->op.future.result;
    datagram_read(out, &r->header, r->part.iov_base, r->part.iov_len,
                  (uint32_t)r->op.future.result);
    return r->op.future.result;
}
