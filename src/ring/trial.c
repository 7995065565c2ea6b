/* SPDX-License-Identifier: MIT */
#include "ring/trial.h"

#include <errno.h>
#include <sys/mman.h>

#define PAGE_BYTES  4096
#define TRIAL_GROUP 0x7fff /* of buffers; used by nobody else on a ring made for trials */

#define QUERY 35 /* IORING_REGISTER_QUERY, newer than liburing 2.9 */

/* Zeroed memory that starts at a page. */
static void *map_page(void)
{
    void *p = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static int make(unsigned flags)
{
    struct io_uring_params p = {.flags = flags, .cq_entries = 32};

    if ((flags & IORING_SETUP_SQPOLL) != 0)
        p.sq_thread_idle = 1;
    return kernel_default->setup(8, &p);
}

static int control(int fd, unsigned opcode, const void *arg, unsigned n)
{
    int result = kernel_default->control(fd, opcode, arg, n);

    return result < 0 ? result : 0;
}

int trial_setup(unsigned flags)
{
    int fd = make(flags);

    if (fd < 0)
        return fd;
    kernel_default->close(fd);
    return 0;
}

/* --- operations ------------------------------------------------------------------------------ */

/* An SQE is checked before its descriptor is looked up: one on no descriptor ends with -EBADF when
 * the kernel understood the rest, and with -EINVAL when it did not. */
static int understood(struct ring *r)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    int result = ring_enter(r, OURO_NSEC_PER_SEC);

    if (result < 0)
        return result;
    result = -ETIME;
    ring_for_each_cqe(r, head, cqe)
    {
        result = cqe->res;
        n++;
    }
    ring_advance(r, n);
    return result == -EBADF ? 0 : result;
}

int trial_multishot_accept(struct ring *r)
{
    struct io_uring_sqe *sqe = ring_sqe(r);

    if (sqe == NULL)
        return -ENOMEM;
    io_uring_prep_multishot_accept(sqe, -1, NULL, NULL, 0);
    return understood(r);
}

int trial_multishot_receive(struct ring *r)
{
    struct io_uring_sqe *sqe = ring_sqe(r);

    if (sqe == NULL)
        return -ENOMEM;
    io_uring_prep_recv_multishot(sqe, -1, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = TRIAL_GROUP;
    return understood(r);
}

/* --- registrations --------------------------------------------------------------------------- */

int trial_buffer_ring(struct ring *r, unsigned flags)
{
    void *page = map_page();
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)page,
                                   .ring_entries = 8,
                                   .bgid = TRIAL_GROUP,
                                   .flags = (uint16_t)flags};
    int error;

    if (page == NULL)
        return -ENOMEM;
    error = control(r->u.ring_fd, IORING_REGISTER_PBUF_RING, &reg, 1);
    if (error == 0)
        error = ring_unregister_buffers(r, TRIAL_GROUP);
    munmap(page, PAGE_BYTES);
    return error;
}

int trial_direct_table(struct ring *r)
{
    struct io_uring_rsrc_register reg = {.nr = 16, .flags = IORING_RSRC_REGISTER_SPARSE};

    return control(r->u.ring_fd, IORING_REGISTER_FILES2, &reg, sizeof reg);
}

int trial_clone_buffers(void)
{
    struct iovec buffer = {.iov_base = map_page(), .iov_len = PAGE_BYTES};
    struct io_uring_clone_buffers clone = {0};
    int from, to, error;

    if (buffer.iov_base == NULL)
        return -ENOMEM;
    from = make(0);
    to = make(0);
    error = from < 0 ? from : to < 0 ? to : 0;
    clone.src_fd = (unsigned)from;
    if (error == 0)
        error = control(from, IORING_REGISTER_BUFFERS, &buffer, 1);
    if (error == 0)
        error = control(to, IORING_REGISTER_CLONE_BUFFERS, &clone, 1);
    if (to >= 0)
        kernel_default->close(to);
    if (from >= 0)
        kernel_default->close(from);
    munmap(buffer.iov_base, PAGE_BYTES);
    return error;
}

int trial_registered_wait(void)
{
    struct io_uring_region_desc region = {.size = PAGE_BYTES, .flags = IORING_MEM_REGION_TYPE_USER};
    struct io_uring_mem_region_reg reg = {.region_uptr = (uintptr_t)&region,
                                          .flags = IORING_MEM_REGION_REG_WAIT_ARG};
    void *page = map_page();
    int fd, error;

    if (page == NULL)
        return -ENOMEM;
    region.user_addr = (uintptr_t)page;
    fd = make(IORING_SETUP_R_DISABLED); /* wait arguments are given before a ring is enabled */
    error = fd < 0 ? fd : control(fd, IORING_REGISTER_MEM_REGION, &reg, 1);
    if (fd >= 0)
        kernel_default->close(fd);
    munmap(page, PAGE_BYTES);
    return error;
}

int trial_resize(void)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE, .sq_entries = 16, .cq_entries = 64};
    int fd = make(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    int error;

    if (fd < 0)
        return fd;
    error = control(fd, IORING_REGISTER_RESIZE_RINGS, &p, 1);
    kernel_default->close(fd);
    return error;
}

int trial_query(void)
{
    int fd = make(0), error;

    if (fd < 0)
        return fd;
    error = control(fd, QUERY, NULL, 0); /* an empty list of questions */
    kernel_default->close(fd);
    return error;
}

int trial_iowq_limits(struct ring *r, unsigned limits[2])
{
    limits[0] = limits[1] = 0; /* 0 asks and changes nothing */
    return control(r->u.ring_fd, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2);
}

/* --- names ----------------------------------------------------------------------------------- */

/* In the order of their numbers, which never change: also those that liburing 2.9 has no constants
 * for. */
static const char *const op_names[] = {
    "NOP",
    "READV",
    "WRITEV",
    "FSYNC",
    "READ_FIXED",
    "WRITE_FIXED",
    "POLL_ADD",
    "POLL_REMOVE",
    "SYNC_FILE_RANGE",
    "SENDMSG",
    "RECVMSG",
    "TIMEOUT",
    "TIMEOUT_REMOVE",
    "ACCEPT",
    "ASYNC_CANCEL",
    "LINK_TIMEOUT",
    "CONNECT",
    "FALLOCATE",
    "OPENAT",
    "CLOSE",
    "FILES_UPDATE",
    "STATX",
    "READ",
    "WRITE",
    "FADVISE",
    "MADVISE",
    "SEND",
    "RECV",
    "OPENAT2",
    "EPOLL_CTL",
    "SPLICE",
    "PROVIDE_BUFFERS",
    "REMOVE_BUFFERS",
    "TEE",
    "SHUTDOWN",
    "RENAMEAT",
    "UNLINKAT",
    "MKDIRAT",
    "SYMLINKAT",
    "LINKAT",
    "MSG_RING",
    "FSETXATTR",
    "SETXATTR",
    "FGETXATTR",
    "GETXATTR",
    "SOCKET",
    "URING_CMD",
    "SEND_ZC",
    "SENDMSG_ZC",
    "READ_MULTISHOT",
    "WAITID",
    "FUTEX_WAIT",
    "FUTEX_WAKE",
    "FUTEX_WAITV",
    "FIXED_FD_INSTALL",
    "FTRUNCATE",
    "BIND",
    "LISTEN",
    "RECV_ZC",
    "EPOLL_WAIT",
    "READV_FIXED",
    "WRITEV_FIXED",
    "PIPE",
    "NOP128",
    "URING_CMD128",
};

_Static_assert(array_size(op_names) == 65 && IORING_OP_LISTEN == 57 && IORING_OP_SOCKET == 45 &&
                   IORING_OP_SPLICE == 30 && IORING_OP_CONNECT == 16,
               "the names must stand at their numbers");

const char *trial_op_name(unsigned op)
{
    return op < array_size(op_names) ? op_names[op] : NULL;
}

unsigned trial_op_names(void)
{
    return array_size(op_names);
}
