/* SPDX-License-Identifier: MIT */
/* Machines become plain values: cores, threads, caches, nodes, packages, kinds, what is allowed,
 * distances, devices; from a description, from a file, and this one. */
#include "support/topo_support.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

static const struct ouro_topology_cpu *cpu(const struct ouro_topology *t, unsigned number)
{
    for (unsigned i = 0; i < t->cpu_count; i++)
        if (t->cpus[i].number == number)
            return &t->cpus[i];
    fail_msg("there is no CPU %u", number);
    return NULL;
}

static void by_number(const struct ouro_topology *t)
{
    for (unsigned i = 1; i < t->cpu_count; i++)
        assert_true(t->cpus[i - 1].number < t->cpus[i].number);
    for (unsigned i = 1; i < t->node_count; i++)
        assert_true(t->nodes[i - 1].number < t->nodes[i].number);
}

static void epyc(void **state)
{
    struct ouro_topology *t = machine(EPYC);

    (void)state;
    assert_int_equal(t->cpu_count, 256);
    assert_int_equal(t->node_count, 8);
    assert_int_equal(t->device_count, 0);
    assert_int_equal(t->quota, 0);
    assert_null(t->distances);
    by_number(t);
    for (unsigned i = 0; i < 256; i++) {
        const struct ouro_topology_cpu *c = &t->cpus[i];

        assert_int_equal(c->number, i);
        assert_int_equal(c->core, i % 128);
        assert_int_equal(c->thread, i / 128);
        assert_int_equal(c->l3, i % 128 / 4);
        assert_int_equal(c->node, i % 128 / 16);
        assert_int_equal(c->package, i % 128 / 64);
        assert_int_equal(c->kind, 0);
        assert_true(c->allowed);
    }
    ouro_topology_free(t);
}

static void hybrid(void **state)
{
    struct ouro_topology *t = machine(HYBRID);

    (void)state;
    assert_int_equal(t->cpu_count, 12);
    by_number(t);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(cpu(t, i)->kind, 0);
        assert_int_equal(cpu(t, i)->thread, i % 2);
    }
    for (unsigned i = 8; i < 16; i += 2) {
        assert_int_equal(cpu(t, i)->kind, 1);
        assert_int_equal(cpu(t, i)->thread, 0);
    }
    ouro_topology_free(t);
}

static void hole(void **state)
{
    static const uint16_t distances[] = {10, 21, 21, 10};
    static const char *const names[] = {"nvme0n1", "eth0", "vda"};
    static const uint64_t near[] = {0x3f, 0xff00, 0xff3f};
    struct ouro_topology *t = machine(HOLE);

    (void)state;
    assert_int_equal(t->cpu_count, 14); /* those online */
    by_number(t);
    for (unsigned i = 0; i < t->cpu_count; i++) {
        unsigned n = t->cpus[i].number;

        assert_true(n < 6 || n > 7);
        assert_int_equal(t->cpus[i].allowed, (n >= 1 && n <= 5) || (n >= 8 && n <= 13));
        assert_int_equal(t->cpus[i].node, n >= 8);
    }
    assert_int_equal(t->node_count, 2);
    assert_int_equal(t->nodes[1].number, 1);
    assert_int_equal(t->nodes[1].bytes, 16000000000);
    assert_memory_equal(t->distances, distances, sizeof distances);
    assert_int_equal(t->device_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(t->devices[i].name, names[i]);
        assert_int_equal(t->devices[i].cpus[0], near[i]);
        assert_int_equal(t->devices[i].anywhere, i == 2);
    }
    ouro_topology_free(t);
}

/* Without an L3 cache those on a node count as a group; without a package there is one. */
static void bare(void **state)
{
    struct ouro_topology *t = machine("numa:2 core:2 pu:1");

    (void)state;
    assert_int_equal(t->cpu_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(t->cpus[i].l3, i / 2);
        assert_int_equal(t->cpus[i].node, i / 2);
        assert_int_equal(t->cpus[i].package, 0);
    }
    ouro_topology_free(t);
    t = machine("pu:1");
    assert_int_equal(t->cpu_count, 1);
    assert_int_equal(t->node_count, 1);
    assert_true(t->cpus[0].allowed);
    ouro_topology_free(t);
}

static void refused(const char *description, int code, const char *part)
{
    struct ouro_topology *t = NULL;
    char why[320] = "";

    assert_int_equal(ouro_topology_read(&t, description, why, sizeof why), code);
    assert_null(t);
    if (strstr(why, part) == NULL)
        fail_msg("'%s' does not say '%s'", why, part);
    assert_int_equal(ouro_topology_read(&t, description, NULL, 0), code);
}

static void errors(void **state)
{
    char path[] = "/tmp/ouro-topo-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    refused("junk", -EINVAL, "cannot read the description 'junk'");
    refused("", -EINVAL, "cannot read the description ''");
    refused("/nowhere/machine", -ENOENT, "/nowhere/machine");
    refused("nowhere.xml", -ENOENT, "cannot read the XML file 'nowhere.xml'");
    refused("core:1025 pu:1", -E2BIG, "more than 1024 CPUs");
    refused("pu:1(indexes=1024)", -E2BIG, "more than 1024 CPUs");
    refused("numa:129 core:1 pu:1", -E2BIG, "more than 128 NUMA nodes");
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "<topology>", 10), 10);
    refused(path, -EINVAL, path);
    close(fd);
    unlink(path);
    assert_int_equal(ouro_topology_read(NULL, NULL, NULL, 0), -EINVAL);
    ouro_topology_free(NULL);
}

static void most(void **state)
{
    struct ouro_topology *t = machine("numa:128 core:4 pu:2");

    (void)state;
    assert_int_equal(t->cpu_count, 1024);
    assert_int_equal(t->node_count, 128);
    assert_int_equal(t->cpus[1023].node, 127);
    ouro_topology_free(t);
}

/* Whatever the depth: the same CPUs are allowed, those of the mask, and the mask stays. */
static void this_machine(void **state)
{
    cpu_set_t all, one, now;
    struct ouro_topology *t;
    char why[320] = "";

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int c = 0; CPU_COUNT(&one) == 0; c++)
        if (CPU_ISSET(c, &all))
            CPU_SET(c, &one);
    for (int narrow = 0; narrow < 2; narrow++) {
        const cpu_set_t *set = narrow ? &one : &all;

        assert_int_equal(sched_setaffinity(0, sizeof *set, set), 0);
        for (int depth = TOPO_MASK; depth <= TOPO_DEVICES; depth++) {
            int allowed = 0;

            if (topo_read(&t, (enum topo_depth)depth, why, sizeof why) != 0)
                fail_msg("%s", why);
            by_number(t);
            for (unsigned i = 0; i < t->cpu_count; i++) {
                assert_int_equal(t->cpus[i].allowed, CPU_ISSET(t->cpus[i].number, set) != 0);
                allowed += t->cpus[i].allowed;
            }
            assert_int_equal(allowed, CPU_COUNT(set));
            ouro_topology_free(t);
            assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
            assert_true(CPU_EQUAL(&now, set));
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(ouro_topology_read(&t, NULL, why, sizeof why), 0);
    ouro_topology_free(t);
}

static void depths(void **state)
{
    (void)state;
    assert_int_equal(topo_depth_for(OURO_CPUS_ALL), TOPO_MASK);
    assert_int_equal(topo_depth_for(OURO_CPUS_LIST), TOPO_MASK);
    assert_int_equal(topo_depth_for(OURO_CPUS_CORES), TOPO_CORES);
    assert_int_equal(topo_depth_for(OURO_CPUS_SPREAD), TOPO_CORES);
    assert_int_equal(topo_depth_for(OURO_CPUS_COMPACT), TOPO_CORES);
    assert_int_equal(topo_depth_for(OURO_CPUS_NODE), TOPO_CORES);
    assert_int_equal(topo_depth_for(OURO_CPUS_NEAR), TOPO_DEVICES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epyc),         cmocka_unit_test(hybrid), cmocka_unit_test(hole),
        cmocka_unit_test(bare),         cmocka_unit_test(errors), cmocka_unit_test(most),
        cmocka_unit_test(this_machine), cmocka_unit_test(depths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
