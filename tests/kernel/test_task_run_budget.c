/* SPDX-License-Identifier: MIT */
/* The slice of a turn: tasks that yield for ever hold up timers, completions and messages by no
 * more than a slice, and ouro_should_yield() says when a computation has used its own up. */
#include "support/support.h"

#include <sys/eventfd.h>

/* One turn more than the budget, and what a busy machine adds: the bound is generous, a lost turn
 * is not. */
#define SOON (200 * MS)

static bool enough;

static int yield_for_ever(void *arg)
{
    (void)arg;
    while (!enough)
        must_be(ouro_yield(), 0);
    return 0;
}

struct spinner {
    struct ouro_task task;
};

static void spinner_resume(struct ouro_task *task)
{
    OURO_BEGIN(task);
    while (!enough)
        OURO_YIELD(task);
    OURO_END(task, 0);
}

static struct spinner spinner;

static void crowd(struct ouro_scope *scope)
{
    enough = false;
    spinner = (struct spinner){0};
    must_be(ouro_scope_enter(scope, 0), 0);
    for (int i = 0; i < 3; i++)
        must_be(ouro_spawn(scope, yield_for_ever, NULL, 0), 0);
    must_be(ouro_task_start(scope, &spinner.task, spinner_resume, "spinner"), 0);
}

static void disperse(struct ouro_scope *scope)
{
    enough = true;
    must_be(ouro_scope_leave(scope), 0);
}

static int timers_main(void *arg)
{
    struct ouro_scope scope;
    uint64_t worst = 0;

    (void)arg;
    crowd(&scope);
    for (int i = 0; i < 50; i++) {
        uint64_t deadline = ouro_after_ns(MS), late;

        must_be(ouro_sleep_until(deadline), 0);
        late = ouro_now_precise_ns() - deadline;
        worst = late > worst ? late : worst;
    }
    disperse(&scope);
    print_message("timers beside tasks that yield for ever: at worst %llu us late\n",
                  (unsigned long long)(worst / US));
    must(worst < SOON);
    return 0;
}

static int completions_main(void *arg)
{
    struct ouro_scope scope;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t one = 1, start;

    (void)arg;
    must(fd >= 0);
    crowd(&scope);
    for (int i = 0; i < 20; i++) {
        struct ouro_poll poll;

        ouro_poll_start(&poll, fd, 1 /* POLLIN */);
        must_be(ouro_yield(), 0);
        must_be(write(fd, &one, sizeof one), sizeof one);
        start = ouro_now_precise_ns();
        must(ouro_await(&poll.op.future) > 0);
        must(ouro_now_precise_ns() - start < SOON);
        must_be(read(fd, &one, sizeof one), sizeof one);
    }
    disperse(&scope);
    must_be(close(fd), 0);
    return 0;
}

/* A turn ends with the slice although tasks are ready: the time of the turn moves on. */
static int turns_main(void *arg)
{
    struct ouro_scope scope;
    struct ouro_counters before, after;
    uint64_t end;

    (void)arg;
    crowd(&scope);
    must_be(ouro_counters(&before), 0);
    end = ouro_now_precise_ns() + 100 * MS;
    while (ouro_now_precise_ns() < end)
        must_be(ouro_yield(), 0);
    must_be(ouro_counters(&after), 0);
    must(after.turns - before.turns >= 10); /* 200 of 500 us at best */
    must(after.turns - before.turns <= 250);
    must(after.resumes - before.resumes > 1000);
    disperse(&scope);
    return 0;
}

/* A computation that asks: true only after the slice, and then soon; another task is ready
 * meanwhile. */
static int asks_main(void *arg)
{
    struct ouro_scope scope;
    uint64_t start, took;

    (void)arg;
    crowd(&scope);
    for (int i = 0; i < 5; i++) {
        must_be(ouro_sleep(100 * US), 0); /* a fresh turn */
        start = ouro_now_ns();
        while (!ouro_should_yield())
            must(ouro_now_precise_ns() - start < 5 * SEC);
        took = ouro_now_precise_ns() - start;
        must(took >= 400 * US);
        must(took < SOON);
    }
    disperse(&scope);
    return 0;
}

/* Nothing is ready, but a timer falls due: whoever sleeps deserves the CPU too. */
static int asks_alone_main(void *arg)
{
    uint64_t start;

    (void)arg;
    must_be(ouro_sleep(100 * US), 0);
    start = ouro_now_precise_ns();
    while (!ouro_should_yield())
        must(ouro_now_precise_ns() - start < 5 * SEC);
    must_be(ouro_yield(), 0);
    return 0;
}

ON_ONE_SHARD(timers)
ON_ONE_SHARD(completions)
ON_ONE_SHARD(turns)
ON_ONE_SHARD(asks)
ON_ONE_SHARD(asks_alone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers), cmocka_unit_test(completions), cmocka_unit_test(turns),
        cmocka_unit_test(asks),   cmocka_unit_test(asks_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
