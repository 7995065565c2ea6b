/* SPDX-License-Identifier: MIT */
/* What each operation of the fake kernel does, one attempt at a time. */
#include "support/fake_inside.h"
#include "support/fake_kernel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

bool fake_request_supported(unsigned opcode)
{
    switch (opcode) {
    case IORING_OP_NOP:
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
    case IORING_OP_SEND_ZC:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
    case IORING_OP_FSYNC:
    case IORING_OP_POLL_ADD:
    case IORING_OP_ACCEPT:
    case IORING_OP_CONNECT:
    case IORING_OP_BIND:
    case IORING_OP_SOCKET:
    case IORING_OP_OPENAT:
    case IORING_OP_CLOSE:
    case IORING_OP_SHUTDOWN:
    case IORING_OP_URING_CMD:
    case IORING_OP_FIXED_FD_INSTALL:
    case IORING_OP_ASYNC_CANCEL:
        return true;
    default:
        return false;
    }
}

static int outcome(ssize_t n)
{
    n = n < 0 ? -errno : n;
    return n == -EAGAIN ? FAKE_AGAIN : (int)n;
}

static const void *address(uint64_t a)
{
    return (const void *)(uintptr_t)a;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static bool is_message(unsigned opcode)
{
    return opcode == IORING_OP_SENDMSG || opcode == IORING_OP_RECVMSG;
}

/* The parts that are left after r->done bytes. */
static size_t parts(const struct fake_request *r, struct iovec *out)
{
    const struct msghdr *m = address(r->sqe.addr);
    const struct iovec *iov = address(r->sqe.addr);
    const struct iovec one = {(void *)(uintptr_t)r->sqe.addr, r->sqe.len};
    size_t n = r->sqe.len, skip = r->done, k = 0;

    if (is_message(r->sqe.opcode)) {
        iov = m->msg_iov;
        n = m->msg_iovlen;
    } else if (r->sqe.opcode != IORING_OP_READV && r->sqe.opcode != IORING_OP_WRITEV) {
        iov = &one;
        n = 1;
    }
    fake_ensure(n <= IOV_MAX);
    for (size_t i = 0; i < n; i++) {
        size_t step = skip < iov[i].iov_len ? skip : iov[i].iov_len;

        skip -= step;
        if (iov[i].iov_len != step || skip != 0 || n == 1)
            out[k++] = (struct iovec){(char *)iov[i].iov_base + step, iov[i].iov_len - step};
    }
    return k;
}

static ssize_t real_message(struct fake_request *r, struct iovec *iov, size_t n, bool sends)
{
    struct msghdr *user = (void *)(uintptr_t)r->sqe.addr, m = {0};
    int flags = (int)r->sqe.msg_flags | MSG_DONTWAIT;
    ssize_t moved;

    if (is_message(r->sqe.opcode))
        m = *user;
    m.msg_iov = iov;
    m.msg_iovlen = n;
    moved = sends ? syscall(SYS_sendmsg, r->file->fd, &m, flags & ~MSG_WAITALL)
                  : syscall(SYS_recvmsg, r->file->fd, &m, flags);
    if (moved >= 0 && r->sqe.opcode == IORING_OP_RECVMSG) {
        user->msg_namelen = m.msg_namelen;
        user->msg_controllen = m.msg_controllen;
        user->msg_flags = m.msg_flags;
    }
    return moved < 0 ? -errno : moved;
}

static int send_some(struct fake_request *r)
{
    struct iovec iov[IOV_MAX];
    size_t n = parts(r, iov), left = 0;
    ssize_t moved;

    for (size_t i = 0; i < n; i++)
        left += iov[i].iov_len;
    moved = r->file->kind == FAKE_REAL ? real_message(r, iov, n, true) : fake_send(r->file, iov, n);
    if (moved < 0)
        return moved == -EAGAIN ? FAKE_AGAIN : r->done != 0 ? (int)r->done : (int)moved;
    r->done += (size_t)moved;
    if ((size_t)moved < left && (r->sqe.msg_flags & MSG_WAITALL) != 0)
        return FAKE_AGAIN;
    return (int)r->done;
}

static int receive_some(struct fake_request *r)
{
    struct iovec iov[IOV_MAX];
    size_t n = parts(r, iov);
    ssize_t moved =
        r->file->kind == FAKE_REAL ? real_message(r, iov, n, false) : fake_receive(r->file, iov, n);

    return moved == -EAGAIN ? FAKE_AGAIN : (int)moved;
}

/* Into provided buffers: one, or one after the other while there is something. */
static int receive_selected(struct fake_request *r)
{
    bool many = (r->sqe.ioprio & IORING_RECV_MULTISHOT) != 0;

    for (;;) {
        const struct io_uring_buf *b = fake_buffer(r->sqe.buf_group);
        unsigned flags;
        int n;

        if (b == NULL)
            return -ENOBUFS;
        r->sqe.addr = b->addr;
        r->sqe.len = b->len;
        n = receive_some(r);
        if (n == FAKE_AGAIN || n <= 0)
            return n;
        flags = IORING_CQE_F_BUFFER | (unsigned)b->bid << IORING_CQE_BUFFER_SHIFT;
        fake_buffer_used(r->sqe.buf_group);
        fake_post(r->sqe.user_data, n, flags | (many ? IORING_CQE_F_MORE : 0));
        if (!many) {
            r->over = true;
            return 0;
        }
    }
}

static int receive(struct fake_request *r)
{
    if ((r->sqe.flags & IOSQE_BUFFER_SELECT) == 0)
        return receive_some(r);
    return r->sqe.opcode == IORING_OP_RECV ? receive_selected(r) : -EINVAL;
}

static bool has_places(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

static bool is_ready(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    return poll(&p, 1, 0) > 0;
}

static int read_or_write(struct fake_request *r, bool writes)
{
    struct iovec iov[IOV_MAX];
    int n = (int)parts(r, iov), fd = r->file->fd;
    uint64_t at = r->sqe.off;

    if (r->file->kind == FAKE_SOCKET)
        return writes ? send_some(r) : receive_some(r);
    if (r->file->kind == FAKE_ARRAY)
        return (int)(writes ? fake_write_array(r->file, iov, (size_t)n, at)
                            : fake_read_array(r->file, iov, (size_t)n, at));
    if (has_places(fd))
        return outcome(syscall(writes ? SYS_pwritev : SYS_preadv, fd, iov, n, at, 0));
    if (fcntl(fd, F_GETFL) >= 0 && !is_ready(fd, writes ? POLLOUT : POLLIN))
        return FAKE_AGAIN;
    return outcome(syscall(writes ? SYS_writev : SYS_readv, fd, iov, n));
}

/* --- descriptors ------------------------------------------------------------------------------ */

/* A new file becomes an entry of the table or, if it is real, an ordinary descriptor. */
static int give(const struct fake_request *r, struct fake_file *f)
{
    int fd;

    if (r->sqe.file_index != 0)
        return fake_table_put(f);
    fake_ensure(f->kind == FAKE_REAL);
    fd = f->fd;
    f->owned = false;
    fake_release(f);
    return fd;
}

static int make_socket(struct fake_request *r)
{
    int type = (int)r->sqe.off, fd;

    if (r->sqe.file_index != 0 && (type & 0xf) == SOCK_STREAM)
        return give(r, fake_socket(r->sqe.fd, type));
    fd = socket(r->sqe.fd, type, (int)r->sqe.len);
    return fd < 0 ? -errno : give(r, fake_real(fd, true));
}

static int open_file(struct fake_request *r)
{
    const char *path = address(r->sqe.addr);
    int flags = (int)r->sqe.open_flags, fd, error;
    struct fake_file *f;

    if (strncmp(path, FAKE_MEMORY, strlen(FAKE_MEMORY)) == 0) {
        f = fake_open_array(path, flags, &error);
        return f == NULL ? error : give(r, f);
    }
    fd = openat(r->sqe.fd, path, flags, (mode_t)r->sqe.len);
    return fd < 0 ? -errno : give(r, fake_real(fd, true));
}

static int accept_one(struct fake_request *r)
{
    struct fake_file *f = fake_accept(&r->address);
    int fd;

    if (f != NULL)
        return give(r, f);
    if (fcntl(r->file->fd, F_GETFL) >= 0 && !is_ready(r->file->fd, POLLIN))
        return FAKE_AGAIN;
    fd = accept4(r->file->fd, NULL, NULL, SOCK_CLOEXEC);
    return fd < 0 ? outcome(-1) : give(r, fake_real(fd, true));
}

static int accept_some(struct fake_request *r)
{
    int n = accept_one(r);

    if ((r->sqe.ioprio & IORING_ACCEPT_MULTISHOT) == 0)
        return n;
    for (; n >= 0; n = accept_one(r))
        fake_post(r->sqe.user_data, n, IORING_CQE_F_MORE);
    return n;
}

/* To a peer outside of the ring. */
static int connect_real(struct fake_request *r)
{
    int fd = r->file->fd, flags = fcntl(fd, F_GETFL), error = 0;
    socklen_t len = sizeof error;

    if (!r->started) {
        r->started = true;
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        error = connect(fd, address(r->sqe.addr), (socklen_t)r->sqe.addr2) != 0 ? errno : 0;
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
        if (error != EINPROGRESS)
            return -error;
    }
    if (!is_ready(fd, POLLOUT))
        return FAKE_AGAIN;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return -error;
}

static int connect_some(struct fake_request *r)
{
    struct fake_address to = {.len = (socklen_t)r->sqe.addr2};
    int result;

    if (r->file->kind == FAKE_REAL)
        return connect_real(r);
    fake_ensure(to.len <= sizeof to.sockaddr);
    memcpy(&to.sockaddr, address(r->sqe.addr), to.len);
    result = fake_connect(r->file, &to);
    if (result != -ECONNREFUSED)
        return result;
    result = fake_make_real(r->file);
    return result != 0 ? result : connect_real(r);
}

static int bind_real(struct fake_request *r)
{
    int error = r->file->kind == FAKE_REAL ? 0 : fake_make_real(r->file);

    if (error == 0 && bind(r->file->fd, address(r->sqe.addr), (socklen_t)r->sqe.addr2) != 0)
        error = -errno;
    return error;
}

static int close_one(const struct io_uring_sqe *sqe)
{
    if (sqe->file_index != 0)
        return fake_table_close(sqe->file_index - 1);
    fake_listener_remove(sqe->fd);
    return close(sqe->fd) != 0 ? -errno : 0;
}

static int shut(struct fake_request *r)
{
    if (r->file->kind != FAKE_REAL)
        return fake_shutdown(r->file, (int)r->sqe.len);
    return outcome(shutdown(r->file->fd, (int)r->sqe.len));
}

static int set_option(struct fake_request *r)
{
    if (r->sqe.cmd_op != SOCKET_URING_OP_SETSOCKOPT)
        return -EOPNOTSUPP;
    if (r->file->kind != FAKE_REAL)
        return 0;
    return outcome(setsockopt(r->file->fd, (int)r->sqe.level, (int)r->sqe.optname,
                              address(r->sqe.optval), r->sqe.optlen));
}

static int install(struct fake_request *r)
{
    if (r->file->kind != FAKE_REAL)
        return -EOPNOTSUPP;
    return outcome(fcntl(r->file->fd, F_DUPFD_CLOEXEC, 0));
}

/* --- readiness -------------------------------------------------------------------------------- */

static int poll_edges(struct fake_request *r)
{
    struct epoll_event e;

    if (r->edges < 0)
        return -EINVAL;
    while (epoll_wait(r->edges, &e, 1, 0) == 1)
        fake_post(r->sqe.user_data, (int)e.events, IORING_CQE_F_MORE);
    return FAKE_AGAIN;
}

static int poll_once(struct fake_request *r)
{
    short asked = (short)(r->sqe.poll32_events | POLLERR | POLLHUP);
    struct pollfd p = {.fd = r->file->fd, .events = asked};

    if ((r->sqe.len & IORING_POLL_ADD_MULTI) != 0)
        return poll_edges(r);
    if (r->file->kind == FAKE_REAL)
        poll(&p, 1, 0);
    else
        p.revents = (short)(fake_events(r->file) & asked);
    if ((p.revents & POLLNVAL) != 0)
        return -EBADF;
    return p.revents != 0 ? p.revents : FAKE_AGAIN;
}

int fake_execute(struct fake_request *r)
{
    switch (r->sqe.opcode) {
    case IORING_OP_NOP:
        return 0;
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
        return receive(r);
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
    case IORING_OP_SEND_ZC:
        return send_some(r);
    case IORING_OP_READ:
    case IORING_OP_READV:
        return read_or_write(r, false);
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
        return read_or_write(r, true);
    case IORING_OP_FSYNC:
        return r->file->kind == FAKE_REAL ? outcome(fsync(r->file->fd)) : 0;
    case IORING_OP_POLL_ADD:
        return poll_once(r);
    case IORING_OP_ACCEPT:
        return accept_some(r);
    case IORING_OP_CONNECT:
        return connect_some(r);
    case IORING_OP_BIND:
        return bind_real(r);
    case IORING_OP_SOCKET:
        return make_socket(r);
    case IORING_OP_OPENAT:
        return open_file(r);
    case IORING_OP_CLOSE:
        return close_one(&r->sqe);
    case IORING_OP_SHUTDOWN:
        return shut(r);
    case IORING_OP_URING_CMD:
        return set_option(r);
    case IORING_OP_FIXED_FD_INSTALL:
        return install(r);
    default:
        return -EINVAL;
    }
}
