/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM stop the runtime when nobody waits for them; a second SIGINT does not wait for
 * tasks to end; without them the process does what it did before. In children. */
#include "support/support.h"

#include <signal.h>
#include <sys/wait.h>

static int sent;

static int until_stopped_main(void *arg)
{
    must_be(kill(getpid(), *(int *)arg), 0);
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must(ouro_stopping());
    return 9;
}

static int stopped(void *arg)
{
    return run_on(2, until_stopped_main, arg);
}

static void first(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct child c;

    (void)state;
    for (int i = 0; i < 2; i++) {
        sent = signals[i];
        in_child(&c, stopped, &sent);
        assert_int_equal(child_exit(&c), 9);
        child_free(&c);
    }
}

/* Takes its time to end; the second signal does not. */
static int shielded_main(void *arg)
{
    must_be(ouro_shield_enter(), 0);
    must_be(kill(getpid(), SIGINT), 0);
    until(ouro_stopping());
    must_be(kill(getpid(), *(int *)arg), 0);
    return ouro_sleep(4 * SEC);
}

static int stopped_twice(void *arg)
{
    struct ouro_options o = small_options(2);
    uint64_t begin = ouro_now_precise_ns();
    int value = -1;

    must_be(ouro_run(&o, shielded_main, arg, &value), 0);
    return ouro_now_precise_ns() - begin < 3 * SEC ? value == -ETIMEDOUT ? 1 : 3 : 2;
}

static void second(void **state)
{
    struct child c;

    (void)state;
    sent = SIGINT;
    in_child(&c, stopped_twice, &sent);
    assert_int_equal(child_exit(&c), 1);
    assert_non_null(strstr(c.said, "'main'"));
    child_free(&c);
    sent = SIGTERM; /* a second SIGTERM changes nothing */
    in_child(&c, stopped_twice, &sent);
    assert_int_equal(child_exit(&c), 2);
    assert_string_equal(c.said, "");
    child_free(&c);
}

static int interrupted_main(void *arg)
{
    (void)arg;
    must_be(kill(getpid(), SIGTERM), 0);
    (void)ouro_sleep(10 * SEC);
    return 0;
}

static int leaves_signals(void *arg)
{
    struct ouro_options o = small_options(1);

    (void)arg;
    o.leave_signals = true;
    return run_with(&o, interrupted_main, NULL);
}

static void left_alone(void **state)
{
    struct child c;

    (void)state;
    in_child(&c, leaves_signals, NULL);
    assert_true(WIFSIGNALED(c.status));
    assert_int_equal(WTERMSIG(c.status), SIGTERM);
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first),
        cmocka_unit_test(second),
        cmocka_unit_test(left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
