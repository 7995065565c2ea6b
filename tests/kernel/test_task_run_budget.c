/* SPDX-License-Identifier: MIT */
/* The slice of a turn: tasks that yield for ever hold up timers, completions and messages by no
 * more than a slice, and ouro_should_yield() says when a computation has used its own up. */
#include "support/support.h"

#include <poll.h>
#include <sys/eventfd.h>

/* A slice and a turn are a millisecond; what others take of the machine comes on top, now and then.
 * So most of the waits are bounded, not each: without a slice none would ever end. */
#define SOON  (50 * MS)
#define WAITS 31

static uint64_t took[WAITS];

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t median(void)
{
    qsort(took, WAITS, sizeof took[0], ascending);
    return took[WAITS / 2];
}

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

    (void)arg;
    crowd(&scope);
    for (int i = 0; i < WAITS; i++) {
        uint64_t deadline = ouro_after_ns(MS);

        must_be(ouro_sleep_until(deadline), 0);
        took[i] = ouro_now_precise_ns() - deadline;
    }
    disperse(&scope);
    must(median() < SOON);
    print_message("timers beside tasks that yield for ever: %llu us late\n",
                  (unsigned long long)(median() / US));
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
    for (int i = 0; i < WAITS; i++) {
        struct ouro_poll poll;

        ouro_poll_start(&poll, fd, POLLIN);
        must_be(ouro_yield(), 0);
        must_be(write(fd, &one, sizeof one), sizeof one);
        start = ouro_now_precise_ns();
        must_be(ouro_await(&poll.op.future), POLLIN);
        took[i] = ouro_now_precise_ns() - start;
        must_be(read(fd, &one, sizeof one), sizeof one);
    }
    disperse(&scope);
    must_be(close(fd), 0);
    must(median() < SOON);
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
    must(after.turns - before.turns <= 300);
    must(after.resumes - before.resumes > 1000);
    disperse(&scope);
    return 0;
}

/* A computation that asks: true only after the slice, and then soon; others are ready meanwhile. */
static int asks_main(void *arg)
{
    struct ouro_scope scope;
    uint64_t start;

    (void)arg;
    crowd(&scope);
    for (int i = 0; i < WAITS; i++) {
        must_be(ouro_sleep(100 * US), 0); /* a fresh turn */
        start = ouro_now_ns();
        while (!ouro_should_yield())
            must(ouro_now_precise_ns() - start < 20 * SEC);
        took[i] = ouro_now_precise_ns() - start;
        must(took[i] >= 400 * US);
    }
    disperse(&scope);
    must(median() < SOON);
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
        must(ouro_now_precise_ns() - start < 20 * SEC);
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
