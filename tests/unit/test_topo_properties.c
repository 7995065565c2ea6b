/* SPDX-License-Identifier: MIT */
/* What holds of every placement on any machine: only allowed CPUs, none twice, a prefix for fewer
 * shards, no matter in which order the machine was read; and how far apart and near is meant. */
#include "support/topo_support.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

static const char *const policies[] = {"all", "cores", "spread", "compact", "node:0", "near:eth0"};
static uint64_t seed, state;

static unsigned chance(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state >> 33) % below);
}

/* A random machine in the same form, with holes: ids are consistent, as a reader makes them. */
struct made {
    struct ouro_topology is;
    struct ouro_topology_cpu cpu[OURO_TOPOLOGY_CPUS];
    struct ouro_topology_node node[8];
    struct ouro_topology_device device;
    uint16_t distance[64];
};

/* Numbers of cores (fewer than 101) are in no order: they say only what is the same. */
static void make_cpus(struct made *m, unsigned per_package, unsigned caches, unsigned threads)
{
    unsigned number = 0, core = 0, packages = 1 + chance(2);

    for (unsigned node = 0; node < packages * per_package; node++)
        for (unsigned l3 = 0; l3 < caches; l3++)
            for (unsigned k = 1 + chance(4); k > 0; k--, core++) {
                uint8_t kind = (uint8_t)(chance(3) == 0);

                for (unsigned thread = 0; thread < threads; thread++, number += 1 + chance(2))
                    m->cpu[m->is.cpu_count++] =
                        (struct ouro_topology_cpu){.number = (uint16_t)number,
                                                   .core = (uint16_t)((core * 37 + 5) % 101),
                                                   .l3 = (uint16_t)(node * caches + l3),
                                                   .node = (uint16_t)node,
                                                   .package = (uint16_t)(node / per_package),
                                                   .thread = (uint8_t)thread,
                                                   .kind = kind,
                                                   .allowed = chance(4) != 0};
            }
    m->is.node_count = packages * per_package;
}

static void make(struct made *m)
{
    *m = (struct made){.device = {.name = "eth0"}};
    make_cpus(m, 1 + chance(4), 1 + chance(3), 1 + chance(2));
    for (unsigned i = 0; i < m->is.node_count; i++)
        m->node[i].number = (uint16_t)i;
    for (unsigned i = 0; i < m->is.node_count * m->is.node_count; i++)
        m->distance[i] = (uint16_t)(10 + chance(3));
    for (unsigned i = 0; i < array_size(m->device.cpus); i++)
        m->device.cpus[i] = chance(2) ? ~UINT64_C(0) : 0x3333333333333333;
    m->cpu[0].allowed = true; /* on node 0 and near eth0 */
    m->device.cpus[0] |= 1;
    m->is.cpus = m->cpu;
    m->is.nodes = m->node;
    m->is.devices = &m->device;
    m->is.device_count = 1;
    m->is.distances = chance(2) ? m->distance : NULL;
}

static int place(const struct made *m, const char *text, unsigned count, uint16_t *got)
{
    struct ouro_cpus want = cpus(text);
    char why[320] = "";

    want.count = count;
    return topo_place(&m->is, &want, got, OURO_MAX_SHARDS, why, sizeof why);
}

static const struct ouro_topology_cpu *find(const struct made *m, unsigned number)
{
    for (unsigned i = 0; i < m->is.cpu_count; i++)
        if (m->cpu[i].number == number)
            return &m->cpu[i];
    return NULL;
}

/* [TOPO-1] */
static void check_allowed(const struct made *m, const uint16_t *got, int n)
{
    bool seen[2 * OURO_TOPOLOGY_CPUS] = {false};

    for (int i = 0; i < n; i++) {
        const struct ouro_topology_cpu *c = find(m, got[i]);

        assert_non_null(c);
        assert_true(c->allowed && !seen[got[i]]);
        seen[got[i]] = true;
    }
}

static void shuffle(struct made *m)
{
    for (unsigned i = m->is.cpu_count - 1; i > 0; i--) {
        unsigned j = chance(i + 1);
        struct ouro_topology_cpu c = m->cpu[i];

        m->cpu[i] = m->cpu[j];
        m->cpu[j] = c;
    }
}

/* [TOPO-2] */
static void check_stable(struct made *m, const char *text, const uint16_t *got, int n)
{
    uint16_t other[OURO_MAX_SHARDS];

    for (int k = 1; k <= n && strchr(text, ':') == NULL; k++) {
        assert_int_equal(place(m, text, (unsigned)k, other), k);
        assert_memory_equal(other, got, (size_t)k * sizeof *got);
    }
    shuffle(m);
    assert_int_equal(place(m, text, 0, other), n);
    assert_memory_equal(other, got, (size_t)n * sizeof *got);
}

static unsigned allowed_where(const struct made *m, int node, bool near)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->is.cpu_count; i++) {
        unsigned c = m->cpu[i].number;

        n += m->cpu[i].allowed && (node < 0 || m->cpu[i].node == node) &&
             (!near || (m->device.cpus[c / 64] >> (c % 64) & 1) != 0);
    }
    return n;
}

/* Nothing that could be used is left out. */
static void check_all_taken(const struct made *m, const char *text, const uint16_t *got, int n)
{
    bool core[OURO_TOPOLOGY_CPUS] = {false};

    if (strcmp(text, "cores") != 0) {
        assert_int_equal(n, allowed_where(m, strcmp(text, "node:0") == 0 ? 0 : -1,
                                          strcmp(text, "near:eth0") == 0));
        return;
    }
    for (int i = 0; i < n; i++) {
        assert_false(core[find(m, got[i])->core]);
        core[find(m, got[i])->core] = true;
    }
    for (unsigned i = 0; i < m->is.cpu_count; i++)
        assert_true(!m->cpu[i].allowed || core[m->cpu[i].core]);
}

static void sound(void **state_)
{
    static struct made m;
    uint16_t got[OURO_MAX_SHARDS];

    (void)state_;
    for (int round = 0; round < 300; round++) {
        make(&m);
        for (unsigned p = 0; p < array_size(policies); p++) {
            int n = place(&m, policies[p], 0, got);

            assert_true(n > 0);
            check_allowed(&m, got, n);
            check_all_taken(&m, policies[p], got, n);
            check_stable(&m, policies[p], got, n);
        }
    }
}

static void fast_cores_first(void **state_)
{
    static struct made m;
    uint16_t got[OURO_MAX_SHARDS];

    (void)state_;
    for (int round = 0; round < 300; round++) {
        int n;

        make(&m);
        n = place(&m, "cores", 0, got);
        for (int i = 1; i < n; i++) {
            const struct ouro_topology_cpu *c = find(&m, got[i]), *last = find(&m, got[i - 1]);

            assert_true(c->kind > last->kind ||
                        (c->kind == last->kind && c->number > last->number));
        }
    }
}

/* "spread" takes a second CPU of a core only when every core has one, and the slow cores after the
 * fast ones. */
static void far_apart(void **state_)
{
    static struct made m;
    uint16_t got[OURO_MAX_SHARDS];

    (void)state_;
    for (int round = 0; round < 300; round++) {
        unsigned used[OURO_TOPOLOGY_CPUS] = {0}, last = 0, kind = 0;
        int n;

        make(&m);
        n = place(&m, "spread", 0, got);
        for (int i = 0; i < n; i++) {
            const struct ouro_topology_cpu *c = find(&m, got[i]);
            unsigned before = used[c->core]++;

            assert_true(before >= last); /* a second one of a core after the first of all */
            if (before > last)
                kind = 0;
            assert_true(c->kind >= kind); /* and fast before slow */
            kind = c->kind;
            last = before;
        }
    }
}

/* "compact" never goes back to a core, cache or node that it has left, in each kind. */
static void near_together(void **state_)
{
    static struct made m;
    uint16_t got[OURO_MAX_SHARDS];

    (void)state_;
    for (int round = 0; round < 300; round++) {
        bool left_core[OURO_TOPOLOGY_CPUS] = {false}, left_l3[64] = {false}, left_node[8] = {false};
        const struct ouro_topology_cpu *last = NULL;
        int n;

        make(&m);
        n = place(&m, "compact", 0, got);
        for (int i = 0; i < n; i++) {
            const struct ouro_topology_cpu *c = find(&m, got[i]);

            if (last != NULL && c->kind != last->kind) {
                assert_true(c->kind > last->kind);
                memset(left_l3, 0, sizeof left_l3);
                memset(left_node, 0, sizeof left_node);
            } else if (last != NULL) {
                left_core[last->core] = left_core[last->core] || c->core != last->core;
                left_l3[last->l3] = left_l3[last->l3] || c->l3 != last->l3;
                left_node[last->node] = left_node[last->node] || c->node != last->node;
            }
            assert_false(left_core[c->core] || left_l3[c->l3] || left_node[c->node]);
            last = c;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound),
        cmocka_unit_test(fast_cores_first),
        cmocka_unit_test(far_apart),
        cmocka_unit_test(near_together),
    };
    const char *given = getenv("OURO_TEST_SEED");

    seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    state = seed;
    printf("OURO_TEST_SEED=%" PRIu64 "\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
