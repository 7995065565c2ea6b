/* SPDX-License-Identifier: MIT */
/* Waiting. Each of these looks, suspends, and looks again; see the waking discipline in
 * shard/task.h. */
#include "shard/fiber.h"
#include "shard/op.h"

#include <ouro/timer.h>

/* Takes the waiter away when the wait ends before the future does. */
static void stop_waiting(struct ouro_future *f)
{
    if (f != NULL)
        f->waiter = NULL; /* [TASK-3] */
}

static struct ouro_task *waiting_fiber(struct shard *s)
{
    return s == NULL ? NULL : fiber_running(s, "a waiting function");
}

static void deadline_start(struct shard *s, struct ouro_timer *t, struct ouro_task *self,
                           uint64_t deadline_ns)
{
    *t = (struct ouro_timer){0};
    if (deadline_ns == OURO_FOREVER)
        return;
    future_init_on(s, &t->future, KIND_TIMER);
    t->future.opcode = TIMER_DEADLINE;
    t->future.waiter = self;
    wheel_insert(&s->wheel, &t->node, deadline_ns);
}

static void deadline_stop(struct shard *s, struct ouro_timer *t)
{
    wheel_cancel(&s->wheel, &t->node);
}

int ouro_await_until(struct ouro_future *f, uint64_t deadline_ns)
{
    struct shard *s = shard_self;
    struct ouro_task *self = waiting_fiber(s);
    struct ouro_timer timer;
    bool asked = false, expired = false;

    if (self == NULL)
        return -OURO_ENOSHARD;
    if (f == NULL || f->state == OURO_IDLE)
        return -EINVAL;
    if (f->state == OURO_DONE)
        return f->result;
    if (future_foreign(s, f))
        return -OURO_EOTHERSHARD;
    deadline_start(s, &timer, self, deadline_ns);
    while (f->state != OURO_DONE) {
        if (!asked && (timer.future.state == OURO_DONE || task_cancelled(self))) {
            asked = true;
            expired = timer.future.state == OURO_DONE; /* what comes first counts */
            if (f->kind == KIND_EVENT)
                break;
            future_cancel(s, f);
            continue;
        }
        f->waiter = self;
        fiber_wait(s, self);
    }
    stop_waiting(f);
    deadline_stop(s, &timer);
    if (f->state != OURO_DONE)
        return expired ? -ETIMEDOUT : -ECANCELED;
    return expired && asked && f->result == -ECANCELED ? -ETIMEDOUT : f->result;
}

/* The same without a timer: what nearly every wait is. */
int ouro_await_slow(struct ouro_future *f)
{
    struct shard *s = shard_self;
    struct ouro_task *self = waiting_fiber(s);

    if (self == NULL)
        return -OURO_ENOSHARD;
    if (f == NULL || f->state == OURO_IDLE)
        return -EINVAL;
    if (f->state != OURO_DONE && future_foreign(s, f))
        return -OURO_EOTHERSHARD;
    while (f->state != OURO_DONE) {
        if (OURO_UNLIKELY(task_cancelled(self))) {
            if (f->kind == KIND_EVENT) {
                stop_waiting(f);
                return -ECANCELED;
            }
            future_cancel(s, f); /* once: it is CANCELLING afterwards */
            if (f->state == OURO_DONE)
                break;
        }
        f->waiter = self;
        fiber_wait(s, self);
    }
    return f->result;
}

int ouro_await_for(struct ouro_future *f, uint64_t timeout_ns)
{
    return ouro_await_until(f,
                            timeout_ns == OURO_FOREVER ? OURO_FOREVER : ouro_after_ns(timeout_ns));
}

/* How many futures there are to wait for; -EINVAL: one was never started; -OURO_EOTHERSHARD. */
static int count_set(const struct shard *s, struct ouro_future *const *futures, size_t n)
{
    int some = 0;

    if (n > INT32_MAX || (futures == NULL && n != 0))
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (futures[i] == NULL)
            continue;
        if (futures[i]->state == OURO_IDLE)
            return -EINVAL;
        if (futures[i]->state != OURO_DONE && future_foreign(s, futures[i]))
            return -OURO_EOTHERSHARD;
        some++;
    }
    return some;
}

/* The first that is not DONE, from i on; n if all are. */
static size_t first_open(struct ouro_future *const *futures, size_t n, size_t i)
{
    while (i < n && (futures[i] == NULL || futures[i]->state == OURO_DONE))
        i++;
    return i;
}

int ouro_await_all(struct ouro_future *const *futures, size_t n, uint64_t deadline_ns)
{
    struct shard *s = shard_self;
    struct ouro_task *self = waiting_fiber(s);
    struct ouro_timer timer;
    int error;

    if (self == NULL)
        return -OURO_ENOSHARD;
    error = count_set(s, futures, n);
    if (error < 0)
        return error;
    error = 0;
    deadline_start(s, &timer, self, deadline_ns);
    /* Waiting for them one after the other ends when all are DONE. */
    for (size_t i = 0; (i = first_open(futures, n, i)) < n;) {
        if (error == 0 && (timer.future.state == OURO_DONE || task_cancelled(self))) {
            error = timer.future.state == OURO_DONE ? -ETIMEDOUT : -ECANCELED;
            for (size_t k = i; k < n; k++)
                if (futures[k] != NULL)
                    future_cancel(s, futures[k]);
            continue;
        }
        if (error != 0 && futures[i]->kind == KIND_EVENT) {
            i++; /* a condition is not cancelled, only no longer waited for */
            continue;
        }
        futures[i]->waiter = self;
        fiber_wait(s, self);
        stop_waiting(futures[i]);
    }
    deadline_stop(s, &timer);
    return error;
}

static int first_done(struct ouro_future *const *futures, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (futures[i] != NULL && futures[i]->state == OURO_DONE)
            return (int)i;
    return -EAGAIN;
}

int ouro_await_any(struct ouro_future *const *futures, size_t n, uint64_t deadline_ns)
{
    struct shard *s = shard_self;
    struct ouro_task *self = waiting_fiber(s);
    struct ouro_timer timer;
    int result;

    if (self == NULL)
        return -OURO_ENOSHARD;
    result = count_set(s, futures, n);
    if (result <= 0)
        return result < 0 ? result : -EINVAL;
    deadline_start(s, &timer, self, deadline_ns);
    while ((result = first_done(futures, n)) < 0) {
        if (task_cancelled(self) || timer.future.state == OURO_DONE) {
            result = timer.future.state == OURO_DONE ? -ETIMEDOUT : -ECANCELED;
            break;
        }
        for (size_t i = 0; i < n; i++)
            if (futures[i] != NULL)
                futures[i]->waiter = self;
        fiber_wait(s, self);
    }
    for (size_t i = 0; i < n; i++)
        stop_waiting(futures[i]);
    deadline_stop(s, &timer);
    return result;
}

void ouro_op_drain(struct ouro_op *op)
{
    struct shard *s = shard_self;
    struct ouro_task *self = waiting_fiber(s);

    if (self == NULL || op == NULL || op->pprev == NULL)
        return;
    future_ensure_own(s, &op->future, "ouro_op_drain");
    ensure(op->future.kind != KIND_SCOPE, "ouro_op_drain was called on a scope; leave it");
    future_cancel(s, &op->future);
    while (op->pprev != NULL) {
        op->future.waiter = self;
        if (op->future.kind == KIND_ZC) /* sent, perhaps, and the buffer not free yet */
            container_of(op, struct ouro_send_zc, op)->released.waiter = self;
        fiber_wait(s, self);
    }
    stop_waiting(&op->future);
}

/* --- stackless ----------------------------------------------------------------------------------
 */

bool ouro_ready_slow(struct ouro_task *task, struct ouro_future *f)
{
    struct shard *s = shard_self;

    ensure(s != NULL, "task '%s' was resumed on a thread that is no shard", task->name);
    future_ensure_own(s, f, "OURO_AWAIT");
    ensure(f->state != OURO_IDLE, "task '%s' on shard %u awaits a future that was never started",
           task->name, s->number);
    if (task_cancelled(task)) {
        if (f->kind == KIND_EVENT) {
            stop_waiting(f);
            return true;
        }
        future_cancel(s, f);
        if (f->state == OURO_DONE)
            return true;
    }
    f->waiter = task;
    task->state = OURO_TASK_WAITING;
    return false;
}

void ouro_timed_start(struct ouro_future *f, struct ouro_timer *timer, uint64_t deadline_ns)
{
    (void)f;
    deadline_start(shard_self, timer, NULL, deadline_ns);
}

bool ouro_timed_ready(struct ouro_task *task, struct ouro_future *f, struct ouro_timer *timer)
{
    struct shard *s = shard_self;

    if (f->state != OURO_DONE && timer->future.state == OURO_DONE) {
        if (f->kind == KIND_EVENT) {
            stop_waiting(f);
            return true;
        }
        future_cancel(s, f);
    }
    timer->future.waiter = task;
    if (!ouro_ready(task, f))
        return false;
    timer->future.waiter = NULL;
    deadline_stop(s, timer);
    return true;
}

int ouro_timed_result(const struct ouro_future *f, const struct ouro_timer *timer)
{
    bool expired = timer->future.state == OURO_DONE;

    if (f->state != OURO_DONE)
        return expired ? -ETIMEDOUT : -ECANCELED;
    return expired && f->result == -ECANCELED ? -ETIMEDOUT : f->result;
}
