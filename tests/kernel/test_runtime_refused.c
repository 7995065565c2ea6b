/* SPDX-License-Identifier: MIT */
/* A start that is refused says why in one sentence and leaves nothing behind; the next one
 * succeeds. */
#include "support/support.h"

#include <pthread.h>
#include <sys/resource.h>

static unsigned ran;

static int never_main(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

static void refuse(const struct ouro_options *o, int error, const char *word)
{
    unsigned descriptors = open_descriptors(), threads = threads_alive();
    int value = 77;

    ran = 0;
    must_be(ouro_run(o, never_main, NULL, &value), error);
    must_be(ran, 0);
    must_be(value, 77);
    must_be(open_descriptors(), descriptors);
    must(threads_settled(threads) <= threads);
    must_be(ouro_shard_count(), 0);
    if (strstr(ouro_start_error(), word) == NULL)
        fail_msg("'%s' does not say '%s'", ouro_start_error(), word);
}

static void bad_options(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.size--;
    refuse(&o, -EINVAL, "options.size");
    o = small_options(1), o.run_budget_ns = 1;
    refuse(&o, -EINVAL, "options.run_budget_ns = 1 ");
    o = small_options(1), o.cpus = "0-";
    refuse(&o, -EINVAL, "options.cpus");
    o = small_options(1), o.cpus = "1023";
    refuse(&o, -EINVAL, "CPU 1023");
    o = small_options(OURO_MAX_SHARDS), o.oversubscribe = false;
    refuse(&o, -EINVAL, "options.oversubscribe");
    o = small_options(OURO_MAX_SHARDS + 1);
    refuse(&o, -EINVAL, "options.shards = 257");

    must_be(ouro_run(NULL, NULL, NULL, NULL), -EINVAL);
    must(strstr(ouro_start_error(), "main_fn") != NULL);
    must_be(run_on(1, never_main, NULL), 0);
    must_be(strcmp(ouro_start_error(), ""), 0); /* of the last one */
}

/* Too few descriptors for what every shard needs. */
static void no_descriptors(void **state)
{
    struct ouro_options o = small_options(8);
    struct rlimit was, low;

    (void)state;
    o.keep_nofile = true;
    must_be(getrlimit(RLIMIT_NOFILE, &was), 0);
    low = was;
    low.rlim_cur = open_descriptors() + 6;
    must_be(setrlimit(RLIMIT_NOFILE, &low), 0);
    refuse(&o, -EMFILE, "RLIMIT_NOFILE");
    must_be(setrlimit(RLIMIT_NOFILE, &was), 0);
    must_be(run_with(&o, never_main, NULL), 0);
}

static int nested_main(void *arg)
{
    int value = 5;

    (void)arg;
    must_be(ouro_run(NULL, never_main, NULL, &value), -EDEADLK);
    must(ouro_start_error()[0] != '\0');
    must_be(value, 5);
    return 3;
}

static void from_a_shard(void **state)
{
    (void)state;
    ran = 0;
    assert_int_equal(run_on(1, nested_main, NULL), 3);
    assert_int_equal(ran, 0);
}

static void *second(void *arg)
{
    struct ouro_options o = small_options(1);

    *(int *)arg = ouro_run(&o, never_main, NULL, NULL);
    must(strstr(ouro_start_error(), "runs in this process already") != NULL);
    return NULL;
}

static int busy_main(void *arg)
{
    pthread_t thread;
    int result = 1;

    (void)arg;
    must_be(pthread_create(&thread, NULL, second, &result), 0);
    must_be(pthread_join(thread, NULL), 0);
    must_be(result, -EBUSY);
    must_be(ouro_yield(), 0); /* this one was not disturbed */
    return 4;
}

static void second_runtime(void **state)
{
    (void)state;
    ran = 0;
    assert_int_equal(run_on(2, busy_main, NULL), 4);
    assert_int_equal(ran, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options),
        cmocka_unit_test(no_descriptors),
        cmocka_unit_test(from_a_shard),
        cmocka_unit_test(second_runtime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
