/* SPDX-License-Identifier: MIT */
/* How many shards there are, and on which CPUs, by all options together: cpus, shards,
 * oversubscribe, and the quota where nobody says how many. */
#include "support/topo_support.h"

#include <errno.h>

static struct ouro_topology *t;
static uint16_t got[OURO_MAX_SHARDS];
static char why[320];

static int read_hole(void **state)
{
    (void)state;
    t = machine(HOLE);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    ouro_topology_free(t);
    return 0;
}

static int place(const char *text, unsigned shards, bool oversubscribe)
{
    struct ouro_options o = {
        .size = sizeof o, .cpus = text, .shards = shards, .oversubscribe = oversubscribe};

    why[0] = '\0';
    return ouro_topology_place(t, &o, got, why, sizeof why);
}

static void counts(void **state)
{
    (void)state;
    assert_int_equal(ouro_topology_place(t, NULL, got, why, sizeof why), 11);
    assert_int_equal(place(NULL, 0, false), 11);
    assert_int_equal(place(NULL, 4, false), 4);
    assert_int_equal(got[3], 4);
    assert_int_equal(place("spread:3", 0, false), 3);
    assert_int_equal(got[1], 8);
    assert_int_equal(place("spread:3", 2, false), 2);
    assert_int_equal(place("cores", 0, false), 6);
    assert_int_equal(place("13,1", 1, false), 1);
    assert_int_equal(got[0], 13);
}

static void oversubscribed(void **state)
{
    (void)state;
    assert_int_equal(place("13,1", 3, false), -EINVAL);
    assert_string_equal(why, "options.shards = 3, but there are only 2 CPUs to run on; set "
                             "options.oversubscribe to let them share");
    assert_int_equal(place("13,1", 3, true), 3);
    assert_int_equal(got[2], 13);
    assert_int_equal(place("cores:2", 5, true), 5);
    assert_memory_equal(got, ((uint16_t[]){1, 2, 1, 2, 1}), 10);
}

/* Begun CPUs count whole; whoever says how many gets it. */
static void quotas(void **state)
{
    static const struct {
        unsigned quota;
        int shards;
    } some[] = {{0, 11}, {1, 1}, {1000, 1}, {1001, 2}, {2500, 3}, {10999, 11}, {64000, 11}};

    (void)state;
    for (size_t i = 0; i < array_size(some); i++) {
        t->quota = some[i].quota;
        assert_int_equal(place(NULL, 0, false), some[i].shards);
        assert_int_equal(place("spread", 0, false), some[i].shards);
    }
    t->quota = 1500;
    assert_int_equal(place("spread", 0, false), 2);
    assert_memory_equal(got, ((uint16_t[]){1, 8}), 4);
    assert_int_equal(place("node:1", 0, false), 2);
    assert_int_equal(place("near:eth0", 0, false), 2);
    assert_int_equal(place("all:4", 0, false), 4);
    assert_int_equal(place("1-5", 0, false), 5);
    assert_int_equal(place(NULL, 5, false), 5);
    assert_int_equal(place("compact", 12, true), 12);
}

static void refusals(void **state)
{
    struct ouro_options o = {.size = 1};

    (void)state;
    assert_int_equal(place("bogus", 0, false), -EINVAL);
    assert_string_equal(why, "options.cpus: 'bogus' is not a list of CPUs such as 0-3,8, nor all, "
                             "cores, spread, compact, node:N or near:DEVICE");
    assert_int_equal(place("node:7", 0, false), -EINVAL);
    assert_string_equal(
        why, "options.cpus = 'node:7': there is no NUMA node 7; the last of 2 is node 1");
    assert_int_equal(place("0", 0, true), -EINVAL);
    assert_string_equal(why, "options.cpus = '0': this process may not run on CPU 0 (offline, or "
                             "outside of its cpuset)");
    assert_int_equal(place(NULL, OURO_MAX_SHARDS + 1, true), -EINVAL);
    assert_non_null(strstr(why, "options.shards = 257"));
    assert_int_equal(ouro_topology_place(t, &o, got, why, sizeof why), -EINVAL);
    assert_non_null(strstr(why, "options.size = 1 "));
    assert_int_equal(ouro_topology_place(NULL, NULL, got, why, sizeof why), -EINVAL);
    assert_int_equal(ouro_topology_place(t, NULL, NULL, why, sizeof why), -EINVAL);
    assert_int_equal(ouro_topology_place(NULL, NULL, got, NULL, 0), -EINVAL);
    assert_int_equal(ouro_topology_place(t, &o, got, NULL, 0), -EINVAL);
}

#define HERE(f) cmocka_unit_test_setup_teardown(f, read_hole, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {HERE(counts), HERE(oversubscribed), HERE(quotas),
                                       HERE(refusals)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
