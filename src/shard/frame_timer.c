/* SPDX-License-Identifier: MIT */
/* Timers in frames, for checked builds. The wheel links a timer and its task does not know it: one
 * whose frame was left would stay linked in whatever comes to lie there. */
#include "shard/fiber.h"

#include <ouro/timer.h>

#if OURO_CHECKED
static struct fiber *fiber_around(const struct shard *s, const void *address)
{
    bool in_guard;

    for (size_t i = 0; i < array_size(s->stacks); i++) {
        void *top = stack_locate(&s->stacks[i], address, &in_guard);

        if (top != NULL)
            return fiber_at(top);
    }
    return NULL;
}

static _Noreturn void left(const struct shard *s, const struct fiber *f,
                           const struct frame_timer *note)
{
    fatal("task '%s' on shard %u left a block with a timer pending in it, started at %p; cancel "
          "it, or declare it with OURO_TIMER",
          f->task.name, s->number, note->place);
}

/* When there are many the last place is the newest's. */
void frame_timer_note(struct shard *s, struct ouro_timer *t, const void *place)
{
    struct fiber *f = fiber_around(s, t);
    size_t i = 0;

    if (f == NULL)
        return;
    for (size_t k = 0; k < FRAME_TIMERS; k++)
        if (OURO_UNLIKELY(f->timers[k].timer == t))
            left(s, f, &f->timers[k]); /* and came back: the wheel links the same memory twice */
    while (i < FRAME_TIMERS - 1 && f->timers[i].timer != NULL)
        i++;
    f->timers[i] = (struct frame_timer){t, place};
    t->future.opcode = (uint8_t)(i + 1);
}

void frame_timer_forget(struct shard *s, struct ouro_timer *t)
{
    unsigned i = t->future.opcode;
    struct fiber *f;

    if (i == TIMER_PLAIN || i > FRAME_TIMERS)
        return;
    f = fiber_around(s, t);
    if (f->timers[i - 1].timer == t)
        f->timers[i - 1].timer = NULL;
}

/* Not looked into: what this stack held has been grown over. */
void frame_timers_check(const struct shard *s, const struct fiber *f, const void *sp)
{
    for (size_t i = 0; i < FRAME_TIMERS; i++)
        if (OURO_UNLIKELY(f->timers[i].timer != NULL) &&
            (uintptr_t)f->timers[i].timer < (uintptr_t)sp)
            left(s, f, &f->timers[i]);
}
#endif
