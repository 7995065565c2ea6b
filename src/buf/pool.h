/* SPDX-License-Identifier: MIT */
/* A pool of provided buffers: one size, one group of the ring, one shard.
 *
 *      kernel's ring (FIFO) ──receive──► queued in a source ──take──► lease ──release──┐
 *            ▲                                                                         │
 *            └─────────────────────────────────────────────────────────────────────────┘
 *
 * The working set of buffers decides what a receive costs: it should stay in the cache. So the pool
 * starts small and doubles, up to its maximum, only when a receive finds it dry. Its address space
 * is reserved at once, so a buffer's address follows from its number; pages come when they are
 * touched.
 *
 * Buffers are also held by those who do not get rid of what they received. So that these cannot
 * stop the others for good there are *spare* buffers, which never are in the ring: a source that
 * has nothing, and finds the pool dry at its maximum, receives into one of them, once.
 *
 * Invariants
 *   [POOL-1] live = in the ring + queued in sources + leased, spare ones not counted.
 *   [POOL-2] A buffer in the ring is the kernel's: nobody reads or writes it.
 *   [POOL-3] The ring has room for every buffer: entries >= max >= live.
 * Owner only.
 */
#ifndef BUF_POOL_H
#define BUF_POOL_H

#include "base/check.h"
#include "base/poison.h"
#include "ring/ring.h"

#define POOL_NONE UINT32_MAX

struct ouro_recv_source;

struct pool_buffer {
    uint32_t len;  /* received bytes */
    uint32_t next; /* in its source's queue */
    bool out;      /* not in the ring: catches a second release */
};

struct pool {
    struct io_uring_buf_ring *br;
    char *memory;
    struct pool_buffer *buffer;
    uint32_t bytes; /* of one buffer */
    uint32_t live, max, entries;
    uint32_t in_ring;
    uint32_t spares; /* how many more than max there may be: numbers max … max + spares - 1 */
    uint32_t spare_fresh; /* from here on they were never used */
    uint32_t spare_free;  /* the others, by `next` */
    uint16_t tail;        /* of the ring, not yet published */
    uint16_t published;
    uint16_t group;
    uint64_t dry, grown;
    struct ouro_recv_source *parked; /* sources that wait for a buffer, first come first served */
    struct ouro_recv_source **parked_tail;
};

struct pool_options {
    uint32_t bytes, start, max; /* powers of two; start <= max <= 32768 */
    uint32_t spares;            /* at most 32768 */
    uint16_t group;
};

int pool_init(struct pool *p, struct ring *r, const struct pool_options *o);
void pool_destroy(struct pool *p, struct ring *r);

/* Doubles the pool. False: it is at its maximum. */
bool pool_grow(struct pool *p);

/* A spare buffer's number, for the kernel to receive into; POOL_NONE: there is none. */
uint32_t pool_spare_take(struct pool *p);

/* Takes note that the kernel filled it. */
void pool_spare_taken(struct pool *p, uint32_t id, uint32_t len);
void pool_spare_put(struct pool *p, uint32_t id);

static inline char *pool_address(const struct pool *p, uint32_t id)
{
    return p->memory + (size_t)id * p->bytes;
}

/* Puts a buffer into the ring; the kernel sees it after pool_publish(). */
static inline void pool_put(struct pool *p, uint32_t id)
{
    struct io_uring_buf *b = &p->br->bufs[p->tail & (p->entries - 1)];

    check(p->in_ring < p->live && id < p->max); /* [POOL-1] */
    p->buffer[id].out = false;
    poison(pool_address(p, id), p->bytes); /* [POOL-2] */
    b->addr = (uintptr_t)pool_address(p, id);
    b->len = p->bytes;
    b->bid = (uint16_t)id;
    p->tail++;
    p->in_ring++;
}

/* Takes note that the kernel filled a buffer. */
static inline void pool_taken(struct pool *p, uint32_t id, uint32_t len)
{
    check(id < p->live && !p->buffer[id].out); /* [POOL-2] */
    p->buffer[id].len = len;
    p->buffer[id].next = POOL_NONE;
    p->buffer[id].out = true;
    unpoison(pool_address(p, id), p->bytes);
    p->in_ring--;
}

/* True when there is no buffer, nor one to be made. */
static inline bool pool_is_dry(const struct pool *p)
{
    return p->in_ring == 0 && p->live == p->max;
}

/* True when there are buffers and sources that were parked for want of one. */
static inline bool pool_wanted(const struct pool *p)
{
    return OURO_UNLIKELY(p->parked != NULL) && p->in_ring != 0;
}

/* Before each call into the kernel. */
static inline void pool_publish(struct pool *p)
{
    if (p->tail == p->published)
        return;
    /* Release: pairs with the kernel's acquire of the tail; the entries before it are whole. */
    shared_store_release(&p->br->tail, p->tail);
    p->published = p->tail;
}

#endif
