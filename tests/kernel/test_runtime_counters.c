/* SPDX-License-Identifier: MIT */
/* Counters count: each of the core's moves by exactly what was done, or at least by it. */
#include "support/support.h"

#include <poll.h>
#include <sys/eventfd.h>

static struct ouro_counters before, after;

static void begin(void)
{
    must_be(ouro_counters(&before), 0);
}

static void end(void)
{
    must_be(ouro_counters(&after), 0);
}

#define moved(name) (after.name - before.name)

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int tasks_main(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    begin();
    for (int i = 0; i < 10; i++)
        must_be(ouro_spawn(&scope, nothing, NULL, 0), 0);
    must_be(ouro_yield(), 0);
    end();
    must_be(moved(spawns), 10);
    must_be(moved(stacks_unguarded), 0);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ouro_sleep(0), 0); /* resumptions are added at the end of a turn */
    begin();
    for (int i = 0; i < 25; i++)
        must_be(ouro_sleep(0), 0);
    end();
    must_be(moved(timers_fired), 25);
    must_be(moved(resumes), 25);
    must(moved(turns) >= 25);
    return 0;
}

/* [RING-3]: some calls for a hundred operations. */
static int operations_main(void *arg)
{
    struct ouro_poll poll[100];
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1;

    (void)arg;
    must_be(ouro_sleep(MS), 0); /* what the start left to do */
    begin();
    for (int i = 0; i < 100; i++)
        ouro_poll_start(&poll[i], fd, POLLIN);
    end();
    must_be(moved(sq_spills), 36); /* the queue has 64 */
    must_be(write(fd, &one, sizeof one), sizeof one);
    for (int i = 0; i < 100; i++)
        must_be(ouro_await(&poll[i].op.future), POLLIN);
    end();
    must_be(moved(submitted), 100);
    must_be(moved(completions), 100);
    must_be(moved(cancels), 0);
    must(moved(enters) >= 1 && moved(enters) <= 12);
    must_be(read(fd, &one, sizeof one), sizeof one);
    begin();
    must_be(ouro_await_for((ouro_poll_start(&poll[0], fd, POLLIN), &poll[0].op.future), MS),
            -ETIMEDOUT);
    end();
    must_be(moved(cancels), 1);
    must_be(moved(submitted), 2);
    must_be(moved(timers_fired), 1);
    must(moved(sleeps) >= 1);
    must_be(close(fd), 0);
    return 0;
}

/* No system call in turns that have nothing for the kernel. */
static int silent_main(void *arg)
{
    (void)arg;
    must_be(ouro_sleep(MS), 0);
    begin();
    do {
        must_be(ouro_yield(), 0);
        end();
    } while (moved(turns) < 20);
    must_be(moved(enters), 0);
    must_be(moved(submitted), 0);
    return 0;
}

static int messages_main(void *arg)
{
    (void)arg;
    begin();
    for (int i = 0; i < 10; i++)
        must_be(ouro_on_each_shard(nothing, NULL, "nothing", NULL), 0);
    end();
    must_be(moved(messages), 10 * (2 + 1)); /* there and back here, back from the other */
    must(moved(wakes_sent) >= 1);
    return 0;
}

static void messages(void **state)
{
    (void)state;
    assert_int_equal(run_on(2, messages_main, NULL), 0);
}

static void refused(void **state)
{
    (void)state;
    assert_int_equal(ouro_counters(&before), -OURO_ENOSHARD);
}

static int null_main(void *arg)
{
    (void)arg;
    return ouro_counters(NULL);
}

static void null(void **state)
{
    (void)state;
    assert_int_equal(run_on(1, null_main, NULL), -EINVAL);
}

ON_ONE_SHARD(tasks)
ON_ONE_SHARD(operations)
ON_ONE_SHARD(silent)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks),    cmocka_unit_test(operations), cmocka_unit_test(silent),
        cmocka_unit_test(messages), cmocka_unit_test(refused),    cmocka_unit_test(null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
