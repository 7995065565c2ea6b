/* SPDX-License-Identifier: MIT */
/* No wake is lost: shards, and a thread that is none, hand a ball to and fro with each side asleep
 * most of the time. A lost wake-up would hang. */
#include "support/support.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define ROUNDS (slow_build() ? 2000u : 20000u)

static atomic_uint passes;
static struct ouro_future *goal; /* on shard 0 */

static unsigned next_shard(void)
{
    return (unsigned)(ouro_current_shard() + 1) % ouro_shard_count();
}

/* Every pass is a message to a shard that has nothing else to do and sleeps, or is about to. */
static int pass(void *arg)
{
    if (++passes >= ROUNDS && ouro_current_shard() == 0) {
        ouro_cancel(goal);
        return 0;
    }
    return ouro_spawn_remote(next_shard(), pass, arg, "pass");
}

static int ring_main(void *arg)
{
    struct ouro_timer timer = {0};
    unsigned n = ROUNDS;

    (void)arg;
    passes = 0;
    goal = &timer.future;
    must_be(ouro_timer_start(&timer, ouro_after_ns(50 * SEC)),
            0); /* so that a lost one fails, not hangs */
    must_be(ouro_spawn_remote(next_shard(), pass, NULL, "pass"), 0);
    must_be(ouro_await(&timer.future), -ECANCELED);
    must(passes >= n);
    return 0;
}

static void between_shards(void **state)
{
    struct ouro_options o = small_options(2);

    (void)state;
    assert_int_equal(run_on(2, ring_main, NULL), 0);
    assert_int_equal(run_on(5, ring_main, NULL), 0);
    o.spin_ns = 50 * US; /* the same with a spin before each sleep */
    assert_int_equal(run_with(&o, ring_main, NULL), 0);
}

static sem_t ball;

static int give_back(void *arg)
{
    (void)arg;
    must_be(sem_post(&ball), 0);
    return 0;
}

static void *player(void *arg)
{
    unsigned n = ROUNDS / 2;

    (void)arg;
    for (unsigned i = 0; i < n; i++) {
        must_be(ouro_spawn_remote(i % 2, give_back, NULL, "give back"), 0);
        must_be(sem_wait(&ball), 0);
    }
    ouro_stop();
    return NULL;
}

static int idle_main(void *arg)
{
    pthread_t *thread = arg;

    must_be(pthread_create(thread, NULL, player, NULL), 0);
    must_be(ouro_sleep(50 * SEC), -ECANCELED);
    return 0;
}

static void from_outside(void **state)
{
    pthread_t thread;
    struct ouro_options o = small_options(2);

    (void)state;
    must_be(sem_init(&ball, 0, 0), 0);
    assert_int_equal(ouro_run(&o, idle_main, &thread, NULL), 0);
    must_be(pthread_join(thread, NULL), 0);
    must_be(sem_destroy(&ball), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_shards),
        cmocka_unit_test(from_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
