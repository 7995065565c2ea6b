/* SPDX-License-Identifier: MIT */
/* Starting: every shard has its number, its CPU and its name; main's value comes back; again and
 * again, also with more shards than CPUs. */
#include "support/support.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

struct seen {
    bool here[OURO_MAX_SHARDS];
    int cpu[OURO_MAX_SHARDS];
    pthread_t thread[OURO_MAX_SHARDS];
    char name[OURO_MAX_SHARDS][16];
    unsigned n;
};

static int look(void *arg)
{
    struct seen *seen = arg;
    int me = ouro_current_shard();
    cpu_set_t set;

    must(me >= 0 && me < (int)ouro_shard_count());
    must(!seen->here[me]);
    seen->here[me] = true;
    must_be(sched_getaffinity(0, sizeof set, &set), 0);
    must_be(CPU_COUNT(&set), 1); /* pinned */
    seen->cpu[me] = sched_getcpu();
    must(CPU_ISSET(seen->cpu[me], &set));
    seen->thread[me] = pthread_self();
    prctl(PR_GET_NAME, seen->name[me]);
    return 0;
}

static int look_main(void *arg)
{
    struct seen *seen = arg;

    must_be(ouro_current_shard(), 0);
    must(!ouro_stopping());
    seen->n = ouro_shard_count();
    must_be(ouro_on_each_shard(look, seen, "look", NULL), 0);
    return 41;
}

static void shards(void **state)
{
    static const unsigned counts[] = {1, 2, 3, 8};
    cpu_set_t set;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct seen *seen = calloc(1, sizeof *seen);
        unsigned n = counts[i], cpus = (unsigned)CPU_COUNT(&set);
        char name[32];

        assert_int_equal(run_on(n, look_main, seen), 41);
        assert_int_equal(seen->n, n);
        assert_true(pthread_equal(seen->thread[0], pthread_self())); /* shard 0 is the caller */
        for (unsigned k = 0; k < n; k++) {
            assert_true(seen->here[k]);
            snprintf(name, sizeof name, "ouro-%u", k);
            assert_string_equal(seen->name[k], name);
            assert_int_equal(seen->cpu[k], seen->cpu[k % cpus]); /* shared in turns */
            for (unsigned l = 0; l < k; l++) {
                assert_false(pthread_equal(seen->thread[k], seen->thread[l]));
                if (k < cpus)
                    assert_true(seen->cpu[k] != seen->cpu[l]);
            }
        }
        free(seen);
    }
}

static int value_main(void *arg)
{
    return *(const int *)arg;
}

static void values(void **state)
{
    static const int values[] = {0, 1, -1, -ECANCELED, INT32_MIN, INT32_MAX};
    struct ouro_options o = small_options(1);
    int value;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_int_equal(run_on(1, value_main, (void *)(uintptr_t)&values[i]), values[i]);
    assert_int_equal(ouro_run(&o, value_main, (void *)(uintptr_t)&values[1], NULL), 0);
    assert_string_equal(ouro_start_error(), "");
    /* All defaults: one shard per CPU. */
    assert_int_equal(ouro_run(NULL, value_main, (void *)(uintptr_t)&values[1], &value), 0);
    assert_int_equal(value, 1);
}

static int count_main(void *arg)
{
    must_be(ouro_yield(), 0);
    ++*(unsigned *)arg;
    return (int)ouro_shard_count();
}

static void again_and_again(void **state)
{
    unsigned runs = 0;

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(run_on(1 + i % 3, count_main, &runs), 1 + i % 3);
    assert_int_equal(runs, 50);
    assert_int_equal(ouro_shard_count(), 0);
    assert_false(ouro_stopping());
    ouro_stop(); /* nobody there: nothing happens, also not to the next one */
    assert_int_equal(run_on(1, count_main, &runs), 1);
}

static int prefixed_main(void *arg)
{
    struct seen *seen = arg;

    return ouro_on_each_shard(look, seen, "look", NULL);
}

static void prefix(void **state)
{
    struct seen *seen = calloc(1, sizeof *seen);
    struct ouro_options o = small_options(2);

    (void)state;
    o.thread_prefix = "ten-chars.";
    assert_int_equal(run_with(&o, prefixed_main, seen), 0);
    assert_string_equal(seen->name[0], "ten-chars.-0");
    assert_string_equal(seen->name[1], "ten-chars.-1");
    free(seen);
}

static void version(void **state)
{
    char text[32];

    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", OURO_VERSION_MAJOR, OURO_VERSION_MINOR,
             OURO_VERSION_PATCH);
    assert_string_equal(ouro_version(), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards), cmocka_unit_test(values),  cmocka_unit_test(again_and_again),
        cmocka_unit_test(prefix), cmocka_unit_test(version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
