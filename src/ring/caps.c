/* SPDX-License-Identifier: MIT */
#include "ring/caps.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int read_sysctl(const char *path)
{
    FILE *f = fopen(path, "re");
    int v = -1;

    if (f == NULL)
        return -1;
    if (fscanf(f, "%d", &v) != 1)
        v = -1;
    fclose(f);
    return v;
}

void caps_explain(int error, char *why, size_t why_bytes)
{
    int disabled = read_sysctl("/proc/sys/kernel/io_uring_disabled");

    if (why == NULL)
        return;
    switch (error) {
    case -EPERM:
        if (disabled > 0)
            snprintf(
                why, why_bytes,
                "io_uring is forbidden here by the sysctl kernel.io_uring_disabled = %d; set it "
                "to 0%s",
                disabled, disabled == 1 ? ", or put this user into kernel.io_uring_group" : "");
        else
            snprintf(
                why, why_bytes,
                "io_uring is forbidden here by a seccomp filter or security module (EPERM); "
                "allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
                "seccomp profile");
        break;
    case -ENOSYS:
        snprintf(why, why_bytes,
                 "this kernel has no io_uring, or a seccomp filter hides it (ENOSYS); Linux 6.1 or "
                 "later is needed, and a profile that allows the io_uring calls");
        break;
    case -ENOMEM:
        snprintf(
            why, why_bytes,
            "no memory for an io_uring (ENOMEM); raise the memlock limit (ulimit -l) or ask for "
            "smaller queues");
        break;
    case -EMFILE:
    case -ENFILE:
        snprintf(why, why_bytes, "no descriptor left for an io_uring; raise the limit (ulimit -n)");
        break;
    default:
        snprintf(why, why_bytes, "io_uring_setup failed: %s", strerror(-error));
    }
}

void caps_explain_late(int error, char *why, size_t why_bytes)
{
    if (why == NULL)
        return;
    switch (error) {
    case -EPERM:
    case -EACCES:
    case -ENOSYS:
        snprintf(
            why, why_bytes,
            "io_uring is half forbidden here: io_uring_setup is allowed, io_uring_enter or "
            "io_uring_register is not (%s); allow all three in the container's seccomp profile",
            strerror(-error));
        break;
    case -EOPNOTSUPP:
        snprintf(why, why_bytes,
                 "this kernel's io_uring is too old: it has no zero-copy send, or waits without a "
                 "deadline; Linux 6.1 or later is needed");
        break;
    default:
        snprintf(why, why_bytes, "io_uring was granted but could not be prepared: %s",
                 strerror(-error));
    }
}

static int ask_opcodes(struct ring *r)
{
    size_t bytes = sizeof(struct io_uring_probe) + 256 * sizeof(struct io_uring_probe_op);
    struct io_uring_probe *p = calloc(1, bytes);
    int error;

    if (p == NULL)
        return -ENOMEM;
    error = r->kernel->control(r->u.ring_fd, IORING_REGISTER_PROBE, p, 256);
    if (error >= 0) {
        r->caps.last_op = p->last_op;
        for (unsigned i = 0; i < p->ops_len; i++)
            if ((p->ops[i].flags & IO_URING_OP_SUPPORTED) != 0)
                r->caps.ops[p->ops[i].op / 64] |= UINT64_C(1) << (p->ops[i].op % 64);
    }
    free(p);
    return error < 0 ? error : 0;
}

/* The table cannot be larger than RLIMIT_NOFILE. */
static void register_table(struct ring *r, unsigned wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && wanted > limit.rlim_cur)
        wanted = (unsigned)limit.rlim_cur;
    for (; wanted >= 16; wanted /= 2) {
        struct io_uring_rsrc_register reg = {.nr = wanted, .flags = IORING_RSRC_REGISTER_SPARSE};

        if (r->kernel->control(r->u.ring_fd, IORING_REGISTER_FILES2, &reg, sizeof reg) >= 0) {
            r->caps.direct = true;
            r->direct_entries = wanted;
            return;
        }
    }
}

/* One operation, start to end, on a ring that is not in use yet. */
static int one(struct ring *r)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    int result = -EAGAIN;

    /* An interrupted call comes back without one. */
    for (int tries = 0; tries < 10 && n == 0; tries++) {
        if (ring_enter(r, OURO_NSEC_PER_SEC) < 0)
            continue;
        ring_for_each_cqe(r, head, cqe)
        {
            result = cqe->res;
            n++;
        }
    }
    ring_advance(r, n);
    return result;
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The first ends of two pairs of sockets become entries 0 and 1 of the table, and only that. */
static bool two_entries(struct ring *r, int *a, int *b)
{
    int fds[2] = {*a, *b};
    struct io_uring_rsrc_update update = {.data = (uintptr_t)fds};
    int n = r->kernel->control(r->u.ring_fd, IORING_REGISTER_FILES_UPDATE, &update, 2);

    shut(a);
    shut(b);
    return n == 2;
}

/* Starts a receive on entry 0, closes entry 1, and looks whether that is seen at its other end. */
static bool seen_closed(struct ring *r, int *a, int *b)
{
    static __thread char received; /* in no frame: the kernel may write it */
    struct io_uring_sqe *sqe = ring_sqe(r);
    char byte;
    bool seen;

    io_uring_prep_recv(sqe, 0, &received, 1, 0);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe = ring_sqe(r);
    io_uring_prep_close_direct(sqe, 1);
    one(r);
    seen = recv(*b, &byte, 1, MSG_DONTWAIT) == 0;
    shut(a); /* ends the receive */
    one(r);
    sqe = ring_sqe(r);
    io_uring_prep_close_direct(sqe, 0);
    one(r);
    return seen;
}

/* Does a direct descriptor that is closed end at once? Before Linux 6.13 the kernel keeps what was
 * taken out of the table until every operation has ended that was started before, on whatever
 * entry: the peer of one connection would hear of its end when another one, idle for hours,
 * receives something. */
static bool closes_promptly(struct ring *r)
{
    int a[2] = {-1, -1}, b[2] = {-1, -1};
    bool seen = false;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) == 0 &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b) == 0 && two_entries(r, &a[0], &b[0]))
        seen = seen_closed(r, &a[1], &b[1]);
    for (int i = 0; i < 2; i++) {
        shut(&a[i]);
        shut(&b[i]);
    }
    return seen;
}

/* A table that serves, or none. */
static void ask_table(struct ring *r, unsigned wanted)
{
    register_table(r, wanted);
    if (!r->caps.direct || closes_promptly(r))
        return;
    r->kernel->control(r->u.ring_fd, IORING_UNREGISTER_FILES, NULL, 0);
    r->caps.direct = false;
    r->direct_entries = 0;
}

/* Can a direct socket be given options, and be made an ordinary descriptor? Tried, with one. */
static bool try_direct_sockets(struct ring *r)
{
    int yes = 1, index, set;
    struct io_uring_sqe *sqe;

    if (!r->caps.direct || !ring_has_op(r, IORING_OP_SOCKET) ||
        !ring_has_op(r, IORING_OP_URING_CMD) || !ring_has_op(r, IORING_OP_FIXED_FD_INSTALL))
        return false;
    sqe = ring_sqe(r);
    io_uring_prep_socket_direct_alloc(sqe, AF_UNIX, SOCK_STREAM, 0, 0);
    index = one(r);
    if (index < 0)
        return false;
    sqe = ring_sqe(r);
    io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_SETSOCKOPT, index, SOL_SOCKET, SO_KEEPALIVE, &yes,
                           sizeof yes);
    sqe->flags |= IOSQE_FIXED_FILE;
    set = one(r);
    sqe = ring_sqe(r);
    io_uring_prep_close_direct(sqe, (unsigned)index);
    one(r);
    return set == 0;
}

int caps_ask(struct ring *r, const struct ring_options *o)
{
    /* A filter may allow making rings and forbid using them: said here, a broken invariant later.
     */
    int error = r->kernel->enter(r->u.ring_fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);

    if (error >= 0 || error == -EINTR || error == -EAGAIN || error == -EBUSY)
        error = ask_opcodes(r);
    if (error != 0)
        return error;
    if (!ring_has_op(r, IORING_OP_SEND_ZC) || (r->caps.features & IORING_FEAT_EXT_ARG) == 0)
        return -EOPNOTSUPP;
    r->enter_fd = r->u.ring_fd;
    if (o->descriptors != 0)
        ask_table(r, o->descriptors);
    r->caps.direct_sockets = try_direct_sockets(r);
    r->caps.no_iowait = (r->caps.features & IORING_FEAT_NO_IOWAIT) != 0;
    if (r->caps.no_iowait)
        r->enter_flags |= IORING_ENTER_NO_IOWAIT;
    /* The trial is no traffic. */
    r->enters = r->submitted = r->spills = 0;
    return 0;
}

static const char *const op_names[] = {
    [IORING_OP_NOP] = "nop",
    [IORING_OP_READV] = "readv",
    [IORING_OP_WRITEV] = "writev",
    [IORING_OP_FSYNC] = "fsync",
    [IORING_OP_POLL_ADD] = "poll",
    [IORING_OP_SENDMSG] = "sendmsg",
    [IORING_OP_RECVMSG] = "recvmsg",
    [IORING_OP_ACCEPT] = "accept",
    [IORING_OP_ASYNC_CANCEL] = "cancel",
    [IORING_OP_CONNECT] = "connect",
    [IORING_OP_OPENAT] = "open",
    [IORING_OP_CLOSE] = "close",
    [IORING_OP_STATX] = "statx",
    [IORING_OP_FALLOCATE] = "fallocate",
    [IORING_OP_RENAMEAT] = "rename",
    [IORING_OP_UNLINKAT] = "unlink",
    [IORING_OP_MKDIRAT] = "mkdir",
    [IORING_OP_SYMLINKAT] = "symlink",
    [IORING_OP_LINKAT] = "link",
    [IORING_OP_FTRUNCATE] = "ftruncate",
    [IORING_OP_READ] = "read",
    [IORING_OP_WRITE] = "write",
    [IORING_OP_SEND] = "send",
    [IORING_OP_RECV] = "recv",
    [IORING_OP_SHUTDOWN] = "shutdown",
    [IORING_OP_SOCKET] = "socket",
    [IORING_OP_URING_CMD] = "command",
    [IORING_OP_BIND] = "bind",
    [IORING_OP_MSG_RING] = "wake",
    [IORING_OP_SEND_ZC] = "send_zc",
    [IORING_OP_FIXED_FD_INSTALL] = "install",
};

bool ring_op_used(unsigned op)
{
    return op < array_size(op_names) && op_names[op] != NULL;
}

const char *ring_op_name(unsigned op)
{
    return ring_op_used(op) ? op_names[op] : "operation";
}
