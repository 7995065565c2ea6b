/* SPDX-License-Identifier: MIT */
/* A lane: messages from one shard to another, in cells of one cache line each.
 *
 *      sender                                   receiver
 *      writes cells tail … , not yet seen       takes cells head … , while their mark is right
 *      publishes them all at once, by the       publishes the new head once per visit
 *      mark of the first of them
 *
 * A cell's mark is the number of its message plus one, modulo 2^32: so a cell tells by itself
 * whether it is filled, and a message on its own costs the receiver one cache line, not a second
 * one for an index. Marks of a batch but the first are written beforehand: nobody looks at them
 * before the first one is right, and that one is released last. Cells are written by the sender
 * only. Zeroed memory is an empty lane.
 *
 * A sender that finds the lane full says so (`wants_room`) before it sleeps; see mesh.h.
 *
 * Invariants
 *   [LANE-1] tail - head <= capacity, always, in modular arithmetic.
 *   [LANE-2] A cell is read only after the release of the first mark of its batch, and written
 * again only after the release of the head that passed it.
 */
#ifndef SHARD_LANE_H
#define SHARD_LANE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/atomic.h"
#include "base/check.h"
#include "base/limits.h"

#define CACHE_LINE 64

struct shard;
struct lane_cell;

/* Runs on the receiver, outside of any task; the cell is its own until it returns. With a NULL
 * shard it only gives back what was on its way to one that has ended. */
typedef void lane_fn(struct shard *shard, struct lane_cell *cell);

#define LANE_WORDS 5

struct lane_cell {
    _Alignas(CACHE_LINE) _Atomic uint32_t mark;
    uint32_t number; /* for whatever is small */
    lane_fn *receive;
    void *message;
    uint64_t word[LANE_WORDS];
};
_Static_assert(sizeof(struct lane_cell) == CACHE_LINE, "a message is one cache line");

/* What both sides see. */
struct lane {
    /* written by the receiver */
    _Alignas(CACHE_LINE) _Atomic uint32_t head;
    /* written by both */
    _Alignas(CACHE_LINE) _Atomic uint32_t wants_room;
    /* written by the sender */
    struct lane_cell cell[LANE_MESSAGES];
};

/* The sender's own. */
struct lane_end {
    struct lane *lane;
    uint32_t tail;      /* the next message's number */
    uint32_t published; /* from here on nobody sees them yet */
    uint32_t head_seen;
    uint32_t capacity; /* LANE_MESSAGES or less */
};

/* Sender: room for one message, to be filled in before the next call; NULL: full. */
static inline struct lane_cell *lane_room(struct lane_end *e)
{
    if (OURO_UNLIKELY(e->tail - e->head_seen == e->capacity)) {
        e->head_seen = load_acquire(&e->lane->head); /* pairs with the release in lane_passed() */
        if (e->tail - e->head_seen == e->capacity)
            return NULL;
    }
    check(e->tail - e->head_seen < e->capacity); /* [LANE-1] */
    return &e->lane->cell[e->tail % LANE_MESSAGES];
}

/* Sender: the cell is filled. */
static inline void lane_filled(struct lane_end *e, struct lane_cell *c)
{
    uint32_t n = e->tail++;

    /* Relaxed: lane_publish() releases it, with the first one. */
    check(n - e->head_seen < e->capacity); /* [LANE-2]: nobody reads it any more */
    if (n != e->published)
        store_relaxed(&c->mark, n + 1);
}

/* Sender: everything so far can be seen from now on. A full barrier: what is read next was read
 * after it (the handshake in mesh.h). */
static inline void lane_publish(struct lane_end *e)
{
    struct lane_cell *first = &e->lane->cell[e->published % LANE_MESSAGES];

    /* Pairs with the acquire in lane_first() and with mesh_may_sleep(). */
    if (e->published != e->tail)
        exchange_seq_cst(&first->mark, e->published + 1);
    e->published = e->tail;
}

/* Receiver: the message number `at`, NULL if there is none. */
static inline struct lane_cell *lane_first(struct lane *l, uint32_t at)
{
    struct lane_cell *c = &l->cell[at % LANE_MESSAGES];

    /* Pairs with lane_publish(); seq_cst is free here where acquire is, and mesh_may_sleep() needs
     * it. */
    return load_seq_cst(&c->mark) == at + 1 ? c : NULL;
}

/* Receiver: everything before `at` has been taken. */
static inline void lane_passed(struct lane *l, uint32_t at)
{
    store_release(&l->head, at); /* pairs with the acquire in lane_room() */
}

#endif
