/* SPDX-License-Identifier: MIT */
/* Shards run where the policy says, say where that is, and the caller's affinity comes back. */
#include "support/support.h"

#include <pthread.h>
#include <sched.h>

static const char *const policies[] = {NULL,      "all",      "cores",  "spread",
                                       "compact", "spread:1", "node:0", "0-1023"};

/* --- asking ---------------------------------------------------------------------------------- */

static int here(void *arg)
{
    unsigned cpu, node, me = (unsigned)ouro_current_shard();

    (void)arg;
    must_be(getcpu(&cpu, &node), 0);
    must_be(ouro_shard_cpu(me), cpu);
    must_be(ouro_shard_node(me), node);
    return 0;
}

static void *outside(void *arg)
{
    int *answers = arg;

    answers[0] = ouro_shard_cpu(1);
    answers[1] = ouro_shard_node(1);
    answers[2] = ouro_shard_cpu(2);
    return NULL;
}

static void ask_outside(int *answers)
{
    pthread_t thread;

    must_be(pthread_create(&thread, NULL, outside, answers), 0);
    must_be(pthread_join(thread, NULL), 0);
}

static int asked_main(void *arg)
{
    int answers[3];

    (void)arg;
    must_be(ouro_on_each_shard(here, NULL, "here", NULL), 0);
    must_be(ouro_shard_cpu(2), -EINVAL);
    must_be(ouro_shard_node(UINT32_MAX), -EINVAL);
    ask_outside(answers);
    must_be(answers[0], ouro_shard_cpu(1));
    must_be(answers[1], ouro_shard_node(1));
    must_be(answers[2], -EINVAL);
    return 0;
}

static void asked(void **state)
{
    int answers[3];

    (void)state;
    assert_int_equal(run_on(2, asked_main, NULL), 0);
    ask_outside(answers); /* after the stop */
    for (int i = 0; i < 3; i++)
        assert_int_equal(answers[i], -EINVAL);
}

static int not_pinned_main(void *arg)
{
    (void)arg;
    must_be(ouro_shard_cpu(0), -ENODATA);
    must_be(ouro_shard_node(1), -ENODATA);
    must_be(ouro_shard_node(2), -EINVAL);
    return 0;
}

static void not_pinned(void **state)
{
    struct ouro_options o = small_options(2);

    (void)state;
    o.no_pinning = true;
    assert_int_equal(run_with(&o, not_pinned_main, NULL), 0);
}

/* --- every policy ---------------------------------------------------------------------------- */

struct expected {
    int n;
    uint16_t cpu[OURO_MAX_SHARDS];
};

static int placed_main(void *arg)
{
    const struct expected *e = arg;

    must_be(ouro_shard_count(), e->n);
    for (int i = 0; i < e->n; i++)
        must_be(ouro_shard_cpu((unsigned)i), e->cpu[i]);
    must_be(ouro_on_each_shard(here, NULL, "here", NULL), 0);
    return 0;
}

static struct ouro_options options_of(const char *policy)
{
    struct ouro_options o = small_options(0);

    o.cpus = policy;
    o.shards = 0;
    o.quiet = true;
    return o;
}

/* What the public reader and ouro_topology_place() say is what a start does; or both refuse. */
static void policies_run(void **state)
{
    struct ouro_topology *t;
    cpu_set_t before, after;
    char why[320];

    (void)state;
    assert_int_equal(ouro_topology_read(&t, NULL, why, sizeof why), 0);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        struct ouro_options o = options_of(policies[i]);
        struct expected e;

        e.n = ouro_topology_place(t, &o, e.cpu, why, sizeof why);
        if (e.n > 0) {
            assert_int_equal(run_with(&o, placed_main, &e), 0);
        } else {
            assert_int_equal(ouro_run(&o, placed_main, &e, NULL), e.n);
            assert_string_equal(ouro_start_error(), why);
        }
        assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
        assert_true(CPU_EQUAL(&before, &after));
    }
    ouro_topology_free(t);
}

static void near_devices(void **state)
{
    struct ouro_topology *t;
    char why[320], text[OURO_DEVICE_BYTES + 8];

    (void)state;
    assert_int_equal(ouro_topology_read(&t, NULL, why, sizeof why), 0);
    for (unsigned i = 0; i < t->device_count && i < 2; i++) {
        struct ouro_options o;
        struct expected e;

        snprintf(text, sizeof text, "near:%s", t->devices[i].name);
        o = options_of(text);
        e.n = ouro_topology_place(t, &o, e.cpu, why, sizeof why);
        if (e.n > 0)
            assert_int_equal(run_with(&o, placed_main, &e), 0);
    }
    ouro_topology_free(t);
}

/* --- refusals -------------------------------------------------------------------------------- */

static void refused(void **state)
{
    static const struct {
        const char *cpus, *message;
    } wrong[] = {
        {"node:1023", "options.cpus = 'node:1023': there is no NUMA node 1023"},
        {"near:no-such", "options.cpus = 'near:no-such': the machine shows no device 'no-such'"},
        {"spread:256", "options.cpus = 'spread:256': there are only"},
        {"spread:0", "options.cpus: 'spread:0' has a number of CPUs outside of 1 to 1024"},
        {"nearly", "options.cpus: 'nearly' is not a list of CPUs"},
    };
    cpu_set_t before, after;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    if (CPU_COUNT(&before) >= 256)
        skip();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ouro_options o = options_of(wrong[i].cpus);

        assert_true(ouro_run(&o, placed_main, NULL, NULL) < 0);
        if (strncmp(ouro_start_error(), wrong[i].message, strlen(wrong[i].message)) != 0)
            fail_msg("%s: '%s'", wrong[i].cpus, ouro_start_error());
        assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
        assert_true(CPU_EQUAL(&before, &after));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked),        cmocka_unit_test(not_pinned),
        cmocka_unit_test(policies_run), cmocka_unit_test(near_devices),
        cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
