/* SPDX-License-Identifier: MIT */
/* What scopes refuse, and a scope that is closed without leaving it: by whoever awaited its future.
 */
#include "support/support.h"

static int sleeps(void *arg)
{
    (void)arg;
    return ouro_sleep(OURO_FOREVER);
}

static int leaves_others(void *arg)
{
    must_be(ouro_scope_leave(arg), -EPERM); /* it would wait for itself */
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    must_be(ouro_scope_enter(NULL, 0), -EINVAL);
    must_be(ouro_scope_enter(&scope, 2), -EINVAL);
    must_be(ouro_scope_leave(&scope), -EINVAL); /* refused, so not open */
    must_be(ouro_scope_enter(&scope, ~0u), -EINVAL);
    must_be(ouro_scope_leave(NULL), -EINVAL);
    must_be(ouro_scope_close(NULL), -EINVAL);
    ouro_scope_cancel(NULL);

    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn(&scope, sleeps, NULL, 0), 0);
    must_be(ouro_scope_close(&scope), -EBUSY);
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_close(&scope), -EBUSY); /* they have not ended yet */
    must_be(ouro_scope_leave(&scope), 0);

    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn(&scope, leaves_others, &scope, 0), 0);
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

/* The future: DONE while nothing is in the scope, with a time-out it cancels what is in it. */
static int awaited_main(void *arg)
{
    struct ouro_scope scope;
    uint64_t start = ouro_now_precise_ns();

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    must(ouro_done(&scope.op.future));
    must_be(ouro_await(&scope.op.future), 0);
    must_be(ouro_spawn(&scope, sleeps, NULL, 0), 0);
    must(!ouro_done(&scope.op.future));
    must_be(ouro_await_for(&scope.op.future, 2 * MS),
            0); /* the children ended: it tells their error */
    must(ouro_now_precise_ns() - start >= 2 * MS);
    must_be(scope.live, 0);
    must_be(ouro_spawn(&scope, sleeps, NULL, 0), -ECANCELED);
    must_be(ouro_scope_close(&scope), 0);
    return 0;
}

struct owner {
    struct ouro_task task;
    struct ouro_scope scope;
    int result, closed;
};

static int fails(void *arg)
{
    (void)arg;
    must_be(ouro_sleep(MS), 0);
    return -EIO;
}

static void owner_resume(struct ouro_task *task)
{
    struct owner *o = OURO_FRAME(task, struct owner, task);

    OURO_BEGIN(task);
    must_be(ouro_scope_enter(&o->scope, OURO_SCOPE_FAIL_FAST), 0);
    must_be(ouro_spawn(&o->scope, sleeps, NULL, 0), 0);
    must_be(ouro_spawn(&o->scope, fails, NULL, 0), 0);
    OURO_AWAIT(task, &o->scope.op.future);
    o->result = ouro_result(&o->scope.op.future);
    o->closed = ouro_scope_close(&o->scope);
    OURO_END(task, 0);
}

static int stackless_main(void *arg)
{
    struct owner o = {0};
    struct ouro_join j;

    (void)arg;
    must_be(ouro_task_start(NULL, &o.task, owner_resume, "owner"), 0);
    must_be(ouro_task_join_start(&j, &o.task), 0);
    must_be(ouro_await(&j.op.future), 0);
    must_be(o.result, -EIO);
    must_be(o.closed, -EIO);
    return 0;
}

static void off_shard(void **state)
{
    struct ouro_scope scope = {0};

    (void)state;
    assert_int_equal(ouro_scope_enter(&scope, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_scope_leave(&scope), -OURO_ENOSHARD);
    assert_int_equal(ouro_scope_close(&scope), -OURO_ENOSHARD);
    ouro_scope_cancel(&scope);
}

ON_ONE_SHARD(refused)
ON_ONE_SHARD(awaited)
ON_ONE_SHARD(stackless)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),
        cmocka_unit_test(awaited),
        cmocka_unit_test(stackless),
        cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
