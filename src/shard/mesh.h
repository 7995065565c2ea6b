/* SPDX-License-Identifier: MIT */
/* How shards and other threads reach a shard: one lane per ordered pair of shards, one inbox per
 * shard for threads that are none, and the handshake by which a sleeping shard is woken.
 *
 *      shard A ── lane A→B ──► shard B          cells of one cache line (lane.h): what is small
 *                    │ full                     travels in them, the rest stays in its sender's
 *                 outbox                        memory until it was received
 *      their thread  ── inbox  ────► shard B
 *      B->bell: "asleep" + two ways to wake B: a message to its ring, an eventfd its ring watches
 *
 * The sleep/wake handshake. The danger is a lost wake: the sender looks at the flag before the
 * shard sets it, and the shard looks at the lane before the message is in it. Both sides therefore
 * write, and then read what the other writes, and all four accesses are in one order that everybody
 * agrees on (seq_cst):
 *
 *      shard                                sender
 *      asleep := 1                          mark of the cell := number       (lane_publish)
 *      lanes and inbox empty? → block       asleep? → asleep := 0, ring
 *
 * In that order one of the two writes comes first; the side whose write is second then reads the
 * other's. So the shard stays awake, or the sender rings, or both; never neither. Clearing the flag
 * by an exchange makes one sender ring, not all. A ring of the bell is a completion in B's ring, by
 * a message from the sender's ring or by an edge-triggered multishot poll of the eventfd: it is
 * there also when it came before the shard blocked.
 *
 * The same in the other direction, for a sender that found a lane full:
 *
 *      sender                               receiver
 *      wants_room := 1                      head := taken
 *      lane still full?                     took half a lane or more, and wants_room?
 *      asleep := 1                          → wants_room := 0
 *      wants_room still? → block            asleep? → asleep := 0, ring the sender's bell
 *
 * tests/models has both as programs for a model checker, with every interleaving tried.
 *
 * Half a lane is enough to look for: the sender sleeps with a whole lane before it, which is taken
 * in at most two visits, and one of them takes half or more after the flag was set.
 *
 * Invariants
 *   [MESH-1] A message is in one place: its sender's, an outbox, a lane or an inbox.
 *   [MESH-4] The inbox holds at most INBOX_MESSAGES messages; a thread that finds it full gets
 *            -EAGAIN.
 * Shown by tests alone:
 *   [MESH-2] Messages from one shard to another are received in the order in which they were sent.
 *   [MESH-3] A full lane makes messages wait in the sender's outbox; sending never fails. So a
 * shard never waits for another while it receives, and no ring of full lanes can lock up.
 */
#ifndef SHARD_MESH_H
#define SHARD_MESH_H

#include <ouro/runtime.h>
#include "base/check.h"
#include "base/limits.h"
#include "shard/lane.h"

/* Intrusive; `receive` runs on the target in its turn, outside of any task, and may free the
 * message. With a NULL shard it only gives back what was posted to one that has ended. */
struct mesh_message {
    struct mesh_message *_Atomic next; /* inbox */
    struct mesh_message *out_next;     /* outbox; parked at the receiver */
    void (*receive)(struct shard *shard, struct mesh_message *message);
};

/* What others touch of a shard. */
struct mesh_bell {
    _Alignas(CACHE_LINE) _Atomic uint32_t asleep;
    int eventfd;
    int ring_fd; /* for messages; written at the start, before any message */
};

/* Many producers, one consumer: a list whose producers exchange the last element in. The stub keeps
 * it from ever being empty. */
struct mesh_inbox {
    _Alignas(CACHE_LINE) struct mesh_message *_Atomic last;
    _Atomic uint32_t count;
    _Atomic uint64_t refused;                        /* posts that found it full */
    _Alignas(CACHE_LINE) struct mesh_message *first; /* consumer only */
    struct mesh_message stub;
};

/* As many messages as are published, or passed, at once within a turn: a quarter of a lane, so that
 * both sides can work at the same time. */
#define MESH_BATCH (LANE_MESSAGES / 4)

enum mesh_wake { WAKE_EVENTFD, WAKE_RING };

/* Shared by all shards; constant after start except for what its parts say. */
struct mesh {
    unsigned n;
    enum mesh_wake wake;
    uint32_t capacity;  /* of a lane: options.lane_messages */
    struct lane *lanes; /* [to * n + from]: a receiver's lie together, on its node */
    struct mesh_bell *bells;
    struct mesh_inbox *inboxes;
};

struct mesh_outbox {
    struct mesh_message *head, **tail;
};

/* One shard's end of it; owner only. */
struct mesh_end {
    struct mesh *mesh;
    unsigned self;
    bool by_eventfd;                      /* whatever the mesh says: its rings may be going */
    uint64_t dirty[OURO_MAX_SHARDS / 64]; /* targets that were sent something since the last flush,
                                             or whose outbox is not empty */
    struct lane_end *out;                 /* [n] */
    uint32_t *taken;                      /* [n]: messages received from each */
    struct mesh_outbox *outbox;           /* [n] */
    uint64_t received, rung, lane_full;
};

int mesh_init(struct mesh *m, unsigned n, uint32_t capacity);
void mesh_destroy(struct mesh *m);
int mesh_end_init(struct mesh_end *e, struct mesh *m, unsigned self);
void mesh_end_destroy(struct mesh_end *e);

/* Sends to another shard (or to itself). The target sees it at the latest after mesh_flush(). */
void mesh_send(struct mesh_end *e, unsigned to, struct mesh_message *message);

/* A cell for something small, to be filled in and handed over by mesh_filled() before anything else
 * is sent there. NULL: the lane is full, or others wait for it: only mesh_send() is left. */
static inline struct lane_cell *mesh_cell(struct mesh_end *e, unsigned to)
{
    if (OURO_UNLIKELY(e->outbox[to].head != NULL))
        return NULL; /* [MESH-2] */
    return lane_room(&e->out[to]);
}

static inline void mesh_filled(struct mesh_end *e, unsigned to, struct lane_cell *cell)
{
    struct lane_end *out = &e->out[to];

    lane_filled(out, cell);
    if (OURO_UNLIKELY(out->tail - out->published == MESH_BATCH))
        lane_publish(out);
    e->dirty[to / 64] |= UINT64_C(1) << (to % 64);
}

/* Once per turn, before the shard calls into the kernel: publishes, rings bells, retries outboxes.
 */
void mesh_flush(struct mesh_end *e, struct shard *shard);

/* From any thread that is no shard. 0 or -EAGAIN. */
int mesh_post_remote(struct mesh *m, unsigned to, struct mesh_message *message);

/* True while messages wait in an outbox because their lane is full. */
bool mesh_outbox_full(const struct mesh_end *e);

/* Takes what is left in an inbox when neither its shard nor anybody who posts is there any more. */
struct mesh_message *mesh_inbox_leftover(struct mesh *m, unsigned of);

/* Receives what has come. Returns how many. */
unsigned mesh_receive(struct mesh_end *e, struct shard *shard);

/* True when room was offered in a lane before which messages wait: to be looked at while spinning.
 */
bool mesh_room(const struct mesh_end *e);

/* Announces sleep. False: something has come meanwhile, do not block; the flag is taken back. */
bool mesh_may_sleep(struct mesh_end *e);
void mesh_awake(struct mesh_end *e);

/* Sends a message that rings, from the shard's own ring, with its next call into the kernel
 * (reap.c). False: no memory. One that fails is answered by mesh_ring_again(). */
bool mesh_ring_message(struct shard *shard, unsigned to, int ring_fd);

/* A ring by message failed: by the eventfd, then. */
void mesh_ring_again(struct mesh_end *e, unsigned to);

#endif
