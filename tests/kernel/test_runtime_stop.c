/* SPDX-License-Identifier: MIT */
/* Stopping: main's return, or ouro_stop() from anywhere, cancels what every root scope owns, waits
 * for its end, and takes nothing new. */
#include "support/support.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_uint running, cancelled;

static int serves(void *arg)
{
    (void)arg;
    running++;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must(ouro_stopping());
    must(ouro_cancelled());
    must_be(ouro_shield_enter(), 0); /* it may still wait, shielded, to tidy up */
    must_be(ouro_sleep(MS), 0);
    must_be(ouro_shield_leave(), 0);
    cancelled++;
    return 0;
}

static int starts_service(void *arg)
{
    for (int i = 0; i < 3; i++)
        must_be(ouro_spawn(NULL, serves, arg, 0), 0);
    return 0;
}

static void start_services(unsigned shards)
{
    running = cancelled = 0;
    must_be(ouro_on_each_shard(starts_service, NULL, "start", NULL), 0);
    until(running == 3 * shards);
}

static int run(unsigned shards, ouro_task_fn *fn, void *arg)
{
    struct ouro_options o = small_options(shards);
    unsigned descriptors = open_descriptors(), threads = threads_alive();
    int value = -1;

    must_be(ouro_run(&o, fn, arg, &value), 0);
    must_be(cancelled, running);
    must_be(open_descriptors(), descriptors);
    must(threads_settled(threads) <= threads);
    must(!ouro_stopping());
    return value;
}

static int returning_main(void *arg)
{
    start_services(*(unsigned *)arg);
    return 12;
}

static void main_returns(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n++)
        assert_int_equal(run(n, returning_main, &n), 12);
}

static int stops(void *arg)
{
    (void)arg;
    if (ouro_current_shard() == (int)ouro_shard_count() - 1) {
        ouro_stop();
        ouro_stop();
    }
    return 0;
}

static void *stops_thread(void *arg)
{
    (void)arg;
    ouro_stop();
    ouro_stop();
    must(ouro_stopping());
    return NULL;
}

enum from { MAIN, OTHER_SHARD, THREAD };

/* Main is cancelled like everything else, and its value is what it then returns. */
static int stopped_main(void *arg)
{
    pthread_t thread;

    start_services(ouro_shard_count());
    switch (*(enum from *)arg) {
    case MAIN:
        ouro_stop();
        ouro_stop();
        break;
    case OTHER_SHARD:
        (void)ouro_on_each_shard(stops, NULL, "stop", NULL);
        break;
    case THREAD:
        must_be(pthread_create(&thread, NULL, stops_thread, NULL), 0);
        must_be(pthread_join(thread, NULL), 0);
        break;
    }
    must(ouro_stopping());
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(ouro_spawn(NULL, serves, NULL, 0), -ECANCELED); /* nothing new */
    must_be(ouro_spawn_remote(0, serves, NULL, NULL), -ESHUTDOWN);
    return 34;
}

static void asked_for(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++)
        for (enum from from = MAIN; from <= THREAD; from++)
            assert_int_equal(run(n, stopped_main, &from), 34);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* [RUN-1], [RUN-3]: stopping while every shard is busy spawning on every other. */
static int spawns_on(void *arg)
{
    unsigned n = ouro_shard_count(), i = 0, most = 2000;

    (void)arg;
    running++;
    while (ouro_yield() == 0)
        for (unsigned k = 0; k < 20 && i < most; k++) {
            int error = ouro_spawn_remote(i++ % n, nothing, NULL, "nothing");

            must(error == 0 || error == -ESHUTDOWN);
        }
    cancelled++;
    return 0;
}

static int busy_main(void *arg)
{
    (void)arg;
    running = cancelled = 0;
    for (unsigned i = 0; i < ouro_shard_count(); i++)
        must_be(ouro_spawn_remote(i, spawns_on, NULL, "spawns on"), 0);
    until(running == ouro_shard_count());
    must_be(ouro_sleep(5 * MS), 0);
    return 0;
}

static void while_busy(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(run(3, busy_main, NULL), 0);
}

/* Threads that know nothing of the stop call in, before, during and after it. */
static atomic_bool quit;

static void *calls_in(void *arg)
{
    unsigned *accepted = arg, i = 0;

    while (!quit) {
        int error = ouro_spawn_remote(i++ % 2, nothing, NULL, NULL);

        must(error == 0 || error == -EAGAIN || error == -ESHUTDOWN || error == -EINVAL);
        *accepted += error == 0;
        if (i % (slow_build() ? 4 : 32) == 0)
            usleep(slow_build() ? 200 : 20); /* no more than they can take */
        (void)ouro_shard_count();
        (void)ouro_stopping();
    }
    return NULL;
}

static int brief_main(void *arg)
{
    (void)arg;
    return ouro_sleep(MS);
}

static void while_called(void **state)
{
    struct ouro_options o = small_options(2);
    unsigned accepted[2] = {0};
    pthread_t thread[2];

    (void)state;
    o.quiet = true;
    quit = false;
    for (int i = 0; i < 2; i++)
        must_be(pthread_create(&thread[i], NULL, calls_in, &accepted[i]), 0);
    for (int i = 0; i < 10; i++)
        must_be(ouro_run(&o, brief_main, NULL, NULL), 0);
    quit = true;
    for (int i = 0; i < 2; i++)
        must_be(pthread_join(thread[i], NULL), 0);
    must(accepted[0] + accepted[1] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(main_returns),
        cmocka_unit_test(asked_for),
        cmocka_unit_test(while_busy),
        cmocka_unit_test(while_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
