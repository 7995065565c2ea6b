/* SPDX-License-Identifier: MIT */
/* Time: clocks, sleeps, intervals.
 *
 * Deadlines are nanoseconds of CLOCK_MONOTONIC. A timer never fires early; it fires at most one
 * tick of the wheel (OURO_TICK_NS) plus the length of the running turn late. There is no system
 * call per timer: the shard passes its next deadline to the one call in which it waits. */
#ifndef OURO_TIMER_H
#define OURO_TIMER_H

#include <ouro/task.h>
#include <ouro/wheel_node.h>

OURO_BEGIN_DECLS

/* A timer is a future: DONE with 0 when the deadline has passed, with -ECANCELED when cancelled. It
 * is the caller's from DONE on; until then the shard's wheel links it. Zeroed before its first
 * start. In a stack frame declare it with OURO_TIMER so that no way out leaves it linked; checked
 * builds abort, with the task's name and where it was started, at the next wait or the end of a
 * fiber that left a frame with one pending. */
struct ouro_timer {
    struct ouro_future future;
    struct ouro_wheel_node node;
};

/* CLOCK_MONOTONIC as of the beginning of this turn: no system call. Off a shard: the precise time.
 */
OURO_API uint64_t ouro_now_ns(void);

/* CLOCK_MONOTONIC now. */
OURO_API uint64_t ouro_now_precise_ns(void);

/* Now plus `ns`, saturating at OURO_FOREVER. */
static inline uint64_t ouro_after_ns(uint64_t ns)
{
    uint64_t now = ouro_now_precise_ns();

    return ns > OURO_FOREVER - now ? OURO_FOREVER : now + ns;
}

/* Starts a timer that fires at `deadline_ns`; one in the past fires in the next turn, OURO_FOREVER
 * never. Errors, also as the future's result: -OURO_ENOSHARD, -ECANCELED; and those that leave the
 * timer alone: -EINVAL (NULL), -EBUSY (it is pending, on whatever shard). */
OURO_API int ouro_timer_start(struct ouro_timer *timer, uint64_t deadline_ns);

/* Starts one that fires `ns` from now. */
OURO_API int ouro_sleep_start(struct ouro_timer *timer, uint64_t ns);

/* Stops a timer: it is DONE with -ECANCELED when this returns, or with 0 if it fired before.
 * Nothing happens on one that is not pending, nor on a thread that is no shard; a pending one of
 * another shard aborts the process. */
OURO_API void ouro_timer_cancel(struct ouro_timer *timer);

/* Suspends the fiber. 0, -ECANCELED, -OURO_ENOSHARD. */
OURO_API int ouro_sleep(uint64_t ns);
OURO_API int ouro_sleep_until(uint64_t deadline_ns);

/* Ticks at start + k × period. A tick that is late by less than a period (the task was busy)
 * happens at once; those missed before it are not made up for, and `missed` counts them. The grid
 * never moves. */
struct ouro_interval {
    uint64_t next_ns;
    uint64_t period_ns;
    uint64_t missed;
};

/* -EINVAL: NULL, or a period below OURO_TICK_NS or above a hundred years. */
OURO_API int ouro_interval_init(struct ouro_interval *interval, uint64_t period_ns);

/* Waits for the next tick: 0, -ECANCELED. For a stackless task: start a timer at
 * ouro_interval_next(). */
OURO_API int ouro_interval_tick(struct ouro_interval *interval);

/* The deadline of the next tick; steps the interval on. */
OURO_API uint64_t ouro_interval_next(struct ouro_interval *interval);

/* Declares a timer that is stopped on every way out of the block. */
#define OURO_TIMER(name) struct ouro_timer name __attribute__((cleanup(ouro_timer_cancel))) = {}

OURO_END_DECLS

#endif
