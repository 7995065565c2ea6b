/* SPDX-License-Identifier: MIT */
#include "support/net_kernel.h"

#include <errno.h>

static void (*watcher)(void);

static int watched_enter(int ring_fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                         const void *arg, size_t arg_bytes)
{
    int n = kernel_linux.enter(ring_fd, to_submit, min_complete, flags, arg, arg_bytes);

    watcher();
    return n;
}

void kernel_watch(void (*look)(void))
{
    static struct kernel watched;

    watched = kernel_linux;
    watched.enter = watched_enter;
    watcher = look;
    kernel_default = look != NULL ? &watched : &kernel_linux;
}

static int linux_setup(unsigned entries, struct io_uring_params *params)
{
    return kernel_linux.setup(entries, params);
}

static int linux_enter(int ring_fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                       const void *arg, size_t arg_bytes)
{
    return kernel_linux.enter(ring_fd, to_submit, min_complete, flags, arg, arg_bytes);
}

static void *linux_map(size_t bytes, int ring_fd, uint64_t offset, int *error)
{
    return kernel_linux.map(bytes, ring_fd, offset, error);
}

static int linux_unmap(void *addr, size_t bytes)
{
    return kernel_linux.unmap(addr, bytes);
}

static int linux_close(int ring_fd)
{
    return kernel_linux.close(ring_fd);
}

static int control_without_direct(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    if (opcode == IORING_REGISTER_FILES2)
        return -EINVAL;
    return kernel_linux.control(ring_fd, opcode, arg, n);
}

/* The answer of a probe by a kernel that does not know one operation. */
static int control_without(unsigned op, int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    int result = kernel_linux.control(ring_fd, opcode, arg, n);
    struct io_uring_probe *p = (struct io_uring_probe *)(uintptr_t)arg;

    if (opcode == IORING_REGISTER_PROBE && result >= 0)
        for (unsigned i = 0; i < p->ops_len; i++)
            if (p->ops[i].op == op)
                p->ops[i].flags = 0;
    return result;
}

static int control_without_direct_sockets(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    return control_without(IORING_OP_FIXED_FD_INSTALL, ring_fd, opcode, arg, n);
}

static int control_without_bind(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    return control_without(IORING_OP_BIND, ring_fd, opcode, arg, n);
}

const struct kernel kernel_without_direct = {.setup = linux_setup,
                                             .enter = linux_enter,
                                             .control = control_without_direct,
                                             .map = linux_map,
                                             .unmap = linux_unmap,
                                             .close = linux_close};

const struct kernel kernel_without_direct_sockets = {.setup = linux_setup,
                                                     .enter = linux_enter,
                                                     .control = control_without_direct_sockets,
                                                     .map = linux_map,
                                                     .unmap = linux_unmap,
                                                     .close = linux_close};

const struct kernel kernel_without_bind = {.setup = linux_setup,
                                           .enter = linux_enter,
                                           .control = control_without_bind,
                                           .map = linux_map,
                                           .unmap = linux_unmap,
                                           .close = linux_close};
