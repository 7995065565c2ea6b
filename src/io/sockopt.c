/* SPDX-License-Identifier: MIT */
#include "io/sockopt.h"
#include "io/ordinary.h"
#include "shard/op.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static struct sockopt number(int level, int name, bool set, uint32_t value)
{
    return (struct sockopt){
        .level = level, .name = name, .len = set ? sizeof(int) : 0, .value.number = (int)value};
}

bool sockopt_at(const struct ouro_socket_options *o, int family, unsigned i, struct sockopt *out)
{
    bool tcp = family != AF_UNIX;

    switch (i) {
    case 0:
        *out = number(IPPROTO_TCP, TCP_NODELAY, tcp && !o->delay, 1);
        return true;
    case 1:
        *out = number(SOL_SOCKET, SO_KEEPALIVE, o->keepalive, 1);
        return true;
    case 2:
        *out =
            number(IPPROTO_TCP, TCP_KEEPIDLE, tcp && o->keepalive_idle_s != 0, o->keepalive_idle_s);
        return true;
    case 3:
        *out = number(IPPROTO_TCP, TCP_KEEPINTVL, tcp && o->keepalive_interval_s != 0,
                      o->keepalive_interval_s);
        return true;
    case 4:
        *out = number(IPPROTO_TCP, TCP_KEEPCNT, tcp && o->keepalive_count != 0, o->keepalive_count);
        return true;
    case 5:
        *out = number(SOL_SOCKET, SO_SNDBUF, o->send_buffer_bytes != 0, o->send_buffer_bytes);
        return true;
    case 6:
        *out = number(SOL_SOCKET, SO_RCVBUF, o->receive_buffer_bytes != 0, o->receive_buffer_bytes);
        return true;
    case 7:
        *out = (struct sockopt){.level = SOL_SOCKET,
                                .name = SO_LINGER,
                                .len = o->linger ? sizeof(struct linger) : 0,
                                .value.linger = {.l_onoff = 1, .l_linger = o->linger_s}};
        return true;
    default:
        return false;
    }
}

int sockopt_apply(int fd, const struct ouro_socket_options *o, int family)
{
    struct sockopt x;

    for (unsigned i = 0; sockopt_at(o, family, i, &x); i++)
        if (x.len != 0 && setsockopt(fd, x.level, x.name, &x.value, x.len) != 0)
            return -errno;
    return 0;
}

int sockopt_take(struct ouro_socket_options *out, const struct ouro_socket_options *in)
{
    *out = (struct ouro_socket_options){.size = sizeof *out};
    if (in == NULL || in->size == 0)
        return 0;
    if (in->size != sizeof *in)
        return -EINVAL;
    *out = *in;
    return 0;
}

/* --- any option, addresses: on direct descriptors by way of an ordinary one ------------------ */

static int name_of(ouro_conn conn, struct ouro_addr *out,
                   int (*get)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;
    bool borrowed;
    int fd, error;

    if (out == NULL)
        return -EINVAL;
    fd = ordinary_of(shard_self, conn.id, SLOT_CONN, &borrowed);
    if (fd < 0)
        return fd;
    error = get(fd, (struct sockaddr *)&ss, &len) != 0 ? -errno : 0;
    if (!borrowed)
        close(fd);
    return error != 0 ? error : ouro_addr_from_sockaddr(out, (struct sockaddr *)&ss, len);
}

int ouro_peer_addr(ouro_conn conn, struct ouro_addr *out)
{
    return name_of(conn, out, getpeername);
}

int ouro_local_addr(ouro_conn conn, struct ouro_addr *out)
{
    return name_of(conn, out, getsockname);
}

int ouro_setsockopt(ouro_conn conn, int level, int option, const void *value, socklen_t len)
{
    bool borrowed;
    int fd, error;

    if (value == NULL && len != 0)
        return -EINVAL;
    fd = ordinary_of(shard_self, conn.id, SLOT_CONN, &borrowed);
    if (fd < 0)
        return fd;
    error = setsockopt(fd, level, option, value, len) != 0 ? -errno : 0;
    if (!borrowed)
        close(fd);
    return error;
}

int ouro_getsockopt(ouro_conn conn, int level, int option, void *value, socklen_t *len)
{
    bool borrowed;
    int fd, error;

    if (len == NULL || (value == NULL && *len != 0))
        return -EINVAL;
    fd = ordinary_of(shard_self, conn.id, SLOT_CONN, &borrowed);
    if (fd < 0)
        return fd;
    error = getsockopt(fd, level, option, value, len) != 0 ? -errno : 0;
    if (!borrowed)
        close(fd);
    return error;
}
