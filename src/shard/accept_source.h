/* SPDX-License-Identifier: MIT */
/* The source of a listener: accepted connections wait in a list through their own slots, so that
 * however many one burst brings, none is lost and nothing is allocated.
 *
 *   [ACCEPT-1] `ready` is DONE exactly while a connection is queued or accepting has failed for
 *              good.
 *   [ACCEPT-3] The operation is in the kernel, or the source is stopped, paused (queue full),
 *              waiting for its timer, or failed.
 * Shown by tests alone:
 *   [ACCEPT-2] Every direct descriptor the kernel reports is queued; closing the source closes
 *              what is left.
 */
#ifndef SHARD_ACCEPT_SOURCE_H
#define SHARD_ACCEPT_SOURCE_H

#include "shard/op.h"
#include <ouro/timer.h>

struct accept_source {
    struct ouro_op op;
    struct ouro_future ready;
    struct slot *slot;     /* the listener's */
    struct ouro_task task; /* re-arms after a pause */
    struct ouro_timer pause;
    struct accept_source *next, **pprev; /* of the armed multishot ones */
    uint32_t head, tail, queued, queue_max;
    uint32_t burst; /* the most that one look into the kernel's queue finds */
    int error;
    bool reserved; /* direct entries, by its kind of accept */
    bool armed, asked, multishot, paused, stopped;
};

/* `slot`, `queue_max`, `burst` set, the rest zero. */
void accept_source_start(struct shard *s, struct accept_source *a);

/* Accepts no more; its completion is awaited through the slot's `drained`. */
void accept_source_stop(struct shard *s, struct accept_source *a);

/* 0 with a handle, -EAGAIN none, or the error that ended accepting. */
int accept_source_take(struct shard *s, struct accept_source *a, uint64_t *id);

#endif
