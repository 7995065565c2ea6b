/* SPDX-License-Identifier: MIT */
#ifndef SHARD_REAP_H
#define SHARD_REAP_H

#include "shard/shard.h"

/* Takes every completion that is there. */
void reap(struct shard *s);

/* Watches the shard's bell. */
void reap_arm_bell(struct shard *s);

#endif
