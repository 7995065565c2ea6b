/* SPDX-License-Identifier: MIT */
/* Which way of waking a sleeping shard is faster here: tried for a moment before the shards start.
 */
#ifndef SHARD_WAKE_TRIAL_H
#define SHARD_WAKE_TRIAL_H

#include "shard/mesh.h"

#define WAKE_TRIAL_ROUNDS 12

struct wake_trial {
    enum mesh_wake better;
    uint64_t round_trip_ns[2]; /* by enum mesh_wake, both ends asleep; UINT64_MAX: does not work */
};

/* Between the CPUs `here` and `there`; the calling thread's affinity is restored. About 2 ms. */
void wake_trial(struct wake_trial *t, unsigned here, unsigned there);

#endif
