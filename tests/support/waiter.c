/* SPDX-License-Identifier: MIT */
#include "support/support.h"

const char *const style_name[STYLES] = {"fiber", "stackless"};

static int waiter_fiber(void *arg)
{
    struct waiter *w = *(struct waiter **)arg;

    w->started = true;
    if (w->shielded)
        must_be(ouro_shield_enter(), 0);
    w->future = w->start(w->arg);
    if (w->future != NULL)
        w->result = w->deadline_ns != 0 ? ouro_await_until(w->future, w->deadline_ns)
                                        : ouro_await(w->future);
    if (w->shielded)
        must_be(ouro_shield_leave(), 0);
    w->ended = true;
    return w->result;
}

static void waiter_resume(struct ouro_task *task)
{
    struct waiter *w = OURO_FRAME(task, struct waiter, task);

    OURO_BEGIN(task);
    w->started = true;
    if (w->shielded)
        must_be(ouro_shield_enter(), 0);
    w->future = w->start(w->arg);
    if (w->future != NULL && w->deadline_ns != 0) {
        OURO_AWAIT_UNTIL(task, w->future, &w->timer, w->deadline_ns);
        w->result = ouro_timed_result(w->future, &w->timer);
    } else if (w->future != NULL) {
        OURO_AWAIT(task, w->future);
        w->result = ouro_result(w->future);
    }
    if (w->shielded)
        must_be(ouro_shield_leave(), 0);
    w->ended = true;
    OURO_END(task, w->result);
}

void waiter_spawn(struct waiter *w, enum style style, struct ouro_scope *scope)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "waiter", .must_run = true};

    w->started = w->ended = false;
    w->result = 0;
    w->style = style;
    w->future = NULL;
    memset(&w->task, 0, sizeof w->task);
    memset(&w->timer, 0, sizeof w->timer);
    if (style == FIBER)
        must_be(ouro_spawn_with(scope, waiter_fiber, &w, sizeof w, &o, &w->fiber), 0);
    else
        must_be(ouro_task_start(scope, &w->task, waiter_resume, "waiter"), 0);
}

void waiter_cancel(struct waiter *w)
{
    if (w->style == FIBER)
        (void)ouro_fiber_cancel(w->fiber);
    else
        ouro_task_cancel(&w->task);
}
