/* SPDX-License-Identifier: MIT */
/* The invariants of a shard as a whole, executed: checked builds look at everything that it owns
 * every AUDIT_TURNS turns and at its end, tests whenever they like. What one object says about
 * itself is checked where it changes. */
#ifndef SHARD_AUDIT_H
#define SHARD_AUDIT_H

#include "shard/shard.h"

#define AUDIT_TURNS 1024

/* On the shard's thread. Ends the process, naming the invariant that does not hold. */
void shard_audit(struct shard *s);

#endif
