/* SPDX-License-Identifier: MIT */
/* A source of datagrams is a receive source (shard/recv_source.c) whose buffers begin with what
 * recvmsg says about each:
 *
 *     │ struct io_uring_recvmsg_out │ name        │ control data │ payload …
 *     0                             16            128            256
 *
 * Unix sockets get no room for control data: it could only be descriptors, which nobody asked for
 * and would close. The name's room is as much larger there.
 */
#include "io/datagram.h"
#include "base/addr_rules.h"
#include "shard/recv_source.h"

#include <netinet/udp.h>
#include <string.h>

#define NAME_BYTES    112 /* the longest is a Unix path's, 110 */
#define CONTROL_BYTES OURO_DATAGRAM_CONTROL_BYTES
#define HEAD_BYTES    (sizeof(struct io_uring_recvmsg_out) + NAME_BYTES + CONTROL_BYTES)
#define JOINED_BYTES  65535 /* the most that the kernel joins */

_Static_assert(sizeof(struct sockaddr_un) <= NAME_BYTES, "a name has room");
_Static_assert(HEAD_BYTES == 256, "as the contract and the drawing say");

/* --- what stands in front -------------------------------------------------------------------- */

static void read_destination(struct ouro_datagram *out, const struct cmsghdr *c)
{
    struct in_pktinfo v4;
    struct in6_pktinfo v6;

    if (c->cmsg_level == IPPROTO_IP) {
        memcpy(&v4, CMSG_DATA(c), sizeof v4);
        out->interface = (unsigned)v4.ipi_ifindex;
        out->to.len = sizeof out->to.in4;
        out->to.in4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = v4.ipi_addr};
        return;
    }
    memcpy(&v6, CMSG_DATA(c), sizeof v6);
    out->interface = v6.ipi6_ifindex;
    out->to.len = sizeof out->to.in6;
    out->to.in6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6,
                              .sin6_addr = v6.ipi6_addr,
                              .sin6_scope_id = addr_is_scoped(&v6.ipi6_addr) ? v6.ipi6_ifindex : 0};
}

static void read_control(struct ouro_datagram *out, const struct cmsghdr *c)
{
    int bytes;

    if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
        (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)) {
        read_destination(out, c);
    } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
        memcpy(&bytes, CMSG_DATA(c), sizeof bytes);
        out->segment_bytes = (uint16_t)bytes;
    }
}

void datagram_read(struct ouro_datagram *out, const struct msghdr *m, void *data, size_t room,
                   uint32_t full_len)
{
    struct msghdr control = {.msg_control = m->msg_control, .msg_controllen = m->msg_controllen};

    *out = (struct ouro_datagram){
        .data = data,
        .len = full_len < room ? full_len : (uint32_t)room,
        .full_len = full_len,
        .truncated = full_len > room,
    };
    /* Refused, it stays empty: a nameless sender. */
    (void)!ouro_addr_from_sockaddr(&out->from, m->msg_name, m->msg_namelen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&control); c != NULL; c = CMSG_NXTHDR(&control, c))
        read_control(out, c);
}

/* --- the source ------------------------------------------------------------------------------ */

/* The pool whose buffers have room for `bytes`; -EMSGSIZE: none. */
static int pool_for(const struct shard *s, size_t bytes)
{
    for (int i = 0; i < 2; i++)
        if (s->pools[i].br != NULL && s->pools[i].bytes >= HEAD_BYTES + bytes)
            return i;
    return -EMSGSIZE;
}

int ouro_datagram_source_open(struct ouro_datagram_source *source, ouro_conn conn,
                              uint32_t max_bytes, uint32_t hold_max)
{
    struct shard *s = shard_self;
    struct slot *slot;
    int error, pool;

    if (source == NULL)
        return -EINVAL;
    *source = (struct ouro_datagram_source){0};
    op_refuse(&source->recv.op, -EINVAL);
    error = datagram_slot(s, conn, &slot);
    if (error != 0)
        return error;
    source->shape.msg_controllen = slot->local ? 0 : CONTROL_BYTES;
    source->shape.msg_namelen =
        NAME_BYTES + CONTROL_BYTES - (socklen_t)source->shape.msg_controllen;
    pool = pool_for(s, datagram_has_gro(slot) ? JOINED_BYTES : max_bytes != 0 ? max_bytes : 1);
    if (pool < 0)
        return pool;
    return recv_source_open(&source->recv, conn, hold_max, &source->shape, (unsigned)pool,
                            __builtin_return_address(0));
}

int ouro_datagram_take(struct ouro_datagram_source *source, struct ouro_datagram *out)
{
    struct io_uring_recvmsg_out head;
    struct msghdr m;
    struct ouro_buf buf;
    int n;

    if (source == NULL || out == NULL)
        return -EINVAL;
    n = ouro_recv_take(&source->recv, &buf);
    if (n < 0)
        return n;
    ensure((size_t)n >= HEAD_BYTES, "a received message of %d bytes", n);
    memcpy(&head, buf.data, sizeof head);
    m = (struct msghdr){
        .msg_name = buf.data + sizeof head,
        .msg_namelen = head.namelen,
        .msg_control = buf.data + sizeof head + NAME_BYTES,
        .msg_controllen = head.controllen,
    };
    datagram_read(out, &m, buf.data + HEAD_BYTES, (size_t)n - HEAD_BYTES, head.payloadlen);
    out->buf = buf;
    return (int)out->len;
}
