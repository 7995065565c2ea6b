/* SPDX-License-Identifier: MIT */
/* The HTTP origin of the demonstration: one listener per shard, a fiber per connection, the same 1
 * KiB of text for every GET. */
#ifndef OURO_TOOLS_DEMO_ORIGIN_H
#define OURO_TOOLS_DEMO_ORIGIN_H

#include <ouro.h>

#define ORIGIN_BODY_BYTES 1024

/* Before the runtime starts: makes the answers. */
void origin_init(void);

/* What every GET is answered with. */
const char *origin_body(void);

/* For ouro_on_each_shard(); no argument. Serving ends by cancellation. */
int origin_open(void *arg);
int origin_serve(void *arg);

/* Where it listens, after origin_open(). Shard 0 only. */
int origin_addr(struct ouro_addr *out);

#endif
