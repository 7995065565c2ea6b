/* SPDX-License-Identifier: MIT */
/* Joining a fiber tells how it ended apart from what it returned: once, and only once. */
#include "support/support.h"

static int give(void *arg)
{
    return *(const int *)arg;
}

static int until_cancelled(void *arg)
{
    *(bool *)arg = true;
    return ouro_sleep(OURO_FOREVER) == -ECANCELED ? 7 : 8;
}

static ouro_fiber joinable(ouro_task_fn *fn, const void *arg, size_t bytes)
{
    ouro_fiber f;

    must_be(ouro_spawn_joinable(NULL, fn, arg, bytes, &f), 0);
    return f;
}

/* The value may be any int, errors included: how it ended is told apart. */
static int values_main(void *arg)
{
    static const int values[] = {0, 1, -1, -ECANCELED, -ESRCH, INT32_MIN, INT32_MAX};

    (void)arg;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        ouro_fiber f = joinable(give, &values[i], sizeof values[i]);
        int value = 99;

        must_be(ouro_join(f, &value), OURO_END_RETURNED);
        must_be(value, values[i]);
        must_be(ouro_join(f, NULL), -ESRCH);
    }
    return 0;
}

/* It had ended long before anybody asked. */
static int zombie_main(void *arg)
{
    int five = 5, value = 0;
    ouro_fiber f = joinable(give, &five, sizeof five);
    ouro_fiber other = joinable(give, &five, sizeof five);

    (void)arg;
    must_be(ouro_yield(), 0);
    must_be(ouro_yield(), 0);
    must_be(ouro_fiber_cancel(f), -ESRCH); /* it has ended */
    must_be(ouro_join(f, &value), OURO_END_RETURNED);
    must_be(value, 5);
    must_be(ouro_join(f, &value), -ESRCH);
    must_be(ouro_join(other, NULL), OURO_END_RETURNED);
    return 0;
}

static int cancelled_main(void *arg)
{
    bool runs = false, *where = &runs;
    int value = 0;
    ouro_fiber f;

    (void)arg;
    f = joinable(until_cancelled, where, 0);
    until(runs);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 7); /* its own value, however it ended */
    return 0;
}

static int aborted_main(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .joinable = true};
    bool runs = false;
    int value = 0;
    ouro_fiber f;

    (void)arg;
    must_be(ouro_spawn_with(NULL, until_cancelled, &runs, 0, &o, &f), 0);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_ABORTED);
    must_be(value, -ECANCELED);
    must(!runs);

    o.must_run = true; /* and the same, whose function is called all the same */
    must_be(ouro_spawn_with(NULL, until_cancelled, &runs, 0, &o, &f), 0);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 7);
    must(runs);
    return 0;
}

static int join_self(void *arg)
{
    ouro_fiber *self = arg;

    must_be(ouro_join(*self, NULL), -EDEADLK);
    return 3;
}

static int refusals_main(void *arg)
{
    struct ouro_spawn_options plain = {.size = sizeof plain};
    bool runs = false;
    ouro_fiber self = {0}, f;
    struct ouro_join j;
    int value = 0;

    (void)arg;
    must_be(ouro_spawn_joinable(NULL, join_self, &self, 0, &self), 0);
    must_be(ouro_join(self, &value), OURO_END_RETURNED);
    must_be(value, 3);

    must_be(ouro_spawn_with(NULL, until_cancelled, &runs, 0, &plain, &f), 0);
    must_be(ouro_join(f, NULL), -EINVAL); /* not joinable */
    must_be(ouro_fiber_cancel(f), 0);
    until(ouro_fiber_cancel(f) == -ESRCH);
    must_be(ouro_join(f, NULL), -ESRCH);

    must_be(ouro_join((ouro_fiber){0}, NULL), -ESRCH);
    must_be(ouro_join((ouro_fiber){UINT64_MAX}, NULL), -OURO_EOTHERSHARD);
    must_be(ouro_fiber_cancel((ouro_fiber){0}), -ESRCH);
    must_be(ouro_join_start(NULL, f), -EINVAL);
    must_be(ouro_join_start(&j, f), -ESRCH);
    must(ouro_done(&j.op.future));
    must_be(ouro_result(&j.op.future), -ESRCH);
    must(!j.joined);
    return 0;
}

/* While one waits another cannot; when the wait is given up the fiber can be joined again. */
static int one_joiner_main(void *arg)
{
    bool runs = false;
    ouro_fiber f = joinable(until_cancelled, &runs, 0);
    struct ouro_join first, second;

    (void)arg;
    must_be(ouro_join_start(&first, f), 0);
    must_be(ouro_join_start(&second, f), -ESRCH);
    must_be(ouro_await_for(&first.op.future, MS), -ETIMEDOUT);
    must(!first.joined);
    must_be(ouro_join_start(&second, f), 0);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_await(&second.op.future), 7);
    must(second.joined);
    must_be(second.how, OURO_END_CANCELLED);
    must_be(ouro_join_start(&first, f), -ESRCH);
    return 0;
}

static int join_it(void *arg)
{
    int result = ouro_join(*(ouro_fiber *)arg, NULL);

    must_be(result, -ECANCELED);
    must(ouro_cancelled());
    return 0;
}

/* Cancelling who joins leaves the joined one alone. */
static int cancelled_joiner_main(void *arg)
{
    bool runs = false;
    ouro_fiber f = joinable(until_cancelled, &runs, 0), joiner;

    (void)arg;
    joiner = joinable(join_it, &f, 0);
    until(runs);
    must_be(ouro_fiber_cancel(joiner), 0);
    must_be(ouro_join(joiner, NULL), OURO_END_CANCELLED);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    return 0;
}

/* The handle's slot serves the next fiber at once; the old handle does not reach it. */
static int stale_main(void *arg)
{
    bool runs = false;
    int zero = 0;
    ouro_fiber old = joinable(give, &zero, sizeof zero), next;

    (void)arg;
    must_be(ouro_join(old, NULL), OURO_END_RETURNED);
    next = joinable(until_cancelled, &runs, 0);
    must_be((uint32_t)next.id & 0xffffff, (uint32_t)old.id & 0xffffff);
    must(next.id != old.id);
    must_be(ouro_fiber_cancel(old), -ESRCH);
    must_be(ouro_join(old, NULL), -ESRCH);
    until(runs);
    must_be(ouro_fiber_cancel(next), 0);
    must_be(ouro_join(next, NULL), OURO_END_CANCELLED);
    return 0;
}

/* Off a shard there is nobody to ask. */
static void off_shard(void **state)
{
    struct ouro_join j;

    (void)state;
    assert_int_equal(ouro_join_start(&j, (ouro_fiber){1}), -OURO_ENOSHARD);
    assert_int_equal(ouro_fiber_cancel((ouro_fiber){1}), -OURO_ENOSHARD);
    assert_int_equal(ouro_task_join_start(&j, NULL), -OURO_ENOSHARD);
}

ON_ONE_SHARD(values)
ON_ONE_SHARD(zombie)
ON_ONE_SHARD(cancelled)
ON_ONE_SHARD(aborted)
ON_ONE_SHARD(refusals)
ON_ONE_SHARD(one_joiner)
ON_ONE_SHARD(cancelled_joiner)
ON_ONE_SHARD(stale)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),           cmocka_unit_test(zombie),
        cmocka_unit_test(cancelled),        cmocka_unit_test(aborted),
        cmocka_unit_test(refusals),         cmocka_unit_test(one_joiner),
        cmocka_unit_test(cancelled_joiner), cmocka_unit_test(stale),
        cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
