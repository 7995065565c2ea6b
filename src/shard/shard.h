/* SPDX-License-Identifier: MIT */
/* A shard: one pinned thread and everything it owns. The map:
 *
 *      struct shard
 *        ring      the io_uring: SQEs out, CQEs in                      src/ring
 *        slots     what descriptor handles stand for                    src/ring
 *        pools     provided buffers, small and large                    src/buf
 *        ready     run queue of tasks                                   task.h
 *        wheel     timers                                               wheel.h
 *        mesh      lanes to and from other shards, the inbox            mesh.h
 *        stacks    memory of fibers, small and large                    stack.h
 *        handles   what fiber handles stand for                         fiber.c
 *        root      the scope of what nobody else owns
 *
 * One turn (turn.c):   reap → timers → mesh → run → submit
 *
 * Everything is written by the owner alone, except what mesh.h says about bells, lanes and inboxes.
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include <ouro/runtime.h>
#include <ouro/net.h>
#include "base/check.h"
#include "base/clock.h"
#include "buf/pool.h"
#include "ring/ring.h"
#include "ring/slots.h"
#include "shard/context.h"
#include "shard/exceptions.h"
#include "shard/loan.h"
#include "shard/mesh.h"
#include "shard/stack.h"
#include "shard/wheel.h"

struct fiber;
struct ouro_promise;

struct fiber_handles {
    struct fiber_handle *handle;
    uint32_t count, fresh, free_head;
};

struct stack_use {
    char name[32]; /* a copy: the task's own may go with it */
    size_t bytes;
};

/* Checked builds note what was started where: an operation that lies in a frame which was left has
 * been overwritten by the time it is found, and cannot be asked any more. */
#define OP_NOTES 256
struct op_note {
    const void *op;
    const char *name;
    const void *place;
};

struct shard {
    /* every turn */
    struct ouro_task *current; /* running task; the idle one between tasks */
    struct ouro_task *ready;
    struct ouro_task **ready_tail;
    struct ouro_future fresh; /* constant: what every future begins as, but for its kind */
    uint64_t now_ns;
    uint64_t slice_end_ticks;
    uint64_t slice_ticks;
    unsigned number;               /* constant */
    struct context context;        /* of the scheduler, while a fiber runs */
    struct exceptions *exceptions; /* of the flow that runs on this thread; NULL: no C++ here */
    struct ring ring;
    struct wheel wheel;
    struct slots slots;
    struct pool pools[2];
    struct mesh_end mesh;
    struct ouro_counters counters;

    /* set-up, fibers, reports */
    struct ouro_task idle_task; /* owns what is started outside of any task */
    struct ouro_scope root;
    struct stack_pool stacks[2];
    struct fiber_handles handles;
    struct mesh_message *parked; /* until a fiber ends and leaves room for another */
    struct mesh_message **parked_tail;
    struct ouro_promise *promises; /* that tasks wait for */
    struct stack_use *stack_use;
    uint32_t stack_uses;
    const struct ouro_options *options;
    uint64_t spin_ns;
    bool bell_armed;
    struct loans loans;
    struct accept_source
        *multishots; /* accepts that take as many direct entries as they find peers */
#if OURO_CHECKED
    struct op_note notes[OP_NOTES];
#endif
};

/* The calling thread's shard, NULL if it is none. A test that steps several sets it before each
 * turn. */
extern __thread struct shard *shard_self __attribute__((tls_model("initial-exec")));

struct shard_place {
    unsigned number;
    struct mesh *mesh;
    const struct ouro_options *options; /* complete: defaults filled in */
};

/* On the thread that will run it. 0 or -errno with a sentence in `why`. */
int shard_init(struct shard *s, const struct shard_place *place, char *why, size_t why_bytes);

/* Nothing may be in flight (see shard_quiet()); otherwise what the kernel may still write is
 * leaked. */
void shard_destroy(struct shard *s);

/* One turn in two halves: everything up to running tasks; then handing over to the kernel.
 * `may_wait`: block until something happens if there is nothing to do. */
void shard_work(struct shard *s);
void shard_submit(struct shard *s, bool may_wait);

/* True when no operation of the shard is in the kernel, except the watch on its bell. */
bool shard_quiet(const struct shard *s);

/* Copies the counters, with those that other layers keep. */
void shard_counters(const struct shard *s, struct ouro_counters *out);

#endif
