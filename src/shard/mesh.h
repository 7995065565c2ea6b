/* SPDX-License-Identifier: MIT */
/* How shards and other threads reach a shard: one SPSC lane per ordered pair of shards, one inbox
 * per shard for threads that are none, and the handshake by which a sleeping shard is woken.
 *
 *      shard A ── lane A→B ──► shard B          a lane carries pointers to messages that stay in
 * their thread  ── inbox  ────► shard B          sender's memory until they have been received
 *      B->bell: "asleep" flag + eventfd, watched by B's ring
 *
 * The sleep/wake handshake. The danger is a lost wake: the sender looks at the flag before the
 * shard sets it, and the shard looks at the lane before the message is in it. Both sides therefore
 * write, fence, and then read what the other writes:
 *
 *      shard                                sender
 *      asleep := 1                          lane := message
 *      fence (seq_cst)                      fence (seq_cst)
 *      lanes and inbox empty? → block       asleep? → asleep := 0, write eventfd
 *
 * In the single order of the two fences one comes first; the side whose fence is second sees the
 * other's write. So the shard stays awake, or the sender rings, or both; never neither. Clearing
 * the flag by an exchange makes one sender ring, not all. The eventfd is watched by an
 * edge-triggered multishot poll: each write posts a completion, even one that came before the shard
 * blocked, and nobody reads it.
 *
 * Invariants
 *   [MESH-1] A message is in one place: its sender's, an outbox, a lane or an inbox.
 *   [MESH-4] The inbox holds at most INBOX_MESSAGES messages; a thread that finds it full gets
 *            -EAGAIN.
 * Shown by tests alone:
 *   [MESH-2] Messages from one shard to another are received in the order in which they were sent.
 *   [MESH-3] A full lane makes messages wait in the sender's outbox; sending never fails.
 */
#ifndef SHARD_MESH_H
#define SHARD_MESH_H

#include <ouro/runtime.h>
#include "base/check.h"
#include "base/limits.h"
#include "base/spsc.h"

struct shard;

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

/* Shared by all shards; constant after start except for what its parts say. */
struct mesh {
    unsigned n;
    struct spsc *lanes; /* [from * n + to] */
    struct mesh_bell *bells;
    struct mesh_inbox *inboxes;
};

/* One shard's end of it; owner only. */
struct mesh_end {
    struct mesh *mesh;
    unsigned self;
    uint64_t dirty[OURO_MAX_SHARDS / 64]; /* targets that were sent something this turn */
    struct mesh_outbox {
        struct mesh_message *head, **tail;
    } * outbox; /* [n] */
    uint64_t received, rung, lane_full;
};

int mesh_init(struct mesh *m, unsigned n);
void mesh_destroy(struct mesh *m);
int mesh_end_init(struct mesh_end *e, struct mesh *m, unsigned self);
void mesh_end_destroy(struct mesh_end *e);

/* Sends to another shard (or to itself). The target sees it at the latest after mesh_flush(). */
void mesh_send(struct mesh_end *e, unsigned to, struct mesh_message *message);

/* Once per turn, before the shard calls into the kernel: retries outboxes, rings bells. */
void mesh_flush(struct mesh_end *e);

/* From any thread that is no shard. 0 or -EAGAIN. */
int mesh_post_remote(struct mesh *m, unsigned to, struct mesh_message *message);

/* True while messages wait in an outbox because their lane was full at the last flush. */
bool mesh_outbox_full(const struct mesh_end *e);

/* Takes what is left in an inbox when neither its shard nor anybody who posts is there any more. */
struct mesh_message *mesh_inbox_leftover(struct mesh *m, unsigned of);

/* Receives what has come. Returns how many. */
unsigned mesh_receive(struct mesh_end *e, struct shard *shard);

/* Announces sleep. False: something has come meanwhile, do not block; the flag is taken back. */
bool mesh_may_sleep(struct mesh_end *e);
void mesh_awake(struct mesh_end *e);

/* True while messages of this shard wait for room in a lane. */
bool mesh_outbox_pending(const struct mesh_end *e);

#endif
