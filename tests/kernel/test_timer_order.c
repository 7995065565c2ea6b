/* SPDX-License-Identifier: MIT */
/* Timers fire in the order of their deadlines, never early, and soon enough. */
#include "support/support.h"

#define N 200

static struct sleeper {
    struct ouro_task task;
    struct ouro_timer timer;
    uint64_t deadline_ns, woke_ns;
} sleeper[N];

static unsigned fired[N], fires;

static void sleeper_resume(struct ouro_task *task)
{
    struct sleeper *x = OURO_FRAME(task, struct sleeper, task);

    OURO_BEGIN(task);
    must_be(ouro_timer_start(&x->timer, x->deadline_ns), 0);
    OURO_AWAIT(task, &x->timer.future);
    must_be(ouro_result(&x->timer.future), 0);
    x->woke_ns = ouro_now_precise_ns();
    must(x->woke_ns >= x->deadline_ns); /* never early */
    fired[fires++] = (unsigned)(x - sleeper);
    OURO_END(task, 0);
}

/* Deadlines in a scrambled order, some the same, some past. */
static void run_all(uint64_t distance_ns)
{
    struct ouro_scope scope;
    uint64_t begin = ouro_now_precise_ns();

    fires = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < N; i++) {
        unsigned rank = i * 77 % N; /* 77 and N have no common factor */

        sleeper[i] = (struct sleeper){.deadline_ns = begin + rank / 2 * distance_ns};
        must_be(ouro_task_start(&scope, &sleeper[i].task, sleeper_resume, "sleeper"), 0);
    }
    must_be(ouro_scope_leave(&scope), 0);
    must_be(fires, N);
}

static int order_main(void *arg)
{
    (void)arg;
    for (uint64_t distance = 0; distance < 2 * MS; distance = distance * 3 + OURO_TICK_NS / 10) {
        run_all(distance);
        for (unsigned i = 1; i < N; i++)
            must(sleeper[fired[i - 1]].deadline_ns <=
                 sleeper[fired[i]].deadline_ns + OURO_TICK_NS); /* within a tick they are equal */
    }
    return 0;
}

/* All of them in the turn in which they were started. */
static int order_held_main(void *arg)
{
    struct ouro_timer t = {0};

    (void)arg;
    must_be(ouro_timer_start(&t, ouro_after_ns(20 * MS)), 0);
    run_all(50 * US);
    must_be(ouro_await(&t.future), 0);
    return 0;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

/* An idle shard sleeps in the kernel until the deadline: the median is a tick and a wake-up,
 * whatever the machine does to the worst. */
static int resolution_main(void *arg)
{
    static uint64_t late[300];

    (void)arg;
    for (unsigned i = 0; i < 300; i++) {
        uint64_t deadline = ouro_after_ns(100 * US + i * 7 * US);

        must_be(ouro_sleep_until(deadline), 0);
        late[i] = ouro_now_precise_ns();
        must(late[i] >= deadline);
        late[i] -= deadline;
    }
    qsort(late, 300, sizeof late[0], descending);
    print_message(
        "lateness of timers on an idle shard: median %llu us, 90%% %llu us, worst %llu us\n",
        (unsigned long long)(late[150] / US), (unsigned long long)(late[30] / US),
        (unsigned long long)(late[0] / US));
    must(late[150] < (slow_build() ? 20 : 2) * MS);
    return 0;
}

/* What has passed fires in the next turn; for ever is never; the largest numbers are no trouble. */
static int edges_main(void *arg)
{
    struct ouro_timer past = {0}, zero = {0}, never = {0}, last = {0};
    struct ouro_counters before, after;

    (void)arg;
    must_be(ouro_counters(&before), 0);
    must_be(ouro_timer_start(&never, OURO_FOREVER), 0);
    must_be(ouro_timer_start(&last, OURO_FOREVER - 1), 0);
    must_be(ouro_timer_start(&past, ouro_now_ns() - SEC), 0);
    must_be(ouro_timer_start(&zero, 0), 0);
    must(!ouro_done(&zero.future)); /* not in the start itself */
    must_be(ouro_await(&past.future), 0);
    must_be(ouro_await(&zero.future), 0);
    must_be(ouro_counters(&after), 0);
    must(after.turns - before.turns <= 3);
    must_be(ouro_sleep(0), 0);
    must_be(ouro_sleep_until(0), 0);
    must_be(ouro_sleep(3 * MS), 0);
    must_be(never.future.state, OURO_PENDING);
    must_be(last.future.state, OURO_PENDING);
    ouro_timer_cancel(&never);
    ouro_timer_cancel(&last);
    must_be(ouro_result(&never.future), -ECANCELED);
    return 0;
}

ON_ONE_SHARD(order)
ON_ONE_SHARD(order_held)
ON_ONE_SHARD(resolution)
ON_ONE_SHARD(edges)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(order_held),
        cmocka_unit_test(resolution),
        cmocka_unit_test(edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
