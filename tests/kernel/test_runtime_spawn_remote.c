/* SPDX-License-Identifier: MIT */
/* Spawning on a shard from anywhere: from shards, from threads that are none; what is refused. */
#include "support/support.h"

#include <pthread.h>
#include <stdatomic.h>

#define SHARDS  3
#define THREADS 4
#define EACH    2000

static atomic_uint ran[SHARDS];

static int counts(void *arg)
{
    int expected = (int)(intptr_t)arg;

    must_be(ouro_current_shard(), expected);
    must(ouro_current_task() != NULL);
    (void)ouro_yield();
    ran[expected]++;
    return 0;
}

static void *spawner(void *arg)
{
    (void)arg;
    must_be(ouro_current_shard(), -OURO_ENOSHARD);
    for (unsigned i = 0; i < EACH; i++) {
        unsigned shard = i % SHARDS;
        int error;

        while ((error = ouro_spawn_remote(shard, counts, (void *)(intptr_t)shard, "counts")) ==
               -EAGAIN)
            sched_yield();
        must_be(error, 0);
    }
    return NULL;
}

static unsigned total(void)
{
    return ran[0] + ran[1] + ran[2];
}

static int threads_main(void *arg)
{
    pthread_t thread[THREADS];

    (void)arg;
    for (int i = 0; i < SHARDS; i++)
        ran[i] = 0;
    for (int i = 0; i < THREADS; i++)
        must_be(pthread_create(&thread[i], NULL, spawner, NULL), 0);
    until(total() == THREADS * EACH);
    for (int i = 0; i < THREADS; i++)
        must_be(pthread_join(thread[i], NULL), 0);
    must_be(total(), THREADS * EACH); /* each once */
    return 0;
}

static int spawns_everywhere(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < EACH; i++)
        must_be(ouro_spawn_remote(i % SHARDS, counts, (void *)(intptr_t)(i % SHARDS), "counts"), 0);
    return 0;
}

static int shards_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < SHARDS; i++)
        ran[i] = 0;
    must_be(ouro_on_each_shard(spawns_everywhere, NULL, "spawns", NULL), 0);
    until(total() == SHARDS * EACH);
    return 0;
}

/* More than there may be fibers: the rest waits for room, and none is lost. */
static int crowded_main(void *arg)
{
    struct ouro_counters c;
    pthread_t thread;

    (void)arg;
    for (int i = 0; i < SHARDS; i++)
        ran[i] = 0;
    must_be(pthread_create(&thread, NULL, spawner, NULL), 0);
    for (unsigned i = 0; i < EACH; i++)
        must_be(ouro_spawn_remote(i % SHARDS, counts, (void *)(intptr_t)(i % SHARDS), "counts"), 0);
    until(total() == 2 * EACH);
    must_be(pthread_join(thread, NULL), 0);
    must_be(ouro_counters(&c), 0);
    must(c.fibers_refused > 0);
    return 0;
}

static void crowded(void **state)
{
    struct ouro_options o = small_options(SHARDS);

    (void)state;
    o.max_fibers = 8;
    assert_int_equal(run_with(&o, crowded_main, NULL), 0);
}

/* A stop while some wait: they are given back. */
static int crowded_stop_main(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < EACH; i++)
        must_be(ouro_spawn_remote(i % SHARDS, counts, (void *)(intptr_t)(i % SHARDS), "counts"), 0);
    return 3;
}

static void crowded_stop(void **state)
{
    struct ouro_options o = small_options(SHARDS);

    (void)state;
    o.max_fibers = 8;
    assert_int_equal(ouro_run(&o, crowded_stop_main, NULL, NULL), 0);
}

static int names(void *arg)
{
    must_be(strcmp(ouro_task_name(), "fiber"), 0);
    atomic_store((atomic_bool *)arg, true);
    return 0;
}

static int refused_main(void *arg)
{
    atomic_bool named = false;

    (void)arg;
    must_be(ouro_spawn_remote(SHARDS, counts, NULL, NULL), -EINVAL);
    must_be(ouro_spawn_remote(UINT32_MAX, counts, NULL, NULL), -EINVAL);
    must_be(ouro_spawn_remote(0, NULL, NULL, NULL), -EINVAL);
    must_be(ouro_spawn_remote(1, names, &named, NULL), 0);
    until(named);
    return 0;
}

#define ON_THREE(name)                                                                             \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(run_on(SHARDS, name##_main, NULL), 0);                                    \
    }
ON_THREE(threads)
ON_THREE(shards)
ON_THREE(refused)

static void nobody_there(void **state)
{
    (void)state;
    assert_int_equal(ouro_spawn_remote(0, counts, NULL, NULL), -ESHUTDOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads), cmocka_unit_test(shards),       cmocka_unit_test(refused),
        cmocka_unit_test(crowded), cmocka_unit_test(crowded_stop), cmocka_unit_test(nobody_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
