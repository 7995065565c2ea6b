/* SPDX-License-Identifier: MIT */
/* A bounded ring of pointers with one producer thread and one consumer thread.
 *
 * The producer owns `tail`, the consumer `head`; each keeps a copy of the other's index on its own
 * cache line and looks at the real one only when the copy says full or empty. Indices run freely
 * and wrap. [SPSC-1] tail - head <= capacity, always, in modular arithmetic. [SPSC-2] A cell is
 * read only after the release of the tail that covers it, and written again only after the release
 * of the head that passed it.
 */
#ifndef BASE_SPSC_H
#define BASE_SPSC_H

#include <stdbool.h>
#include <stdint.h>
#include "base/atomic.h"
#include "base/check.h"
#include "base/limits.h"

#define CACHE_LINE 64

struct spsc {
    /* producer */
    _Alignas(CACHE_LINE) _Atomic uint32_t tail;
    uint32_t head_seen;
    /* consumer */
    _Alignas(CACHE_LINE) _Atomic uint32_t head;
    uint32_t tail_seen;
    _Alignas(CACHE_LINE) void *cell[LANE_MESSAGES];
};

/* Producer only. False: full. */
static inline bool spsc_push(struct spsc *q, void *p)
{
    uint32_t tail = load_relaxed(&q->tail); /* our own */

    if (tail - q->head_seen == LANE_MESSAGES) {
        q->head_seen = load_acquire(&q->head); /* pairs with the release in spsc_pop() */
        if (tail - q->head_seen == LANE_MESSAGES)
            return false;
    }
    check(tail - q->head_seen < LANE_MESSAGES); /* [SPSC-1], [SPSC-2] */
    q->cell[tail % LANE_MESSAGES] = p;
    store_release(&q->tail, tail + 1); /* pairs with the acquire in spsc_pop() */
    return true;
}

/* Consumer only. NULL: empty. */
static inline void *spsc_pop(struct spsc *q)
{
    uint32_t head = load_relaxed(&q->head); /* our own */
    void *p;

    if (head == q->tail_seen) {
        q->tail_seen = load_acquire(&q->tail); /* pairs with the release in spsc_push() */
        if (head == q->tail_seen)
            return NULL;
    }
    check(q->tail_seen - head <= LANE_MESSAGES); /* [SPSC-1], [SPSC-2] */
    p = q->cell[head % LANE_MESSAGES];
    store_release(&q->head, head + 1); /* pairs with the acquire in spsc_push() */
    return p;
}

/* Consumer only: the look before sleeping, after a full fence (see mesh.h). */
static inline bool spsc_empty(struct spsc *q)
{
    return load_acquire(&q->tail) == load_relaxed(&q->head); /* pairs with spsc_push() */
}

#endif
