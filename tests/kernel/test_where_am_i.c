/* SPDX-License-Identifier: MIT */
/* Where one is can be asked anywhere: before the start and after the stop, on foreign threads, in
 * fibers and stackless tasks, and in a signal handler that interrupts any of it, the start and the
 * stop of the runtime too. */
#include "support/support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static void must_be_nowhere(unsigned shards)
{
    must_be(ouro_current_shard(), -OURO_ENOSHARD);
    must(ouro_current_task() == NULL);
    must_be(strcmp(ouro_task_name(), ""), 0);
    must_be(ouro_shard_count(), shards);
    must(!ouro_cancelled() && !ouro_should_yield());
}

static void *nowhere(void *arg)
{
    must_be_nowhere(*(unsigned *)arg);
    return NULL;
}

static void on_a_thread(unsigned shards)
{
    pthread_t thread;

    must_be(pthread_create(&thread, NULL, nowhere, &shards), 0);
    must_be(pthread_join(thread, NULL), 0);
}

struct walker {
    struct ouro_task task;
    bool seen;
};

static void walker_resume(struct ouro_task *task)
{
    struct walker *w = OURO_FRAME(task, struct walker, task);

    OURO_BEGIN(task);
    must(ouro_current_task() == task);
    must_be(strcmp(ouro_task_name(), "walker"), 0);
    w->seen = true;
    OURO_END(task, 0);
    must(ouro_current_task() == NULL); /* it has ended: its memory may have gone */
}

static int inside_main(void *arg)
{
    struct walker w = {0};

    (void)arg;
    must_be(ouro_current_shard(), 0);
    must_be(ouro_shard_count(), 2);
    must(ouro_current_task() != NULL);
    must_be(strcmp(ouro_task_name(), "main"), 0);
    must_be(ouro_task_start(NULL, &w.task, walker_resume, "walker"), 0);
    until(w.seen);
    on_a_thread(2);
    return 0;
}

static void each_place_has_its_answer(void **state)
{
    (void)state;
    must_be_nowhere(0);
    on_a_thread(0);
    assert_int_equal(run_on(2, inside_main, NULL), 0);
    must_be_nowhere(0);
}

/* --- interrupted -------------------------------------------------------------------------------
 */

static _Atomic uint64_t asked, asked_on_shard, asked_in_task;

static void ask(int number)
{
    int shard = ouro_current_shard();
    struct ouro_task *task = ouro_current_task();

    (void)number;
    if (shard != -OURO_ENOSHARD && (shard < 0 || shard > 1))
        abort();
    if ((task != NULL && shard < 0) || ouro_shard_count() > 2)
        abort();
    if (strlen(ouro_task_name()) > 16)
        abort();
    asked++;
    asked_on_shard += shard >= 0;
    asked_in_task += task != NULL;
}

static int busy(void *arg)
{
    (void)arg;
    return ouro_yield();
}

static int busy_main(void *arg)
{
    uint64_t end = ouro_after_ns(3 * MS);

    (void)arg;
    while (ouro_now_precise_ns() < end) {
        struct walker w = {0};

        must_be(ouro_spawn(NULL, busy, NULL, 0), 0);
        must_be(ouro_task_start(NULL, &w.task, walker_resume, "walker"), 0);
        while (!w.seen)
            must_be(ouro_yield(), 0);
    }
    return 0;
}

static void in_a_signal_handler(void **state)
{
    struct sigaction action = {.sa_handler = ask, .sa_flags = SA_RESTART}, before;
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    struct ouro_options o = small_options(2);

    (void)state;
    assert_int_equal(sigaction(SIGPROF, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_PROF, &often, NULL), 0);
    for (int i = 0; i < 100 || asked_in_task < 20; i++) {
        assert_int_equal(ouro_run(&o, busy_main, NULL, NULL), 0);
        assert_true(i < 10000);
    }
    assert_int_equal(setitimer(ITIMER_PROF, &never, NULL), 0);
    assert_int_equal(sigaction(SIGPROF, &before, NULL), 0);
    printf("asked %lu times, %lu of them on a shard, %lu in a task\n", (unsigned long)asked,
           (unsigned long)asked_on_shard, (unsigned long)asked_in_task);
    assert_true(asked > asked_on_shard && asked_on_shard >= asked_in_task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_place_has_its_answer),
        cmocka_unit_test(in_a_signal_handler),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
