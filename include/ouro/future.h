/* SPDX-License-Identifier: MIT */
/* Futures: what a task can wait for. They live in their owner's memory (a stack frame, a connection
 * struct); nothing is allocated between start and completion.
 *
 *      ┌──────┐ X_start  ┌─────────┐ cancel  ┌────────────┐
 *      │ IDLE ├─────────►│ PENDING ├────────►│ CANCELLING │
 *      └──▲───┘          └────┬────┘         └─────┬──────┘
 *         │ start again       │ completion         │ completion (always comes)
 *         │                ┌──▼────────────────────▼──┐
 *         └────────────────┤          DONE            │  result is valid
 *                          └──────────────────────────┘
 *
 * Three kinds:
 *   future    completes once: an I/O operation, a timer, a join, a call of several steps
 *   two-step  completes twice: a zero-copy send is `sent`, then its buffer is `free`  (ouro/net.h)
 *   source    completes many times: multishot accept and receive                       (ouro/net.h)
 *
 * The memory rule. From X_start until DONE the kernel owns the operation and its buffer: neither
 * may be touched, moved or freed. Every wait below that gives up early (cancelled, timed out) asks
 * the kernel to cancel *and waits for the completion*, so that nothing returns while the kernel may
 * still write; the result then says what did move. Only ouro_await_any() leaves the others running.
 * An operation in a stack frame that is not awaited on every way out is declared with OURO_OP: it
 * is cancelled and drained when the block is left. A task that ends with operations in flight
 * aborts the process with their names and places; checked builds find one in a dead frame at the
 * next wait.
 *
 * A future belongs to the task that started it, on the shard where it was started, and has at most
 * one waiter at a time. What is DONE may be read anywhere. Before that the waits below give
 * -OURO_EOTHERSHARD on another shard; calls that return nothing abort there with a message, in
 * every build, and do nothing on a thread that is no shard.
 */
#ifndef OURO_FUTURE_H
#define OURO_FUTURE_H

#include <ouro/base.h>

OURO_BEGIN_DECLS

struct ouro_task;

enum ouro_future_state {
    OURO_IDLE = 0,
    OURO_PENDING = 1,
    OURO_CANCELLING = 2,
    OURO_DONE = 3,
};

/* 16 bytes. Owner only; the fields are the runtime's, read them through the functions below. */
struct ouro_future {
    struct ouro_task *waiter; /* woken at completion */
    int32_t result;           /* valid when DONE: >= 0 or -errno */
    uint8_t state;            /* enum ouro_future_state */
    uint8_t kind;             /* how it is cancelled; the runtime's own numbering */
    uint8_t opcode;           /* io_uring opcode of an operation, for reports */
    uint8_t shard;            /* that it was started on */
};

/* A pending piece of work that its task is accountable for: an operation in the kernel, a call of
 * several steps, an open scope. 48 bytes; every `struct ouro_<call>` begins with one. */
struct ouro_op {
    struct ouro_future future;
    struct ouro_op *next;   /* in the owning task's list, newest first */
    struct ouro_op **pprev; /* NULL: in no list */
    const void *place;      /* where it was started: code address, for reports */
    uint32_t slot;          /* the descriptor slot it keeps alive, UINT32_MAX: none */
    uint32_t cqe_flags;     /* of the completion; while CANCELLING the runtime's own notes */
};

static inline bool ouro_done(const struct ouro_future *f)
{
    return f->state == OURO_DONE;
}

/* The result of a DONE future: >= 0, or -errno. */
static inline int ouro_result(const struct ouro_future *f)
{
    return f->result;
}

/* Internal: what the inline waits below call when they must suspend. */
OURO_API int ouro_await_slow(struct ouro_future *f);

/* Waits until the future is DONE and returns its result.
 * When: fiber only (a stackless task writes OURO_AWAIT, ouro/task.h); a future that was never
 * started gives -EINVAL. Cancellation of the task cancels the future and waits for its completion:
 * the result is -ECANCELED, or what had happened first (bytes that moved are never hidden). A
 * source's `ready` future is not cancelled; the wait gives -ECANCELED and the source goes on. */
static inline int ouro_await(struct ouro_future *f)
{
    if (OURO_LIKELY(f->state == OURO_DONE))
        return f->result;
    return ouro_await_slow(f);
}

/* Like ouro_await with a deadline (ouro_now_ns() clock; OURO_FOREVER: none). At the deadline the
 * future is cancelled and its completion awaited: -ETIMEDOUT if it was cancelled by that, else its
 * result. The deadline bounds when cancellation is asked for: disk I/O that already runs ends in
 * its own time. */
OURO_API int ouro_await_until(struct ouro_future *f, uint64_t deadline_ns);

/* The same, relative to now. */
OURO_API int ouro_await_for(struct ouro_future *f, uint64_t timeout_ns);

/* Waits until all n futures are DONE; NULL entries are skipped. Returns 0, or -ETIMEDOUT /
 * -ECANCELED when the deadline or a cancellation came first: then the unfinished ones were
 * cancelled and their completions awaited, so that all are DONE in every case, except a source's
 * `ready` future, which is no longer waited for. -EINVAL: an entry was never started. */
OURO_API int ouro_await_all(struct ouro_future *const *futures, size_t n, uint64_t deadline_ns);

/* Waits until one of n futures is DONE and returns its index, the lowest if several are. The others
 * go on and are still the caller's to await or cancel. NULL entries are skipped. Errors:
 * -ETIMEDOUT, -ECANCELED (nothing was cancelled), -EINVAL (an entry was never started, or none was
 * given). */
OURO_API int ouro_await_any(struct ouro_future *const *futures, size_t n, uint64_t deadline_ns);

/* Asks for cancellation and returns at once; the completion still comes and must be awaited.
 * Nothing happens on a future that is not PENDING, nor on a thread that is no shard. Aborts on
 * another shard than the future's. */
OURO_API void ouro_cancel(struct ouro_future *f);

/* Cancels what is still in flight and waits for its completion. A release. Fiber only; aborts on
 * another shard than the operation's, does nothing on a thread that is no shard. */
OURO_API void ouro_op_drain(struct ouro_op *op);

/* Declares an operation that is cancelled and drained on every way out of the block:
 *     OURO_OP(struct ouro_recv, r);
 * Fiber only. `type` begins with a struct ouro_op. */
#define OURO_OP(type, name) type name __attribute__((cleanup(ouro_op_cleanup))) = {}

static inline void ouro_op_cleanup(void *op)
{
    struct ouro_op *o = (struct ouro_op *)op;

    if (OURO_UNLIKELY(o->pprev != NULL)) /* in flight, or a zero-copy buffer not yet free */
        ouro_op_drain(o);
}

OURO_END_DECLS

#endif
