/* SPDX-License-Identifier: MIT */
/* Trying what the kernel grants, on rings made for the purpose: for reports, never on a path that
 * serves. Each trial returns 0 when the kernel granted it, else -errno. */
#ifndef RING_TRIAL_H
#define RING_TRIAL_H

#include "ring/ring.h"

#ifndef IORING_SETUP_CQE_MIXED
#define IORING_SETUP_CQE_MIXED (1U << 18) /* newer than liburing 2.9 */
#endif

/* io_uring_setup(2) with these flags. */
int trial_setup(unsigned flags);

/* Multishot accept and receive: does the kernel know them? */
int trial_multishot_accept(struct ring *r);
int trial_multishot_receive(struct ring *r);

/* A ring of provided buffers with these flags (IOU_PBUF_RING_…). */
int trial_buffer_ring(struct ring *r, unsigned flags);

/* A table of direct descriptors; on a ring that has none. */
int trial_direct_table(struct ring *r);

/* Buffers registered with one ring and cloned into another. */
int trial_clone_buffers(void);

/* A memory region with wait arguments. */
int trial_registered_wait(void);

int trial_resize(void);
int trial_query(void);

/* The io-wq limits as they are: [0] bounded, [1] unbounded. */
int trial_iowq_limits(struct ring *r, unsigned limits[2]);

/* The kernel's name of an opcode, NULL: newer than this library; and how many have one. */
const char *trial_op_name(unsigned op);
unsigned trial_op_names(void);

#endif
