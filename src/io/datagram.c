/* SPDX-License-Identifier: MIT */
/* Datagrams: opening sockets, sending, receiving one at a time. */
#include "io/datagram.h"
#include "io/port.h"
#include "shard/op.h"

#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

/* Between two looks at whether a Unix receiver has room again. */
#define AGAIN_NS OURO_NSEC_PER_MSEC

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
    datagram_note(slot);
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

/* A stream would lose what is received with MSG_TRUNC, and its connection to another connect. */
static bool is_stream(struct shard *s, ouro_conn conn)
{
    const struct slot *slot = s != NULL ? slots_find(&s->slots, conn.id, SLOT_CONN) : NULL;

    return slot != NULL && !slot->messages;
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
    if (is_stream(shard_self, conn)) {
        op_refuse(&c->op, -EPROTOTYPE);
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

static bool get(int fd, int level, int name, int *value)
{
    socklen_t len = sizeof *value;

    return getsockopt(fd, level, name, value, &len) == 0;
}

void datagram_note(struct slot *slot)
{
    int domain, type = SOCK_STREAM, segment;

    (void)get(slot->fd, SOL_SOCKET, SO_TYPE, &type);
    slot->messages = type != SOCK_STREAM;
    slot->gso = get(slot->fd, SOL_UDP, UDP_SEGMENT, &segment);
    slot->local = get(slot->fd, SOL_SOCKET, SO_DOMAIN, &domain) && domain == AF_UNIX;
    slot->nowait = slot->local && type == SOCK_DGRAM;
}

int datagram_slot(struct shard *s, ouro_conn conn, struct slot **out)
{
    int type;

    if (s == NULL)
        return -OURO_ENOSHARD;
    *out = slots_find(&s->slots, conn.id, SLOT_CONN);
    if (*out == NULL)
        return slots_missing(&s->slots, conn.id);
    /* Datagram sockets have ordinary descriptors. */
    if ((*out)->direct || !get((*out)->fd, SOL_SOCKET, SO_TYPE, &type) || type != SOCK_DGRAM)
        return -EPROTOTYPE;
    return 0;
}

bool datagram_has_gro(const struct slot *slot)
{
    int on;

    return get(slot->fd, SOL_UDP, UDP_GRO, &on) && on != 0;
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
    struct cmsghdr *c = (struct cmsghdr *)(void *)o->control;

    memset(o->control, 0, sizeof o->control);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof bytes);
    memcpy(CMSG_DATA(c), &bytes, sizeof bytes);
    o->header.msg_control = o->control;
    o->header.msg_controllen = sizeof o->control;
}

static bool bad_range(const void *buf, size_t len)
{
    return len > INT32_MAX || (buf == NULL && len != 0);
}

/* Its memory is the operation's own, or the step's of a call. */
static void send_go(struct shard *s, struct ouro_op *op, struct ouro_send_to *o, const void *place)
{
    struct slot *slot;
    struct io_uring_sqe *sqe =
        op_begin_on(s, op, o->conn.id, SLOT_CONN, IORING_OP_SENDMSG, place, &slot);

    if (sqe == NULL)
        return;
    io_uring_prep_sendmsg(sqe, 0, &o->header, (unsigned)slot_send_flags(slot));
    op_go(op, sqe, slot, TAG_OP);
}

/* Waits until the default peer has room; nobody can wait for another one's. */
static void room_start(struct shard *s, struct ouro_send_to *o)
{
    struct slot *slot;
    struct io_uring_sqe *sqe =
        op_begin_on(s, &o->step, o->conn.id, SLOT_CONN, IORING_OP_POLL_ADD, o->op.place, &slot);

    if (sqe == NULL)
        return;
    io_uring_prep_poll_add(sqe, 0, POLLOUT);
    op_go(&o->step, sqe, slot, TAG_OP);
}

/* Over a Unix socket: what the kernel cannot be left to wait for is tried until there is room. */
static void send_resume(struct ouro_task *task)
{
    struct ouro_send_to *o = OURO_FRAME(task, struct ouro_send_to, task);
    struct shard *s = shard_self;

    OURO_BEGIN(task);
    for (;;) {
        send_go(s, &o->step, o, o->op.place);
        OURO_AWAIT(task, &o->step.future);
        if (o->step.future.result != -EAGAIN)
            break;
        if (o->header.msg_name == NULL) {
            room_start(s, o);
            OURO_AWAIT(task, &o->step.future);
        } else {
            ouro_sleep_start(&o->again, AGAIN_NS);
            OURO_AWAIT(task, &o->again.future);
        }
    }
    CALL_END(task, op_step_result(s, o->conn.id, SLOT_CONN, o->step.future.result));
}

static void prepare_header(struct ouro_send_to *o, struct iovec part, uint16_t segment,
                           const struct ouro_addr *to)
{
    o->part = part;
    o->header = (struct msghdr){.msg_iov = &o->part, .msg_iovlen = 1};
    if (to != NULL) {
        o->to = *to;
        o->header.msg_name = &o->to.sa;
        o->header.msg_namelen = o->to.len;
    }
    if (segment != 0)
        ask_segments(o, segment);
}

static void send_start(struct ouro_send_to *o, ouro_conn conn, struct iovec part, uint16_t segment,
                       const struct ouro_addr *to, const void *place)
{
    struct shard *s = shard_self;
    struct slot *slot = s != NULL ? slots_find(&s->slots, conn.id, SLOT_CONN) : NULL;
    int error = 0;

    if (bad_range(part.iov_base, part.iov_len) || (to != NULL && to->len > sizeof to->un))
        error = -EINVAL;
    else if (slot == NULL)
        error = s == NULL ? -OURO_ENOSHARD : slots_missing(&s->slots, conn.id);
    else if (segment != 0 && !slot->gso)
        error = -EOPNOTSUPP;
    if (error != 0) {
        op_refuse(&o->op, error);
        return;
    }
    check(slot != NULL);
    o->conn = conn;
    prepare_header(o, part, segment, to);
    if (!slot->nowait) {
        send_go(s, &o->op, o, place);
        return;
    }
    o->again = (struct ouro_timer){0};
    call_start(s, (struct call *)&o->op, send_resume, "send_to", place, false);
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
    if (is_stream(shard_self, conn)) {
        op_refuse(&r->op, -EPROTOTYPE);
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
                                .msg_control = r->control,
                                .msg_controllen = sizeof r->control};
    if (slot->local) /* it could only be descriptors, which nobody asked for and would close */
        r->header.msg_controllen = 0;
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
