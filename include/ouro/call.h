/* SPDX-License-Identifier: MIT */
/* Calls from shard to shard.
 *
 *      caller's shard                         target
 *      ouro_call_start ── one cache line ──►  fn(arg) in its turn, or a fiber that runs it
 *      DONE with its value  ◄── the answer ─  when it returned
 *
 * Nothing is allocated. What is sent during a turn becomes visible at its end, all at once; a shard
 * that sleeps is woken, one that runs is not. Calls from one shard to another arrive in the order
 * in which they were started, and so do the answers of those that do not wait.
 *
 * Where more calls are under way than a lane has room for (options.lane_messages), the others wait
 * in their callers' memory, and go in order: starting never fails, whoever awaits waits a little
 * longer, and two shards that flood each other cannot lock each other up. A target that stops still
 * answers everything: -ECANCELED for what it does not begin any more.
 *
 * Errors of every start, also as the future's result: -OURO_ENOSHARD, -EINVAL (no such shard, no
 * function, an argument of more than OURO_CALL_ARG_MAX bytes or NULL with a length), -ECANCELED.
 */
#ifndef OURO_CALL_H
#define OURO_CALL_H

#include <ouro/runtime.h>

OURO_BEGIN_DECLS

/* Bytes that travel in the message itself. */
#define OURO_CALL_ARG_MAX 32

/* Runs on the target, in its turn, outside of any task: it must not wait, and should be short, for
 * nothing else runs there meanwhile. It may start tasks and operations. `arg`: see the start. */
typedef int ouro_call_fn(void *arg);

/* From start to DONE it is the runtime's, and linked to the task that started it. */
struct ouro_call {
    struct ouro_op op;
    uint8_t how; /* of a task: enum ouro_end, valid when DONE */
    /* the runtime's */
    uint8_t flags, arg_bytes;
    uint16_t caller, target;
    int32_t result;
    void *message[3], *cancel[3];
    void *arg;
    ouro_call_fn *fn;
    const char *name;
    ouro_fiber fiber;
    uint64_t inplace[OURO_CALL_ARG_MAX / 8];
};

/* Calls fn on shard `target`. With arg_bytes 0 fn gets `arg` itself. Otherwise that many bytes are
 * copied there, and what fn leaves in its copy is copied back to `arg` (which must stay until DONE)
 * before the future is DONE. The result is what fn returned. Once it is on its way it cannot be
 * called back: cancelling or a deadline only waits for the answer, which takes one turn of the
 * target. */
OURO_API void ouro_call_start(struct ouro_call *call, unsigned target, ouro_call_fn *fn, void *arg,
                              size_t arg_bytes);

static inline int ouro_call(unsigned target, ouro_call_fn *fn, void *arg, size_t arg_bytes)
{
    struct ouro_call c;

    ouro_call_start(&c, target, fn, arg, arg_bytes);
    return ouro_await(&c.op.future);
}

/* Runs fn as a fiber named `name` (NULL: "call"; must outlive it) in the target's root scope, so
 * that it may wait. The bytes at `arg` are copied there; nothing is copied back. The result is what
 * it returned, `how` tells how it ended. Cancelling the call, or its deadline, cancels the fiber,
 * and waits for its end. Errors of its own: -ENOMEM, -EAGAIN as ouro_spawn_with() on the target. */
OURO_API void ouro_call_task_start(struct ouro_call *call, unsigned target, ouro_task_fn *fn,
                                   void *arg, size_t arg_bytes, const char *name);

static inline int ouro_call_task(unsigned target, ouro_task_fn *fn, void *arg, size_t arg_bytes,
                                 const char *name)
{
    struct ouro_call c;

    ouro_call_task_start(&c, target, fn, arg, arg_bytes, name);
    return ouro_await(&c.op.future);
}

/* Calls fn there and does not want to know what came of it. In a fiber: waits only when the lane is
 * full, until the call has been made. 0, or as above. */
OURO_API int ouro_post(unsigned target, ouro_call_fn *fn, const void *arg, size_t arg_bytes);

/* The same, and -EAGAIN when the lane is full. Anywhere on a shard. */
OURO_API int ouro_try_post(unsigned target, ouro_call_fn *fn, const void *arg, size_t arg_bytes);

/* Calls fn on every shard with a copy of the same bytes, and waits for all. `results` (may be NULL)
 * gets what each returned, the result is the first error (lowest shard), else 0. Fiber only; also
 * -ENOMEM. */
OURO_API int ouro_call_all(ouro_call_fn *fn, const void *arg, size_t arg_bytes,
                           int *results /* [ouro_shard_count()] */);

/* The same, and hands what each fn left in its copy to `reduce`, on the caller's shard, in the
 * order of the shards: reduce(sum, part). Where a shard failed reduce is not called for it. */
OURO_API int ouro_map_reduce(ouro_call_fn *map, const void *arg, size_t arg_bytes,
                             void (*reduce)(void *sum, const void *part), void *sum);

OURO_END_DECLS

#endif
