/* SPDX-License-Identifier: MIT */
/* A task knows its name, may change it, and is known from inside by its pointer. */
#include "support/support.h"

static int named(void *arg)
{
    const char *const *expected = arg;
    static const char other[] = "other";

    must_be(strcmp(ouro_task_name(), *expected), 0);
    must(ouro_current_task() != NULL);
    must_be(ouro_task_set_name(NULL), -EINVAL);
    must_be(ouro_task_set_name(other), 0);
    must(ouro_task_name() == other);
    must_be(ouro_yield(), 0);
    must(ouro_task_name() == other);
    return 0;
}

struct stackless {
    struct ouro_task task;
    const char *expected;
    bool ended;
};

static void stackless_resume(struct ouro_task *task)
{
    struct stackless *x = OURO_FRAME(task, struct stackless, task);

    OURO_BEGIN(task);
    must(ouro_current_task() == task);
    must_be(strcmp(ouro_task_name(), x->expected), 0);
    must_be(ouro_task_set_name("renamed"), 0);
    OURO_YIELD(task);
    must(ouro_current_task() == task);
    must_be(strcmp(ouro_task_name(), "renamed"), 0);
    x->ended = true;
    OURO_END(task, 0);
}

static int inside_main(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "baker"};
    struct stackless with = {.expected = "smith"}, without = {.expected = "stackless"};
    const char *name = "fiber";
    struct ouro_scope scope;

    (void)arg;
    must_be(strcmp(ouro_task_name(), "main"), 0);
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn_with(&scope, named, &name, sizeof name, NULL, NULL), 0);
    must_be(ouro_yield(), 0);
    must_be(ouro_spawn_with(&scope, named, &o.name, sizeof o.name, &o, NULL), 0);
    must_be(ouro_task_start(&scope, &with.task, stackless_resume, "smith"), 0);
    must_be(ouro_task_start(&scope, &without.task, stackless_resume, NULL), 0);
    must_be(ouro_scope_leave(&scope), 0);
    must(with.ended && without.ended);
    must_be(strcmp(ouro_task_name(), "main"), 0);
    return 0;
}

static void outside(void **state)
{
    (void)state;
    assert_null(ouro_current_task());
    assert_string_equal(ouro_task_name(), "");
    assert_int_equal(ouro_task_set_name("x"), -OURO_ENOSHARD);
    assert_int_equal(ouro_current_shard(), -OURO_ENOSHARD);
    assert_false(ouro_cancelled());
}

ON_ONE_SHARD(inside)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(inside), cmocka_unit_test(outside)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
