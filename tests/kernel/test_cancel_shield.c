/* SPDX-License-Identifier: MIT */
/* Shields: inside of one, waits are not cut short; they nest, are bounded, and spare the scopes
 * that were opened inside. In both styles. */
#include "support/support.h"

static struct ouro_future *sleep_a_bit(void *arg)
{
    must_be(ouro_sleep_start(arg, 2 * MS), 0);
    return &((struct ouro_timer *)arg)->future;
}

/* Cancelled before the wait, or in the middle of it: the shielded wait runs its course. */
static int waits_main(void *arg)
{
    (void)arg;
    for (enum style style = 0; style < STYLES; style++)
        for (int during = 0; during < 2; during++) {
            struct ouro_timer timer = {0};
            struct waiter w = {.start = sleep_a_bit, .arg = &timer, .shielded = true};
            struct ouro_scope scope;
            uint64_t start = ouro_now_precise_ns();

            must_be(ouro_scope_enter(&scope, 0), 0);
            waiter_spawn(&w, style, &scope);
            if (during)
                until(w.started);
            waiter_cancel(&w);
            must_be(ouro_scope_leave(&scope), 0);
            must(w.ended);
            must_be(w.result, 0);
            must(ouro_now_precise_ns() - start >= 2 * MS);
        }
    return 0;
}

static int nests(void *arg)
{
    (void)arg;
    must_be(ouro_shield_leave(), -EINVAL);
    for (int i = 0; i < 15; i++)
        must_be(ouro_shield_enter(), 0);
    must_be(ouro_shield_enter(), -EOVERFLOW);
    ouro_task_cancel(ouro_current_task());
    for (int i = 0; i < 15; i++) {
        must(!ouro_cancelled());
        must_be(ouro_sleep(0), 0);
        must_be(ouro_yield(), 0);
        must_be(ouro_shield_leave(), 0);
    }
    must(ouro_cancelled());
    must_be(ouro_sleep(0), -ECANCELED);
    must_be(ouro_shield_leave(), -EINVAL);
    must_be(ouro_shield_enter(), 0); /* again, after it struck */
    must_be(ouro_sleep(0), 0);
    must_be(ouro_shield_leave(), 0);
    must_be(ouro_sleep(0), -ECANCELED);
    return 0;
}

static int nesting_main(void *arg)
{
    ouro_fiber f;

    (void)arg;
    must_be(ouro_spawn_joinable(NULL, nests, NULL, 0, &f), 0);
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    return 0;
}

static struct owner {
    struct ouro_timer before, inside;
    bool ready, go_on;
    struct waiter outer, inner;
} owner;

static struct ouro_future *sleep_long(void *arg)
{
    must_be(ouro_sleep_start(arg, 60 * SEC), 0);
    return &((struct ouro_timer *)arg)->future;
}

/* The children of a scope opened before the shield hear of the cancellation at once; those of one
 * opened inside only when the shield ends. */
static int owns_scopes(void *arg)
{
    struct owner *o = arg;
    struct ouro_scope outside, inside;

    o->outer = (struct waiter){.start = sleep_long, .arg = &o->before};
    o->inner = (struct waiter){.start = sleep_long, .arg = &o->inside};
    must_be(ouro_scope_enter(&outside, 0), 0);
    waiter_spawn(&o->outer, FIBER, &outside);
    must_be(ouro_shield_enter(), 0);
    must_be(ouro_scope_enter(&inside, 0), 0);
    waiter_spawn(&o->inner, STACKLESS, &inside);
    o->ready = true;
    until(o->go_on);
    must(o->outer.ended);
    must_be(o->outer.result, -ECANCELED);
    must(!o->inner.ended);
    must_be(ouro_shield_leave(), 0);
    must_be(ouro_scope_leave(&inside), 0);
    must_be(o->inner.result, -ECANCELED);
    must_be(ouro_scope_leave(&outside), 0);
    return 0;
}

static int scopes_main(void *arg)
{
    ouro_fiber f;

    (void)arg;
    owner = (struct owner){0};
    must_be(ouro_spawn_joinable(NULL, owns_scopes, &owner, 0, &f), 0);
    until(owner.ready && owner.inner.started);
    must_be(ouro_fiber_cancel(f), 0);
    until(owner.outer.ended);
    for (int i = 0; i < 10; i++)
        must_be(ouro_sleep(100 * US), 0); /* turns in which the inner one could end */
    must(!owner.inner.ended);
    owner.go_on = true;
    must_be(ouro_join(f, NULL), OURO_END_CANCELLED);
    return 0;
}

static void off_shard(void **state)
{
    (void)state;
    assert_int_equal(ouro_shield_enter(), -OURO_ENOSHARD);
    assert_int_equal(ouro_shield_leave(), -OURO_ENOSHARD);
}

ON_ONE_SHARD(waits)
ON_ONE_SHARD(nesting)
ON_ONE_SHARD(scopes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits),
        cmocka_unit_test(nesting),
        cmocka_unit_test(scopes),
        cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
