/* SPDX-License-Identifier: MIT */
/* C++ exceptions in tasks: thrown and caught in a fiber, also around suspensions, with several
 * fibers in the middle of one each. What a flow holds (caught exceptions, unwinding in progress) is
 * its own. */
#include "support/support.h"

#include <exception>
#include <stdexcept>
#include <string>

static int caught_by_number(int n)
{
    try {
        throw n;
    } catch (int thrown) {
        return thrown;
    }
}

static int plain_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        must_be(caught_by_number(i), i);
        must_be(ouro_yield(), 0);
    }
    return 0;
}

/* Throws from a frame that was suspended below a try block. */
static void wait_and_throw(const char *what)
{
    std::string text(what); /* freed by the unwinding */

    must_be(ouro_sleep(MS), 0);
    throw std::runtime_error(text);
}

static int across_a_wait_main(void *arg)
{
    std::string said;

    (void)arg;
    try {
        must_be(ouro_yield(), 0);
        wait_and_throw("after the wait");
    } catch (const std::exception &e) {
        said = e.what();
    }
    must(said == "after the wait");
    must(std::current_exception() == nullptr);
    return 0;
}

/* --- two in their catch blocks -------------------------------------------------------------------
 */

static int in_catch_blocks; /* fibers that wait in one */

static int rethrows(void *arg)
{
    int mine = *static_cast<int *>(arg), outer = -1;

    try {
        try {
            throw mine;
        } catch (int) {
            in_catch_blocks++;
            until(in_catch_blocks >= 2);
            must_be(caught_by_number(1000 + mine), 1000 + mine); /* one within the other */
            must_be(ouro_yield(), 0);
            throw;
        }
    } catch (int thrown) {
        outer = thrown;
        must_be(ouro_yield(), 0);
    }
    must(std::current_exception() == nullptr);
    return outer;
}

/* Neither sees the other's, and a fiber beside them sees none. */
static int interleaved_main(void *arg)
{
    ouro_fiber fiber[2];

    (void)arg;
    in_catch_blocks = 0;
    for (int i = 0; i < 2; i++)
        must_be(ouro_spawn_joinable(NULL, rethrows, &i, sizeof i, &fiber[i]), 0);
    until(in_catch_blocks == 2);
    must(std::current_exception() == nullptr);
    must_be(caught_by_number(7), 7);
    for (int i = 0; i < 2; i++) {
        int value = -1;

        must_be(ouro_join(fiber[i], &value), OURO_END_RETURNED);
        must_be(value, i);
    }
    return 0;
}

/* --- destructors that wait -----------------------------------------------------------------------
 */

static int unwinding;

struct Waits {
    int *uncaught;

    ~Waits()
    {
        unwinding++;
        until(unwinding >= 2);
        must_be(ouro_sleep(MS), 0);
        *uncaught = std::uncaught_exceptions();
    }
};

static int unwinds(void *arg)
{
    int uncaught = -1;

    (void)arg;
    try {
        Waits waits = {&uncaught};

        throw std::runtime_error("unwinding");
    } catch (const std::runtime_error &) {
        must_be(std::uncaught_exceptions(), 0);
    }
    return uncaught;
}

static int destructors_main(void *arg)
{
    ouro_fiber fiber[2];

    (void)arg;
    unwinding = 0;
    for (int i = 0; i < 2; i++)
        must_be(ouro_spawn_joinable(NULL, unwinds, NULL, 0, &fiber[i]), 0);
    until(unwinding == 2);
    must_be(std::uncaught_exceptions(), 0);
    for (int i = 0; i < 2; i++) {
        int value = -1;

        must_be(ouro_join(fiber[i], &value), OURO_END_RETURNED);
        must_be(value, 1);
    }
    return 0;
}

/* --- stackless, and around the runtime -----------------------------------------------------------
 */

static int stackless_caught;

static void catches_resume(struct ouro_task *task)
{
    OURO_BEGIN(task);
    stackless_caught = caught_by_number(1);
    OURO_YIELD(task);
    stackless_caught += caught_by_number(2);
    OURO_END(task, 0);
}

static int stackless_main(void *arg)
{
    static struct ouro_task task;

    (void)arg;
    must_be(ouro_task_start(NULL, &task, catches_resume, "catches"), 0);
    until(stackless_caught == 3);
    return 0;
}

static int sees_none(void *arg)
{
    (void)arg;
    must(std::current_exception() == nullptr);
    must_be(ouro_sleep(MS), 0);
    return interleaved_main(NULL);
}

/* The runtime runs in somebody's catch block: what is caught there stays there. */
static void run_in_a_catch_block(void **state)
{
    int seen = 0;

    (void)state;
    try {
        try {
            throw 42;
        } catch (int) {
            must_be(run_on(1, sees_none, NULL), 0);
            throw;
        }
    } catch (int thrown) {
        seen = thrown;
    }
    assert_int_equal(seen, 42);
}

ON_ONE_SHARD(plain)
ON_ONE_SHARD(across_a_wait)
ON_ONE_SHARD(interleaved)
ON_ONE_SHARD(destructors)
ON_ONE_SHARD(stackless)

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),       cmocka_unit_test(across_a_wait),
        cmocka_unit_test(interleaved), cmocka_unit_test(destructors),
        cmocka_unit_test(stackless),   cmocka_unit_test(run_in_a_catch_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
