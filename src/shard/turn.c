/* SPDX-License-Identifier: MIT */
/* The turn of a shard:   reap → timers → mesh → run → submit
 *
 * At most one system call a turn (one more when it spins), and none when there is nothing to submit
 * and the kernel has no work of ours waiting. */
#include "shard/reap.h"
#include "shard/audit.h"
#include "shard/fiber.h"
#include "shard/op.h"

#include <errno.h>
#include <ouro/timer.h>

/* How many tasks run between two looks at the clock. */
#define TASKS_PER_LOOK 16

static void timers(struct shard *s)
{
    struct ouro_wheel_node *node;
    struct ouro_timer *timer;

    if (wheel_pending(&s->wheel) == 0)
        return;
    while ((node = wheel_expire(&s->wheel, s->now_ns)) != NULL) {
        s->counters.timers_fired++;
        timer = container_of(node, struct ouro_timer, node);
        frame_timer_forget(s, timer);
        future_complete(s, &timer->future, 0);
    }
}

static void run(struct shard *s)
{
    struct ouro_task *t;
    unsigned until_look = TASKS_PER_LOOK;
    uint64_t resumes = 0;

    if (s->ready == NULL)
        return;
    s->slice_end_ticks = clock_ticks() + s->slice_ticks;
    while ((t = task_pop(s)) != NULL) {
        t->state = OURO_TASK_RUNNING;
        s->current = t;
        if (task_is_fiber(t))
            fiber_resume(s, t);
        else {
            exceptions_end_here();
            t->resume(t);
        }
        resumes++;
        if (--until_look == 0) {
            until_look = TASKS_PER_LOOK;
            if (clock_ticks() >= s->slice_end_ticks)
                break;
        }
    }
    s->current = &s->idle_task;
    s->counters.resumes += resumes;
}

static bool anything_to_do(struct shard *s)
{
    return s->ready != NULL || ring_cq_ready(&s->ring) || pool_wanted(&s->pools[0]) ||
           pool_wanted(&s->pools[1]);
}

/* Looks for work for a bounded time before sleeping, but not past the next timer. The SQEs of this
 * turn are handed over first: mostly it is their completions that are worth spinning for. True:
 * there is some. */
static bool spin(struct shard *s)
{
    uint64_t end, next;

    if (s->spin_ns == 0)
        return false;
    end = clock_now_ns() + s->spin_ns;
    next = wheel_next(&s->wheel);
    end = next < end ? next : end;
    do {
        if (ring_has_work(&s->ring)) /* also what the kernel holds until it is entered */
            ring_enter(&s->ring, 0);
        if (ring_cq_ready(&s->ring) || mesh_receive(&s->mesh, s) != 0 || mesh_room(&s->mesh))
            return true;
        cpu_relax();
    } while (clock_now_ns() < end);
    return false;
}

/* How long the shard may block: until the next timer. 0: not at all. */
static uint64_t wait_ns(struct shard *s)
{
    uint64_t next = wheel_next(&s->wheel), now;

    if (next == WHEEL_NEVER)
        return OURO_FOREVER;
    now = clock_now_ns();
    return next <= now ? 0 : next - now;
}

static void submit_and_wait(struct shard *s)
{
    uint64_t timeout;

    if (spin(s))
        return;
    timeout = wait_ns(s);
    if (timeout != 0 && mesh_may_sleep(&s->mesh)) {
        s->counters.sleeps++;
        ring_enter(&s->ring, timeout);
        mesh_awake(&s->mesh);
    } else if (ring_has_work(&s->ring)) {
        ring_enter(&s->ring, 0);
    }
}

void shard_submit(struct shard *s, bool may_wait)
{
#if OURO_CHECKED
    if (s->counters.turns % AUDIT_TURNS == 0)
        shard_audit(s);
#endif
    mesh_flush(&s->mesh, s);
    recv_sources_unpark(s);
    pool_publish(&s->pools[0]);
    pool_publish(&s->pools[1]);
    if (OURO_UNLIKELY(!s->bell_armed))
        reap_arm_bell(s);
    if (may_wait && !anything_to_do(s))
        submit_and_wait(s);
    else if (ring_has_work(&s->ring))
        ring_enter(&s->ring, 0);
}

void shard_work(struct shard *s)
{
    s->now_ns = clock_now_ns();
    s->counters.turns++;
    reap(s);
    timers(s);
    mesh_receive(&s->mesh, s);
    run(s);
}
