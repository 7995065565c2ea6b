/* SPDX-License-Identifier: MIT */
/* Receive sources, for those who give them another face. The public side is ouro/net.h. */
#ifndef SHARD_RECV_SOURCE_H
#define SHARD_RECV_SOURCE_H

#include "shard/op.h"

/* Opens a source: of a stream (shape NULL), or of datagrams, each of which begins in its buffer
 * with what io_uring_prep_recvmsg_multishot() says, laid out by `shape`; that lives as long as the
 * source. `group`: the pool it starts with. 0 or -errno; in either case it may be closed. */
int recv_source_open(struct ouro_recv_source *source, ouro_conn conn, uint32_t hold_max,
                     struct msghdr *shape, unsigned group, const void *place);

#endif
