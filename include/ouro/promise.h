/* SPDX-License-Identifier: MIT */
/* A future of one's own: something that the caller's code completes, once, and that any number of
 * tasks wait for. It is how callbacks of other libraries and results of other threads are awaited.
 *
 *      zeroed ──init──► OPEN ──complete──────────────────────► KEPT      result is valid
 *        ▲               │ ▲ └─complete_remote─► ON ITS WAY ──► │
 *        │               │ └───────────────init────────────────┘
 *        └──────drop─────┴────────────────drop─────────────────┘
 *
 * A promise belongs to the shard that initialised it. It lies in the caller's memory and must not
 * move. That memory may go when ouro_promise_drop() has returned, or once the promise is KEPT, and
 * no other thread will call ouro_promise_complete_remote() on it any more. Every task that waits
 * keeps a struct ouro_promise_wait of its own.
 *
 * A promise whose memory goes while tasks wait for it strands them: drop it, or declare it with
 * OURO_PROMISE, and they get -EOWNERDEAD. Checked builds abort with the task's name when a fiber
 * ends with such a promise on its stack; every build aborts when it meets one that was overwritten.
 */
#ifndef OURO_PROMISE_H
#define OURO_PROMISE_H

#include <ouro/future.h>

OURO_BEGIN_DECLS

struct ouro_promise_wait;

/* The fields are the runtime's. */
struct ouro_promise {
    struct ouro_promise_wait *first, **last; /* who waits, in the order in which they came */
    struct ouro_promise *next, **pprev;      /* of those that are waited for, on this shard */
    void *message[3];                        /* carries a remote completion: nothing allocates */
    uint32_t shard;                          /* constant from init on */
    uint32_t state;                          /* any thread */
    int32_t result;
};

/* Makes it OPEN, owned by the calling shard. The struct must be zeroed, or a promise from before: a
 * KEPT one is armed again, and whoever waited before has the former result. A completion that is
 * still to come from another thread for the former round would count for this one: arm it again
 * only when there is none. Errors: -OURO_ENOSHARD, -EINVAL (NULL), -EBUSY: tasks wait for it, or a
 * remote completion is on its way. */
OURO_API OURO_NODISCARD int ouro_promise_init(struct ouro_promise *promise);

/* Completes it with any result, by convention >= 0 or -errno, and wakes whoever waits, in order;
 * they run after the caller next waits. Never waits. 0, or: -EALREADY it was completed before, here
 * or by another thread, -OURO_ENOSHARD, -OURO_EOTHERSHARD, -EINVAL it is not open. */
OURO_API int ouro_promise_complete(struct ouro_promise *promise, int result);

/* The same from any thread, as a message to the promise's shard; on that shard at once. Of several
 * that complete a promise exactly one gets 0. From success until it is KEPT the promise belongs to
 * the runtime, the caller need not touch it again. Errors: -EAGAIN from a thread that is no shard,
 * when the shard's inbox is full: nothing has happened, try again; -EALREADY; -EINVAL; -ESHUTDOWN
 * when no runtime runs. While one stops, tasks that still wait (shielded) get the result. */
OURO_API int ouro_promise_complete_remote(struct ouro_promise *promise, int result);

/* True when it is KEPT. Owner only. */
OURO_API bool ouro_promise_kept(const struct ouro_promise *promise);

/* Ends it: whoever waits gets -EOWNERDEAD, it can neither be completed nor waited for until the
 * next init (-EINVAL), and its memory is the caller's. A remote completion that is on its way is
 * awaited first, and counts. A release. Fiber only while such a one can be; a stackless task awaits
 * the promise before. 0, -OURO_ENOSHARD, -OURO_EOTHERSHARD, -EINVAL (NULL); on a promise that is
 * not initialised nothing happens. */
OURO_API int ouro_promise_drop(struct ouro_promise *promise);

/* Declares one that is dropped on every way out of the block. Initialise it. */
#define OURO_PROMISE(name)                                                                         \
    struct ouro_promise name __attribute__((cleanup(ouro_promise_cleanup))) = {}

static inline void ouro_promise_cleanup(struct ouro_promise *promise)
{
    (void)ouro_promise_drop(promise);
}

/* One task's wait. Cancelling it (a deadline, the task's cancellation, the stop of the runtime)
 * gives -ECANCELED and leaves the promise alone. */
struct ouro_promise_wait {
    struct ouro_op op;
    struct ouro_promise *promise;
    struct ouro_promise_wait *next, **pprev;
    bool kept; /* valid when DONE: the result is the promise's own */
};

/* Starts waiting; DONE at once if the promise is KEPT. Errors are the future's result: as a start,
 * -EINVAL also for a promise that is not initialised, -OURO_EOTHERSHARD. */
OURO_API void ouro_promise_wait_start(struct ouro_promise_wait *wait, struct ouro_promise *promise);

/* Waits for the result. */
static inline int ouro_promise_await(struct ouro_promise *promise)
{
    struct ouro_promise_wait w;

    ouro_promise_wait_start(&w, promise);
    return ouro_await(&w.op.future);
}

/* The same with a deadline, as ouro_await_until(): -ETIMEDOUT, and the promise stays OPEN. */
static inline int ouro_promise_await_until(struct ouro_promise *promise, uint64_t deadline_ns)
{
    struct ouro_promise_wait w;

    ouro_promise_wait_start(&w, promise);
    return ouro_await_until(&w.op.future, deadline_ns);
}

OURO_END_DECLS

#endif
