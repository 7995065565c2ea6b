/* SPDX-License-Identifier: MIT */
/* A ring in plain memory: a kernel table (ring/kernel.h) that makes no io_uring call, so that whole
 * shards run without io_uring, and the same way each time.
 *
 *      library ── SQEs ──► enter ── requests ──► files       fake_kernel.c
 *              ◄─ CQEs ──       ◄─ results ──                fake_request.c, fake_wait.c
 *                                                            fake_file.c
 *
 * Sockets made by the ring are pairs of byte pipes, connected by the address of a listener; files
 * whose path begins with FAKE_MEMORY are arrays. Every other descriptor (a listener, an eventfd, a
 * peer that the library knows nothing about) is a real one, asked by calls that do not block.
 * Completions come in the order in which things happen; late_kernel.h delays and shuffles them.
 *
 * One ring at a time, for the thread that uses it. Depends on nothing but ring/kernel.h and
 * liburing's header: it is also built against other revisions of the library.
 */
#ifndef SUPPORT_FAKE_KERNEL_H
#define SUPPORT_FAKE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include "ring/kernel.h"

#define FAKE_MEMORY "/memory/"

extern const struct kernel kernel_fake;

/* Asked before a wait that nothing real ends at once: true: `ns` have passed now, by a clock that
 * is not real either. NULL (at first): the wait is real. */
extern bool (*fake_pass_time)(uint64_t ns);

/* What is left of rings that were closed: files, bytes of them, mappings. 0: nothing. Files in
 * memory are forgotten. */
unsigned fake_leftovers(void);

#endif
