/* SPDX-License-Identifier: MIT */
/* Stackless tasks: the macros, their ends, their joins, and what ouro_task_start() refuses. */
#include "support/support.h"

struct walk {
    struct ouro_task task;
    struct ouro_timer timer, deadline;
    unsigned steps;
    int result, first;
    bool given_back;
};

static void give_back(struct walk *w)
{
    w->given_back = true;
    memset(&w->task, 0xee, sizeof w->task); /* the runtime does not touch it any more */
}

/* A wait, a timed wait that ends in time, one that does not, a wait on what is DONE, yields. */
static void walk_resume(struct ouro_task *task)
{
    struct walk *w = OURO_FRAME(task, struct walk, task);

    OURO_BEGIN(task);
    ouro_sleep_start(&w->timer, MS);
    OURO_AWAIT(task, &w->timer.future);
    must_be(ouro_result(&w->timer.future), 0);
    w->steps++;

    ouro_sleep_start(&w->timer, MS);
    OURO_AWAIT_UNTIL(task, &w->timer.future, &w->deadline, ouro_after_ns(10 * SEC));
    must_be(ouro_timed_result(&w->timer.future, &w->deadline), 0);
    w->steps++;

    ouro_sleep_start(&w->timer, 10 * SEC);
    OURO_AWAIT_UNTIL(task, &w->timer.future, &w->deadline, ouro_after_ns(MS));
    must_be(ouro_timed_result(&w->timer.future, &w->deadline), -ETIMEDOUT);
    must(ouro_done(&w->timer.future)); /* it was cancelled, and may be started again */
    w->steps++;

    ouro_sleep_start(&w->timer, MS);
    OURO_AWAIT_UNTIL(task, &w->timer.future, &w->deadline, OURO_FOREVER);
    must_be(ouro_timed_result(&w->timer.future, &w->deadline), 0);
    OURO_AWAIT(task, &w->timer.future);
    OURO_AWAIT_UNTIL(task, &w->timer.future, &w->deadline, 1);
    must_be(ouro_timed_result(&w->timer.future, &w->deadline), 0); /* it was DONE before */
    w->steps++;

    for (w->first = 0; w->first < 3; w->first++) {
        OURO_YIELD(task);
        w->steps++;
    }
    OURO_END_WITH(task, 42, give_back(w));
}

static int macros_main(void *arg)
{
    static struct walk w[100];
    struct ouro_scope scope;

    (void)arg;
    memset(w, 0, sizeof w);
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (size_t i = 0; i < 100; i++)
        must_be(ouro_task_start(&scope, &w[i].task, walk_resume, "walk"), 0);
    must_be(w[0].steps, 0);
    must_be(ouro_scope_leave(&scope), 0);
    for (size_t i = 0; i < 100; i++) {
        must_be(w[i].steps, 7);
        must(w[i].given_back);
    }
    return 0;
}

struct sleeper {
    struct ouro_task task;
    struct ouro_timer timer, deadline;
    uint64_t ns;
    bool timed, runs;
    int result;
};

static void sleeper_resume(struct ouro_task *task)
{
    struct sleeper *x = OURO_FRAME(task, struct sleeper, task);

    OURO_BEGIN(task);
    x->runs = true;
    x->result = ouro_sleep_start(&x->timer, x->ns);
    if (x->timed) {
        OURO_AWAIT_UNTIL(task, &x->timer.future, &x->deadline, ouro_after_ns(20 * SEC));
        x->result = ouro_timed_result(&x->timer.future, &x->deadline);
    } else {
        OURO_AWAIT(task, &x->timer.future);
        x->result = ouro_result(&x->timer.future);
    }
    /* After cancellation what it starts is cancelled at once. */
    if (x->result == -ECANCELED)
        must_be(ouro_sleep_start(&x->timer, 0), -ECANCELED);
    OURO_END(task, x->result);
}

static int join_main(void *arg)
{
    struct sleeper x = {.ns = MS};
    struct ouro_join j, late;

    (void)arg;
    must_be(ouro_task_join_start(&j, &x.task), -EINVAL); /* never started */
    must_be(ouro_task_join_start(&j, NULL), -EINVAL);
    must_be(ouro_task_join_start(NULL, &x.task), -EINVAL);
    must_be(ouro_task_join_start(&j, ouro_current_task()), -EDEADLK);
    must_be(ouro_task_start(NULL, &x.task, sleeper_resume, "x"), 0);
    must_be(ouro_task_start(NULL, &x.task, sleeper_resume, "x"), -EBUSY);
    must_be(ouro_task_join_start(&j, &x.task), 0);
    must_be(ouro_await(&j.op.future), 0);
    must(j.joined);
    must_be(j.how, OURO_END_RETURNED);
    must_be(ouro_task_join_start(&late, &x.task), 0); /* it has ended, its struct is still there */
    must(late.joined);
    must_be(ouro_await(&late.op.future), 0);

    x.ns = OURO_FOREVER; /* a task that has ended may be started again */
    must_be(ouro_task_start(NULL, &x.task, sleeper_resume, "x"), 0);
    must_be(ouro_task_join_start(&j, &x.task), 0);
    must_be(ouro_await_for(&j.op.future, MS), -ETIMEDOUT); /* gives the wait up, not the task */
    must(!j.joined);
    must_be(ouro_task_join_start(&j, &x.task), 0);
    ouro_task_cancel(&x.task);
    ouro_task_cancel(&x.task);
    must_be(ouro_await(&j.op.future), -ECANCELED);
    must(j.joined);
    must_be(j.how, OURO_END_CANCELLED);
    must_be(ouro_task_join_start(&late, &x.task), 0);
    must_be(late.how, OURO_END_CANCELLED);
    return 0;
}

/* In each of its states; a task that is cancelled before it ran runs, and its waits say so. */
static int cancelled_main(void *arg)
{
    (void)arg;
    for (int state = 0; state < 4; state++) {
        struct sleeper x = {.ns = OURO_FOREVER, .timed = state >= 2};
        struct ouro_scope scope;

        must_be(ouro_scope_enter(&scope, 0), 0);
        must_be(ouro_task_start(&scope, &x.task, sleeper_resume, "x"), 0);
        if (state % 2 == 1)
            until(x.runs);
        ouro_task_cancel(&x.task);
        must_be(ouro_scope_leave(&scope), -ECANCELED);
        must(x.runs);
        must_be(x.result, -ECANCELED);
        ouro_task_cancel(&x.task); /* it has ended: nothing happens */
    }
    ouro_task_cancel(NULL);
    return 0;
}

static int refused_main(void *arg)
{
    struct sleeper x = {0};
    struct ouro_scope scope;

    (void)arg;
    must_be(ouro_task_start(NULL, NULL, sleeper_resume, "x"), -EINVAL);
    must_be(ouro_task_start(NULL, &x.task, NULL, "x"), -EINVAL);
    must_be(ouro_scope_enter(&scope, 0), 0);
    ouro_scope_cancel(&scope);
    must_be(ouro_task_start(&scope, &x.task, sleeper_resume, "x"), -ECANCELED);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ouro_task_start(&scope, &x.task, sleeper_resume, "x"), -EINVAL);
    must(!x.runs);
    return 0;
}

static void off_shard(void **state)
{
    struct sleeper x = {0};

    (void)state;
    assert_int_equal(ouro_task_start(NULL, &x.task, sleeper_resume, "x"), -OURO_ENOSHARD);
    ouro_task_cancel(&x.task);
}

ON_ONE_SHARD(macros)
ON_ONE_SHARD(join)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(macros),  cmocka_unit_test(join),      cmocka_unit_test(cancelled),
        cmocka_unit_test(refused), cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
