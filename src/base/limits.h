/* SPDX-License-Identifier: MIT */
/* The bounds that no option moves, each with the sum it comes from. Bounds of options stand in
 * src/options.c; docs/LIMITS.md has all of them with their counters and what happens there. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include "base/handle.h"

/* --- descriptors ------------------------------------------------------------------------------ */

/* Direct and ordinary descriptors each: twice 2^22 < 2^24 = HANDLE_SLOTS, 48 bytes, address space
 * until they are used. */
#define SLOTS_MOST (1u << 22)
_Static_assert(2 * SLOTS_MOST <= HANDLE_SLOTS, "a handle has room for every slot");

/* --- between threads ------------------------------------------------------------------------- */

/* Messages of one ordered pair of shards: 256 cells of one cache line, 16 KiB, are a turn's worth
 * at 500,000 a second. 256 × 256 lanes are 1 GiB of address space, and as many pages as pairs that
 * talk touch. */
#define LANE_MESSAGES 256u

/* Messages of threads that are no shard: 4096, at 100 ns each, are less than one slice. */
#define INBOX_MESSAGES 4096

/* --- receiving ------------------------------------------------------------------------------- */

/* Buffer numbers have 16 bits in a completion; half of them are the pool's, half are spare: one for
 * each connection that finds the pool dry. Address space until then. */
#define SPARE_BUFFERS 32768

/* Buffers that a receive source queues if its owner does not say: 16 × 2 KiB is half of the
 * smallest socket buffer that TCP settles at. */
#define HOLD_DEFAULT 16

/* --- listening ------------------------------------------------------------------------------- */

#define BACKLOG_DEFAULT 4096
#define BACKLOG_MOST    65535 /* net.core.somaxconn goes no further */

/* Connections that were accepted and not taken: a slot each, no memory besides. */
#define ACCEPTED_DEFAULT 1024
#define ACCEPTED_MOST    65536

/* --- reports --------------------------------------------------------------------------------- */

#define STACK_NAMES        256 /* task names whose stack use is kept: 40 bytes each */
#define REPORTED_LEFTOVERS 16  /* descriptors named at stop, per shard: a screenful */
#define REPORTED_OPS       8   /* operations named when a task leaves some behind */

#endif
