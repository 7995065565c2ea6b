/* SPDX-License-Identifier: MIT */
/* Asking the ring what it can do, and saying in a sentence why there is none. */
#ifndef RING_CAPS_H
#define RING_CAPS_H

#include "ring/ring.h"

/* Fills r->caps and registers the table of direct descriptors. Before the ring is used. */
int caps_ask(struct ring *r, const struct ring_options *o);

/* One sentence: what refused io_uring_setup with `error`, and what to change. */
void caps_explain(int error, char *why, size_t why_bytes);

/* The same for what came after it: mapping, asking, the first call. */
void caps_explain_late(int error, char *why, size_t why_bytes);

#endif
