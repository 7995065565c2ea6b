/* SPDX-License-Identifier: MIT */
#ifndef IO_LISTENER_H
#define IO_LISTENER_H

struct shard;

/* At stop: closes listeners that were left open, with what is queued in them. */
void listeners_close_all(struct shard *s);

#endif
