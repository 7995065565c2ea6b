/* SPDX-License-Identifier: MIT */
#include "shard/op.h"

#include <ouro/timer.h>

#define HUNDRED_YEARS_NS (UINT64_C(100) * 365 * 86400 * OURO_NSEC_PER_SEC)

uint64_t ouro_now_ns(void)
{
    struct shard *s = shard_self;

    return s != NULL ? s->now_ns : clock_now_ns();
}

uint64_t ouro_now_precise_ns(void)
{
    return clock_now_ns();
}

static int timer_refuse(struct ouro_timer *t, int error)
{
    future_init(&t->future, KIND_TIMER);
    t->future.result = error;
    t->future.state = OURO_DONE;
    return error;
}

/* `place` NULL: it is awaited before its frame is left. */
static inline int timer_begin(struct ouro_timer *timer, uint64_t deadline_ns, const void *place)
{
    struct shard *s = shard_self;

    if (timer == NULL)
        return -EINVAL;
    if (wheel_node_pending(&timer->node))
        return -EBUSY; /* on whatever shard */
    if (s == NULL)
        return timer_refuse(timer, -OURO_ENOSHARD);
    if (task_cancelled(s->current))
        return timer_refuse(timer, -ECANCELED);
    future_init_on(s, &timer->future, KIND_TIMER);
    wheel_insert(&s->wheel, &timer->node, deadline_ns);
    if (place != NULL)
        frame_timer_note(s, timer, place);
    return 0;
}

int ouro_timer_start(struct ouro_timer *timer, uint64_t deadline_ns)
{
    return timer_begin(timer, deadline_ns, __builtin_return_address(0));
}

int ouro_sleep_start(struct ouro_timer *timer, uint64_t ns)
{
    return timer_begin(timer, ouro_after_ns(ns), __builtin_return_address(0));
}

void ouro_timer_cancel(struct ouro_timer *timer)
{
    struct shard *s = shard_self;

    if (s == NULL || timer == NULL || timer->future.state != OURO_PENDING)
        return;
    future_ensure_own(s, &timer->future, "ouro_timer_cancel");
    timer_cancel(s, timer);
}

int ouro_sleep_until(uint64_t deadline_ns)
{
    struct ouro_timer t = {0};
    int error = timer_begin(&t, deadline_ns, NULL);

    return error != 0 ? error : ouro_await(&t.future);
}

int ouro_sleep(uint64_t ns)
{
    return ouro_sleep_until(ouro_after_ns(ns));
}

int ouro_interval_init(struct ouro_interval *interval, uint64_t period_ns)
{
    if (interval == NULL || period_ns < OURO_TICK_NS || period_ns > HUNDRED_YEARS_NS)
        return -EINVAL;
    *interval = (struct ouro_interval){.next_ns = ouro_after_ns(period_ns), .period_ns = period_ns};
    return 0;
}

uint64_t ouro_interval_next(struct ouro_interval *interval)
{
    uint64_t now = clock_now_ns(), late, due;

    if (interval->next_ns < now) {
        late = (now - interval->next_ns) / interval->period_ns;
        /* The tick that is late by less than a period still happens, at once. */
        interval->missed += late;
        interval->next_ns += late * interval->period_ns;
    }
    due = interval->next_ns;
    interval->next_ns += interval->period_ns;
    return due;
}

int ouro_interval_tick(struct ouro_interval *interval)
{
    return interval == NULL || interval->period_ns == 0
               ? -EINVAL
               : ouro_sleep_until(ouro_interval_next(interval));
}
