/* SPDX-License-Identifier: MIT */
/* Kernel tables for tests: one that looks on after every call, and what reads the queues of a ring
 * from the outside. One shard at a time. */
#ifndef SUPPORT_NET_KERNEL_H
#define SUPPORT_NET_KERNEL_H

#include <ouro/base.h>
#include "ring/ring.h"

/* From here on `look` is called after every io_uring_enter, on the shard's thread outside of any
 * task. NULL: no more. Set before a run. */
void kernel_watch(void (*look)(void));

/* Refuses every registration of a table of direct descriptors. */
extern const struct kernel kernel_without_direct;

/* Looks like one that can register the table, but not use it for sockets. */
extern const struct kernel kernel_without_direct_sockets;

/* Cannot bind by an operation. */
extern const struct kernel kernel_without_bind;

#endif
