/* SPDX-License-Identifier: MIT */
/* Descriptor slots: what a handle (slot + generation) stands for.
 *
 *     slots 0 … direct-1          one per entry of the ring's table of direct descriptors: the
 * kernel chooses the entry, so the slot's number is the descriptor slots direct … count-1 ordinary
 * descriptors, from a free list
 *
 *        ┌──────┐ take   ┌──────┐ begin close ┌─────────┐ last operation done, closed
 *        │ FREE ├───────►│ OPEN ├────────────►│ CLOSING ├──────────┐
 *        └──▲───┘        └──────┘             └─────────┘          │ generation + 1
 *           └──────────────────────────────────────────────────────┘
 *
 * Invariants
 *   [SLOT-1] A slot is FREE only with no operation in flight on it.
 *   [SLOT-2] A handle opens its slot only while the slot is OPEN with the same generation, shard
 * and kind. [SLOT-3] A direct entry that the kernel hands out again before the close of its
 * predecessor was reaped is the predecessor's end: the completion of that close changes nothing.
 *   [SLOT-4] direct_open + promised + bursts <= direct, or the multishot accepts have been asked to
 * end: the kernel drops a connection that it accepts and has no entry for. Owner only.
 */
#ifndef RING_SLOTS_H
#define RING_SLOTS_H

#include <errno.h>
#include <sys/socket.h>
#include "base/check.h"
#include "base/limits.h"
#include "ring/ring.h"

#define SLOT_NONE UINT32_MAX

enum slot_kind { SLOT_FREE = 0, SLOT_CONN = 1, SLOT_LISTENER = 2, SLOT_FILE = 3 };

struct slot {
    uint64_t id;                 /* the handle it answers to */
    struct ouro_future *drained; /* who waits until nothing is in flight */
    void *object;                /* a listener's state, a bound datagram socket's port */
    uint32_t inflight;           /* operations in the kernel */
    uint32_t next;               /* free list, accept queue */
    int fd;                      /* descriptor, or entry of the direct table */
    uint8_t kind;                /* enum slot_kind */
    bool direct, closing;
    bool messages; /* not a stream: keeps what is sent apart */
    bool gso;      /* the kernel cuts what is sent into datagrams */
    bool local;    /* a Unix socket: descriptors may come with messages */
    bool nowait;   /* see slot_send_flags() */
};

struct slots {
    struct slot *slot;
    uint32_t count, direct;
    uint32_t free_head; /* of the ordinary ones */
    uint32_t fresh;     /* ordinary ones from here on were never used */
    uint32_t open[4];   /* by kind */
    uint32_t direct_open;
    uint32_t promised; /* direct entries that operations in the kernel may take, one each */
    uint32_t bursts;   /* direct entries that multishot accepts may take at one go */
    uint32_t shard;
    uint64_t refused; /* descriptors for which there was no slot or entry */
};

int slots_init(struct slots *t, uint32_t direct, uint32_t ordinary, uint32_t shard);
void slots_destroy(struct slots *t);

/* Takes the slot of a direct entry that the kernel just handed out. */
struct slot *slots_take_direct(struct slots *t, uint32_t entry, enum slot_kind kind);

/* Takes a slot for an ordinary descriptor; NULL: none is free. */
struct slot *slots_take(struct slots *t, int fd, enum slot_kind kind);

/* Frees a slot whose descriptor is closed, unless it has another generation by now. */
void slots_free(struct slots *t, uint64_t id);

/* Direct entries that are neither taken nor promised. */
static inline uint32_t slots_free_direct(const struct slots *t)
{
    uint32_t taken = t->direct_open + t->promised;

    return taken < t->direct ? t->direct - taken : 0;
}

static inline uint32_t slot_index(const struct slots *t, const struct slot *s)
{
    return (uint32_t)(s - t->slot);
}

static inline struct slot *slots_find(struct slots *t, uint64_t id, enum slot_kind kind)
{
    uint32_t i = handle_slot(id);
    struct slot *s = &t->slot[i];

    if (OURO_UNLIKELY(i >= t->count || s->id != id || s->kind != kind || s->closing))
        return NULL;
    return s;
}

/* OPEN → CLOSING, once or again: from here on the handle is stale. */
static inline void slot_begin_close(struct slot *s)
{
    check(s->kind != SLOT_FREE);
    s->closing = true;
}

/* Why a handle opens no slot. */
static inline int slots_missing(const struct slots *t, uint64_t id)
{
    bool foreign = handle_generation(id) != 0 && handle_shard(id) != t->shard;

    return foreign ? -OURO_EOTHERSHARD : -EBADF;
}

/* For everything that is sent. A Unix datagram socket must not wait in the kernel: that finds the
 * receiver's queue full only after it has taken the message in, forgets so, and sends an empty one
 * when there is room. (Sequenced packets wait for room in the sender's buffer alone.) */
static inline int slot_send_flags(const struct slot *s)
{
    return MSG_NOSIGNAL | (OURO_UNLIKELY(s->nowait) ? MSG_DONTWAIT : 0);
}

/* Aims an SQE at the slot's descriptor. */
static inline void slot_aim(const struct slot *s, struct io_uring_sqe *sqe)
{
    sqe->fd = s->fd;
    if (s->direct)
        sqe->flags |= IOSQE_FIXED_FILE;
}

#endif
