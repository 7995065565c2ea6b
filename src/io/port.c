/* SPDX-License-Identifier: MIT */
#include "io/port.h"
#include "shard/mesh.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct port {
    struct port *next;
    struct ouro_addr asked, bound;
    int type;                                /* of socket */
    uint64_t shards[OURO_MAX_SHARDS / 64];   /* which have it open */
    uint64_t refusing[OURO_MAX_SHARDS / 64]; /* which of these want no new peers */
    unsigned users, refusers;
    bool own;     /* of one shard: not for the others */
    int unix_fd;  /* what the others duplicate, -1: not a Unix socket */
    dev_t device; /* and its file */
    ino_t inode;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct port *ports;

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) != 0 ? -errno : 0;
}

static int duplicate(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? -errno : copy;
}

static bool abstract(const struct ouro_addr *a)
{
    return a->un.sun_path[0] == '\0';
}

/* A socket file that nobody has open any more was left by a process that died. */
static void remove_stale(const struct ouro_addr *a)
{
    struct stat st;
    int fd;

    if (abstract(a) || stat(a->un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    /* A listener sees no connection of it: EPROTOTYPE. */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, &a->sa, a->len) != 0 && errno == ECONNREFUSED)
        unlink(a->un.sun_path);
    close(fd);
}

/* `first`: nobody of this process is bound there yet. */
static int prepare(int fd, const struct ouro_addr *a, const struct port_request *o, bool first)
{
    int family = ouro_addr_family(a);
    int error = 0;

    if (family != AF_UNIX && o->type == SOCK_STREAM) /* others could take a datagram port over */
        error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0 && family == AF_INET6)
        error = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6only);
    if (error == 0 && family != AF_UNIX && (!first || o->share_port))
        error = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    return error != 0 ? error : o->prepare(fd, family, o->options);
}

static int open_socket(const struct ouro_addr *a, const struct port_request *o, bool first,
                       struct ouro_addr *bound)
{
    int family = ouro_addr_family(a);
    int fd = socket(family, o->type | SOCK_CLOEXEC, 0), error;
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;

    if (fd < 0)
        return -errno;
    if (family == AF_UNIX)
        remove_stale(a);
    error = prepare(fd, a, o, first);
    if (error == 0 && bind(fd, &a->sa, a->len) != 0)
        error = -errno;
    if (error == 0 && family != AF_UNIX && first && !o->private_port)
        error = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (error == 0 && o->type == SOCK_STREAM && listen(fd, o->backlog) != 0)
        error = -errno;
    if (error == 0 && getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        error = -errno;
    if (error == 0)
        error = ouro_addr_from_sockaddr(bound, (struct sockaddr *)&ss, len);
    if (error != 0)
        close(fd);
    return error != 0 ? error : fd;
}

static void set_bit(uint64_t *bits, unsigned i, unsigned *count)
{
    *count += (bits[i / 64] >> (i % 64) & 1) == 0;
    bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void clear_bit(uint64_t *bits, unsigned i, unsigned *count)
{
    *count -= (bits[i / 64] >> (i % 64) & 1) != 0;
    bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static bool has(const struct port *p, unsigned shard)
{
    return (p->shards[shard / 64] >> (shard % 64) & 1) != 0;
}

/* The entry that another shard opened and this one has not: the oldest, so that shards which open
 * several on port 0 in the same order share them in that order. */
static struct port *find(unsigned shard, const struct ouro_addr *a, int type)
{
    for (struct port *p = ports; p != NULL; p = p->next)
        if (!p->own && p->type == type && !has(p, shard) &&
            (ouro_addr_equal(&p->asked, a) || ouro_addr_equal(&p->bound, a)))
            return p;
    return NULL;
}

static void note_file(struct port *p)
{
    struct stat st;

    if (!abstract(&p->bound) && lstat(p->bound.un.sun_path, &st) == 0) {
        p->device = st.st_dev;
        p->inode = st.st_ino;
    }
}

/* Unless somebody has put another one in its place. */
static void remove_file(const struct port *p)
{
    struct stat st;

    if (!abstract(&p->bound) && lstat(p->bound.un.sun_path, &st) == 0 && st.st_dev == p->device &&
        st.st_ino == p->inode)
        unlink(p->bound.un.sun_path);
}

static int open_first(const struct ouro_addr *a, const struct port_request *o, struct port **out)
{
    struct port *p = calloc(1, sizeof *p), **at;
    int fd;

    if (p == NULL)
        return -ENOMEM;
    p->asked = *a;
    p->type = o->type;
    p->unix_fd = -1;
    fd = open_socket(a, o, true, &p->bound);
    if (fd >= 0 && ouro_addr_family(a) == AF_UNIX) {
        note_file(p);
        p->unix_fd = duplicate(fd);
        if (p->unix_fd < 0) {
            close(fd);
            fd = p->unix_fd;
        }
    }
    if (fd < 0) {
        free(p);
        return fd;
    }
    for (at = &ports; *at != NULL; at = &(*at)->next)
        continue;
    *at = p;
    *out = p;
    return fd;
}

static int open_another(struct port *p, const struct port_request *o)
{
    struct ouro_addr bound;

    return p->unix_fd >= 0 ? duplicate(p->unix_fd) : open_socket(&p->bound, o, false, &bound);
}

int port_open(unsigned shard, const struct ouro_addr *addr, const struct port_request *o,
              struct port **port, struct ouro_addr *bound)
{
    struct port *p;
    int fd;

    *port = NULL;
    pthread_mutex_lock(&lock);
    p = o->private_port ? NULL : find(shard, addr, o->type);
    fd = p != NULL ? open_another(p, o) : open_first(addr, o, &p);
    if (fd >= 0) {
        p->own = p->own || o->private_port;
        set_bit(p->shards, shard, &p->users);
        *bound = p->bound;
        *port = p;
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

/* A classic BPF program that drops segments with SYN and without ACK; it sees the TCP header first.
 * Accepted connections inherit it, and never see such a segment. */
static void ignore_requests(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),          BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};

    /* Refused: peers come in until the close, as without it. */
    (void)!setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void port_refuse(unsigned shard, struct port *port, int fd, int family)
{
    if (family != AF_UNIX) {
        ignore_requests(fd);
        return;
    }
    if (port == NULL) {
        shutdown(fd, SHUT_RD);
        return;
    }
    pthread_mutex_lock(&lock);
    set_bit(port->refusing, shard, &port->refusers);
    if (port->refusers == port->users)
        shutdown(fd, SHUT_RD);
    pthread_mutex_unlock(&lock);
}

void port_give_out(unsigned shard, struct port *port)
{
    if (port == NULL)
        return;
    pthread_mutex_lock(&lock);
    port->inode = 0; /* matches no file: none is removed */
    pthread_mutex_unlock(&lock);
    port_close(shard, port);
}

void port_close(unsigned shard, struct port *port)
{
    struct port **at = &ports;

    if (port == NULL)
        return;
    pthread_mutex_lock(&lock);
    clear_bit(port->refusing, shard, &port->refusers);
    clear_bit(port->shards, shard, &port->users);
    if (port->users == 0) {
        while (*at != port)
            at = &(*at)->next;
        *at = port->next;
        if (port->unix_fd >= 0) {
            remove_file(port);
            close(port->unix_fd);
        }
        free(port);
    }
    pthread_mutex_unlock(&lock);
}
