/* SPDX-License-Identifier: MIT */
/* The kernel table: every way in which a ring reaches the kernel. A test puts its own functions
 * here (a kernel that fails the k-th call, or a ring in plain memory), and every line above runs
 * unchanged. All functions return >= 0 or -errno; map returns NULL and sets *error. */
#ifndef RING_KERNEL_H
#define RING_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct io_uring_params;

struct kernel {
    int (*setup)(unsigned entries, struct io_uring_params *params);
    int (*enter)(int ring_fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                 const void *arg, size_t arg_bytes);
    int (*control)(int ring_fd, unsigned opcode, const void *arg,
                   unsigned n); /* io_uring_register */
    void *(*map)(size_t bytes, int ring_fd, uint64_t offset, int *error);
    int (*unmap)(void *addr, size_t bytes);
    int (*close)(int ring_fd);
};

extern const struct kernel kernel_linux;

/* The table that rings made from now on use. Tests set it before a start; never while shards run.
 */
extern const struct kernel *kernel_default;

#endif
