/* SPDX-License-Identifier: MIT */
/* Cancelling a task or a scope reaches everything below it, through scopes of fibers and of
 * stackless tasks, and nothing beside it. */
#include "support/support.h"

#define DEPTH 5

static unsigned running, cancelled;

struct leaf {
    struct ouro_task task;
    struct ouro_timer timer;
};

static void leaf_resume(struct ouro_task *task)
{
    struct leaf *l = OURO_FRAME(task, struct leaf, task);

    OURO_BEGIN(task);
    running++;
    ouro_sleep_start(&l->timer, OURO_FOREVER);
    OURO_AWAIT(task, &l->timer.future);
    must_be(ouro_result(&l->timer.future), -ECANCELED);
    cancelled++;
    OURO_END(task, -ECANCELED);
}

/* A scope inside of a stackless task: two leaves, awaited through the scope's future. */
struct branch {
    struct ouro_task task;
    struct ouro_scope scope;
    struct leaf leaf[2];
};

static void branch_resume(struct ouro_task *task)
{
    struct branch *b = OURO_FRAME(task, struct branch, task);

    OURO_BEGIN(task);
    must_be(ouro_scope_enter(&b->scope, 0), 0);
    must_be(ouro_task_start(&b->scope, &b->leaf[0].task, leaf_resume, "leaf"), 0);
    must_be(ouro_task_start(&b->scope, &b->leaf[1].task, leaf_resume, "leaf"), 0);
    running++;
    OURO_AWAIT(task, &b->scope.op.future);
    must_be(ouro_scope_close(&b->scope), 0);
    cancelled++;
    OURO_END(task, 0);
}

/* Two of itself one level down; at the bottom, a branch. */
static int tree(void *arg)
{
    unsigned depth = *(unsigned *)arg - 1;
    struct branch branch = {0};
    struct ouro_scope scope;

    must_be(ouro_scope_enter(&scope, 0), 0);
    if (depth == 0)
        must_be(ouro_task_start(&scope, &branch.task, branch_resume, "branch"), 0);
    else
        for (int i = 0; i < 2; i++)
            must_be(ouro_spawn(&scope, tree, &depth, sizeof depth), 0);
    running++;
    must_be(ouro_scope_leave(&scope), 0);
    must(ouro_cancelled());
    cancelled++;
    return 0;
}

/* Fibers: 2^5 - 1 of them; of each of the 16 at the bottom a branch with two leaves. */
#define TREE (31 + 16 * 3)

static int task_main(void *arg)
{
    unsigned depth = DEPTH;
    struct leaf beside = {0};
    ouro_fiber f;

    (void)arg;
    running = cancelled = 0;
    must_be(ouro_task_start(NULL, &beside.task, leaf_resume, "beside"), 0);
    must_be(ouro_spawn_joinable(NULL, tree, &depth, sizeof depth, &f), 0);
    until(running == TREE + 1);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    must_be(cancelled, TREE);
    must_be(beside.task.state, OURO_TASK_WAITING);
    ouro_task_cancel(&beside.task);
    until(beside.task.state == OURO_TASK_ENDED);
    return 0;
}

static int scope_main(void *arg)
{
    unsigned depth = DEPTH;
    struct ouro_scope scope;

    (void)arg;
    running = cancelled = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn(&scope, tree, &depth, sizeof depth), 0);
    until(running == TREE);
    ouro_scope_cancel(&scope);
    ouro_scope_cancel(&scope);
    must_be(cancelled, 0); /* it never waits */
    must_be(ouro_scope_leave(&scope), 0);
    must_be(cancelled, TREE);
    must(!ouro_cancelled()); /* not upwards */
    return 0;
}

/* Before anything has run: what always runs finds itself cancelled, and opens no scope. */
static int counts(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    must(ouro_cancelled());
    must_be(ouro_scope_enter(&scope, 0), -ECANCELED);
    must_be(ouro_spawn(&scope, counts, NULL, 0), -EINVAL);
    ouro_scope_cancel(&scope); /* not open: harmless */
    must_be(ouro_scope_leave(&scope), -EINVAL);
    cancelled++;
    return 0;
}

static int at_once_main(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    cancelled = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn(&scope, counts, NULL, 0), 0);
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(cancelled, 1);
    return 0;
}

ON_ONE_SHARD(task)
ON_ONE_SHARD(scope)
ON_ONE_SHARD(at_once)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(task),
        cmocka_unit_test(scope),
        cmocka_unit_test(at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
