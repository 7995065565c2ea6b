/* SPDX-License-Identifier: MIT */
/* Between handles and ordinary descriptors. */
#ifndef IO_ORDINARY_H
#define IO_ORDINARY_H

#include "shard/op.h"

/* An ordinary descriptor for what the handle names, to be closed if *borrowed is false afterwards.
 * May wait. */
int ordinary_of(struct shard *s, uint64_t id, enum slot_kind kind, bool *borrowed);

/* io_uring does not wait on a descriptor that is set to O_NONBLOCK. 0 or -errno. */
int ordinary_set_blocking(int fd, bool blocking);

#endif
