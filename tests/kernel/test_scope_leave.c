/* SPDX-License-Identifier: MIT */
/* Leaving a scope joins all that was spawned in it, also what they spawn into it meanwhile, and
 * tells the first error; what nobody joined is forgotten. */
#include "support/support.h"

static unsigned ended;

static int lives(void *arg)
{
    for (unsigned turns = *(unsigned *)arg; turns > 0; turns--)
        must_be(ouro_yield(), 0);
    ended++;
    return 0;
}

static int joins_all_main(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    ended = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_scope_leave(&scope), 0); /* empty */
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < 100; i++)
        must_be(ouro_spawn(&scope, lives, &i, sizeof i), 0);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ended, 100);
    must_be(ouro_scope_leave(&scope), -EINVAL); /* it is closed */
    must_be(ouro_scope_close(&scope), -EINVAL);
    return 0;
}

struct growth {
    struct ouro_scope *scope;
    unsigned depth;
};

static int grows(void *arg)
{
    struct growth g = *(struct growth *)arg;

    ended++;
    if (g.depth-- > 0)
        for (int i = 0; i < 2; i++)
            must_be(ouro_spawn(g.scope, grows, &g, sizeof g), 0);
    return 0;
}

static int growing_main(void *arg)
{
    struct ouro_scope scope;
    struct growth g = {&scope, 8};

    (void)arg;
    ended = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn(&scope, grows, &g, sizeof g), 0);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ended, (1 << 9) - 1);
    return 0;
}

struct ending {
    unsigned turns;
    int value;
};

static int ends_with(void *arg)
{
    struct ending e = *(struct ending *)arg;

    while (e.turns-- > 0)
        must_be(ouro_yield(), 0);
    ended++;
    return e.value;
}

/* The first in time, not in order of spawning; values that are no errors do not count. */
static int first_error_main(void *arg)
{
    static const struct ending endings[] = {{5, -EIO}, {1, 17}, {2, -ENOSPC}, {9, -EPIPE}, {0, 0}};
    struct ouro_scope scope;

    (void)arg;
    ended = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (int i = 0; i < 5; i++)
        must_be(ouro_spawn(&scope, ends_with, &endings[i], sizeof endings[i]), 0);
    must_be(ouro_scope_leave(&scope), -ENOSPC);
    must_be(ended, 5);
    return 0;
}

/* Without fail-fast a failure cancels nobody; with it, the rest: at their waits, with their own
 * results. */
static int sleeps_or_fails(void *arg)
{
    if (*(bool *)arg) {
        must_be(ouro_sleep(MS), 0);
        return -EIO;
    }
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    ended++;
    return -ECANCELED;
}

static int fail_fast_main(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    ended = 0;
    must_be(ouro_scope_enter(&scope, OURO_SCOPE_FAIL_FAST), 0);
    for (int i = 0; i < 10; i++) {
        bool fails = i == 4;

        must_be(ouro_spawn(&scope, sleeps_or_fails, &fails, sizeof fails), 0);
    }
    until(ended == 9);
    must_be(ouro_spawn(&scope, lives, &ended, sizeof ended),
            -ECANCELED); /* it is cancelled for good */
    must_be(ouro_scope_leave(&scope), -EIO);

    must_be(ouro_scope_enter(&scope, OURO_SCOPE_FAIL_FAST), 0); /* nobody fails */
    for (unsigned i = 0; i < 10; i++)
        must_be(ouro_spawn(&scope, lives, &i, sizeof i), 0);
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

/* A child that fails with -ECANCELED of its own accord is an error like any other. */
static int own_cancel_main(void *arg)
{
    struct ending e = {0, -ECANCELED};
    struct ouro_scope scope;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn(&scope, ends_with, &e, sizeof e), 0);
    must_be(ouro_scope_leave(&scope), -ECANCELED);
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn(&scope, ends_with, &e, sizeof e), 0);
    ouro_scope_cancel(&scope);
    must_be(ouro_scope_leave(&scope), 0); /* here it was asked for */
    return 0;
}

/* Handles of fibers that nobody joined end with the scope; those joined before do not count twice.
 */
static int zombies_main(void *arg)
{
    struct ouro_scope scope;
    ouro_fiber f[20];
    int value = 0;

    (void)arg;
    for (int round = 0; round < 3; round++) {
        must_be(ouro_scope_enter(&scope, 0), 0);
        for (int i = 0; i < 20; i++) {
            struct ending e = {(unsigned)i % 3, i};

            must_be(ouro_spawn_joinable(&scope, ends_with, &e, sizeof e, &f[i]), 0);
        }
        for (int i = 0; i < 10; i++)
            must_be(ouro_yield(), 0);
        for (int i = 19; i >= 0; i -= 1 + round) {
            must_be(ouro_join(f[i], &value), OURO_END_RETURNED);
            must_be(value, i);
        }
        must_be(ouro_scope_leave(&scope), 0);
        for (int i = 0; i < 20; i++)
            must_be(ouro_join(f[i], &value), -ESRCH);
    }
    return 0;
}

/* With a table of handles no larger than what lives at a time, forgotten ones must come back. */
static int reuse_main(void *arg)
{
    struct ending e = {0, 1};
    struct ouro_scope scope;
    ouro_fiber f;

    (void)arg;
    for (int round = 0; round < 100; round++) {
        must_be(ouro_scope_enter(&scope, 0), 0);
        for (int i = 0; i < 7; i++)
            must_be(ouro_spawn_joinable(&scope, ends_with, &e, sizeof e, &f), 0);
        must_be(ouro_scope_leave(&scope), 0);
    }
    return 0;
}

static void reuse(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.max_fibers = 8;
    assert_int_equal(run_with(&o, reuse_main, NULL), 0);
}

ON_ONE_SHARD(joins_all)
ON_ONE_SHARD(growing)
ON_ONE_SHARD(first_error)
ON_ONE_SHARD(fail_fast)
ON_ONE_SHARD(own_cancel)
ON_ONE_SHARD(zombies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_all), cmocka_unit_test(growing),    cmocka_unit_test(first_error),
        cmocka_unit_test(fail_fast), cmocka_unit_test(own_cancel), cmocka_unit_test(zombies),
        cmocka_unit_test(reuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
