/* SPDX-License-Identifier: MIT */
/* Which CPUs each policy takes, in which order, and why it can take none. */
#include "support/topo_support.h"

#include <errno.h>

static uint16_t got[OURO_MAX_SHARDS];
static char why[320];

static int place(const struct ouro_topology *t, const char *text)
{
    struct ouro_cpus want = cpus(text);

    why[0] = '\0';
    return topo_place(t, &want, got, OURO_MAX_SHARDS, why, sizeof why);
}

/* The first ones are `expected`; `n` in all. */
static void check_place(const char *what, const char *text, int n, const char *expected)
{
    struct ouro_topology *t = machine(what);
    char list[1024] = "";
    size_t at = 0;

    assert_int_equal(place(t, text), n);
    for (int i = 0; i < n && at < strlen(expected); i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%u", i > 0 ? " " : "", got[i]);
    assert_string_equal(list, expected);
    ouro_topology_free(t);
}

static void refused(const char *what, const char *text, const char *message)
{
    struct ouro_topology *t = machine(what);

    assert_int_equal(place(t, text), -EINVAL);
    assert_string_equal(why, message);
    ouro_topology_free(t);
}

static void all(void **state)
{
    (void)state;
    check_place(EPYC, "all", 256, "0 1 2 3 4 5 6 7 8 9 10 11 12");
    check_place(HYBRID, "all", 12, "0 1 2 3 4 5 6 7 8 10 12 14");
    check_place(HOLE, "all", 11, "1 2 3 4 5 8 9 10 11 12 13");
    check_place(HOLE, "all:3", 3, "1 2 3");
    check_place("pu:1", "all", 1, "0");
    check_place("core:300 pu:1", "all", OURO_MAX_SHARDS, "0 1 2");
}

static void one_per_core(void **state)
{
    (void)state;
    check_place(EPYC, "cores", 128, "0 1 2 3 4 5 6 7 8 9 10 11 12");
    check_place("core:4 pu:2", "cores", 4, "0 2 4 6");
    check_place(HYBRID, "cores", 8, "0 2 4 6 8 10 12 14");
    check_place(HOLE, "cores", 6, "1 2 4 8 10 12"); /* the other thread where the first may not */
    check_place(HOLE, "cores:2", 2, "1 2");
    check_place("pu:1", "cores", 1, "0");
}

/* Packages, then nodes, then caches, then cores in turn, and threads of the same core last. */
static void spread(void **state)
{
    (void)state;
    check_place(EPYC, "spread", 256,
                "0 64 16 80 32 96 48 112 " /* each node */
                "4 68 20 84 36 100 52 116 8 72 24 88 40 104 56 120 12 76 28 92 44 108 60 124 "
                "1 65 17 81"); /* caches a second time */
    assert_int_equal(got[126], 63);
    assert_int_equal(got[127], 127);
    assert_int_equal(got[128], 128); /* the other threads, in the same order */
    assert_int_equal(got[129], 192);
    check_place(EPYC, "spread:2", 2, "0 64");
    check_place("core:4 pu:2", "spread", 8, "0 2 4 6 1 3 5 7");
    check_place("package:1 l3:2 core:3 pu:1", "spread", 6, "0 3 1 4 2 5");
    check_place("pu:1", "spread", 1, "0");
}

/* A package with less goes on to the other one. */
static void spread_over_a_hole(void **state)
{
    (void)state;
    check_place(HOLE, "spread", 11, "1 8 2 10 4 12 3 9 5 11 13");
}

static void fast_cores_first(void **state)
{
    (void)state;
    check_place(HYBRID, "spread", 12, "0 2 4 6 8 10 12 14 1 3 5 7");
    check_place(HYBRID, "compact", 12, "0 1 2 3 4 5 6 7 8 10 12 14");
}

static void compact(void **state)
{
    (void)state;
    check_place(EPYC, "compact", 256, "0 128 1 129 2 130 3 131 4 132");
    assert_int_equal(got[31], 15 + 128); /* node 0 has ended */
    assert_int_equal(got[32], 16);
    check_place(HOLE, "compact", 11, "1 2 3 4 5 8 9 10 11 12 13");
    check_place(HOLE, "compact:2", 2, "1 2");
    check_place("pu:1", "compact", 1, "0");
}

/* From node 0, nodes 3, 1 and 2 are ever farther. */
static void compact_goes_by_distance(void **state)
{
    static const uint16_t distances[16] = {10, 20, 30, 15, 20, 10, 15, 30,
                                           30, 15, 10, 20, 15, 30, 20, 10};
    struct ouro_topology *t = machine("numa:4 core:1 pu:2");

    (void)state;
    t->distances = distances;
    assert_int_equal(place(t, "compact"), 8);
    assert_memory_equal(got, ((uint16_t[]){0, 1, 6, 7, 2, 3, 4, 5}), 16);
    ouro_topology_free(t);
}

static void one_node(void **state)
{
    (void)state;
    check_place(EPYC, "node:5", 32, "80 84 88 92 81 85 89 93");
    check_place(HOLE, "node:0", 5, "1 2 4 3 5");
    check_place(HOLE, "node:1", 6, "8 10 12 9 11 13");
    check_place("pu:1", "node:0", 1, "0");
    refused(HOLE, "node:2", "there is no NUMA node 2; the last of 2 is node 1");
    refused("numa:1 pu:1", "node:1023", "there is no NUMA node 1023; the last of 1 is node 0");
}

static void near_a_device(void **state)
{
    (void)state;
    check_place(HOLE, "near:eth0", 6, "8 10 12 9 11 13");
    check_place(HOLE, "near:/dev/nvme0n1", 5, "1 2 4 3 5");
    check_place(HOLE, "near:vda", 11, "1 8 2 10");
    refused(HOLE, "near:eth1", "the machine shows no device 'eth1'; it has nvme0n1, eth0, vda");
    refused(EPYC, "near:eth0",
            "the machine shows no device 'eth0'; it has none whose place is known");
}

static void lists(void **state)
{
    (void)state;
    check_place(HOLE, "13,8,1", 3, "13 8 1");
    check_place(EPYC, "200-255", 56, "200 201 202");
    refused(HOLE, "1,0", "this process may not run on CPU 0 (offline, or outside of its cpuset)");
    refused(HOLE, "6", "this process may not run on CPU 6 (offline, or outside of its cpuset)");
    refused(HOLE, "1023",
            "this process may not run on CPU 1023 (offline, or outside of its cpuset)");
    refused("core:300 pu:1", "0-256", "names 257 CPUs; 1 to 256 are possible");
}

static void too_many(void **state)
{
    (void)state;
    refused(HOLE, "all:12", "there are only 11 CPUs that this process may run on");
    refused(HOLE, "spread:12", "there are only 11 CPUs that this process may run on");
    refused(HOLE, "compact:256", "there are only 11 CPUs that this process may run on");
    refused(HOLE, "cores:7", "there are only 6 cores that this process may run on");
    refused("core:300 pu:1", "spread:257", "names 257 CPUs; 1 to 256 are possible");
}

/* A machine on whose second node, or on all of which, nothing is allowed. */
static void nothing_allowed(void **state)
{
    struct ouro_topology *t = machine(HOLE);
    struct ouro_topology_cpu *c = calloc(t->cpu_count, sizeof *c);

    (void)state;
    memcpy(c, t->cpus, t->cpu_count * sizeof *c);
    t->cpus = c;
    for (unsigned i = 0; i < t->cpu_count; i++)
        c[i].allowed = c[i].allowed && c[i].node == 0;
    assert_int_equal(place(t, "node:1"), -EINVAL);
    assert_string_equal(why, "NUMA node 1 has no CPU that this process may run on");
    assert_int_equal(place(t, "near:eth0"), -EINVAL);
    assert_string_equal(why, "this process may run on none of the CPUs near eth0");
    for (unsigned i = 0; i < t->cpu_count; i++)
        c[i].allowed = false;
    assert_int_equal(place(t, "spread"), -EINVAL);
    assert_string_equal(why, "this process may run on no CPU of this machine");
    free(c);
    ouro_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all),
        cmocka_unit_test(one_per_core),
        cmocka_unit_test(spread),
        cmocka_unit_test(spread_over_a_hole),
        cmocka_unit_test(fast_cores_first),
        cmocka_unit_test(compact),
        cmocka_unit_test(compact_goes_by_distance),
        cmocka_unit_test(one_node),
        cmocka_unit_test(near_a_device),
        cmocka_unit_test(lists),
        cmocka_unit_test(too_many),
        cmocka_unit_test(nothing_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
