/* SPDX-License-Identifier: MIT */
#include "ring/kernel.h"
#include "base/poison.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(long r)
{
    return r < 0 ? -errno : (int)r;
}

static int linux_setup(unsigned entries, struct io_uring_params *params)
{
    if (POISON_MEMCHECK && (params->flags & IORING_SETUP_DEFER_TASKRUN) != 0)
        return -EINVAL; /* does not wake a poll of the ring */
    return result(syscall(__NR_io_uring_setup, entries, params));
}

#if POISON_MEMCHECK

/* valgrind runs one thread at a time, and does not know that io_uring_enter may block: nobody else
 * would ever run. poll it knows. */
static int enter_and_poll(int ring_fd, unsigned to_submit, unsigned flags,
                          const struct io_uring_getevents_arg *arg)
{
    struct pollfd ring = {.fd = ring_fd, .events = POLLIN};
    const void *timeout = arg != NULL ? (const void *)(uintptr_t)arg->ts : NULL;
    int n = result(syscall(__NR_io_uring_enter, ring_fd, to_submit, 0, flags, NULL, 0));

    if (n < 0)
        return n;
    ppoll(&ring, 1, timeout, NULL);
    syscall(__NR_io_uring_enter, ring_fd, 0, 0, flags, NULL, 0);
    return n;
}

#endif

static int linux_enter(int ring_fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                       const void *arg, size_t arg_bytes)
{
#if POISON_MEMCHECK
    if (min_complete != 0)
        return enter_and_poll(ring_fd, to_submit, flags & ~IORING_ENTER_EXT_ARG, arg);
#endif
    return result(
        syscall(__NR_io_uring_enter, ring_fd, to_submit, min_complete, flags, arg, arg_bytes));
}

static int linux_control(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    if (POISON_MEMCHECK && opcode == IORING_REGISTER_RING_FDS)
        return -EINVAL; /* a registered descriptor cannot be polled */
    return result(syscall(__NR_io_uring_register, ring_fd, opcode, arg, n));
}

static void *linux_map(size_t bytes, int ring_fd, uint64_t offset, int *error)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_fd,
                   (off_t)offset);

    *error = p == MAP_FAILED ? -errno : 0;
    return p == MAP_FAILED ? NULL : p;
}

static int linux_unmap(void *addr, size_t bytes)
{
    return result(munmap(addr, bytes));
}

static int linux_close(int ring_fd)
{
    return result(close(ring_fd));
}

const struct kernel kernel_linux = {
    .setup = linux_setup,
    .enter = linux_enter,
    .control = linux_control,
    .map = linux_map,
    .unmap = linux_unmap,
    .close = linux_close,
};

const struct kernel *kernel_default = &kernel_linux;
