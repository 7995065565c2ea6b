/* SPDX-License-Identifier: MIT */
/* A fiber has the stack that options promise, whole and to itself; one that asks for more gets a
 * large one; and the deepest use of each is kept by task name. */
#include "support/support.h"

#include "base/limits.h"

#define KIB 1024

/* Fills `bytes` of frames, gives others their turn at the bottom, and finds all as it was. */
static __attribute__((noinline)) unsigned deep(unsigned seed, size_t bytes)
{
    volatile unsigned char frame[KIB];
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (unsigned char)(seed + i);
    if (bytes > sizeof frame)
        wrong = deep(seed + 1, bytes - sizeof frame);
    else
        must_be(ouro_yield(), 0);
    for (size_t i = 0; i < sizeof frame; i++)
        wrong += frame[i] != (unsigned char)(seed + i);
    return wrong;
}

struct dig {
    unsigned seed;
    size_t bytes;
};

static int dig(void *arg)
{
    const struct dig *d = arg;

    must_be(deep(d->seed, d->bytes), 0);
    return 0;
}

static void dig_with(struct ouro_scope *scope, const struct ouro_spawn_options *o, struct dig d)
{
    must_be(ouro_spawn_with(scope, dig, &d, sizeof d, o, NULL), 0);
}

static int whole_main(void *arg)
{
    struct ouro_spawn_options o = {.size = sizeof o};
    size_t share = slow_build() ? 4 : 2; /* instrumented frames are larger */
    struct ouro_scope scope;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < 16; i++)
        dig_with(&scope, &o, (struct dig){i * 7, 64 * KIB / share});
    o.stack_bytes = 512 * KIB;
    for (unsigned i = 0; i < 16; i++)
        dig_with(&scope, &o, (struct dig){i * 11, 512 * KIB / share});
    o.stack_bytes = 1024 * KIB;
    dig_with(&scope, &o, (struct dig){1, 1024 * KIB / share});
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

/* Floating point and what the compiler keeps in registers survive a switch. */
static int sums(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    double a = seed, b = 1.0 / (seed + 1);
    uint64_t c = seed, d = ~(uint64_t)seed;

    for (int i = 0; i < 200; i++) {
        a += b;
        c = c * 31 + (uint64_t)i;
        d ^= c << (i % 60);
        must_be(ouro_yield(), 0);
    }
    for (int i = 199; i >= 0; i--) { /* back again, without a switch */
        d ^= c << (i % 60);
        c = (c - (uint64_t)i) * UINT64_C(0xef7bdef7bdef7bdf); /* 1 / 31 modulo 2^64 */
        a -= b;
    }
    must_be(c, seed);
    must_be(d, ~(uint64_t)seed);
    must(a > seed - 1e-6 && a < seed + 1e-6);
    return 0;
}

static int registers_main(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < 50; i++)
        must_be(ouro_spawn(&scope, sums, &i, sizeof i), 0);
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

struct uses {
    size_t shallow, deep;
    unsigned names;
};

static void take_use(void *ctx, const char *name, size_t bytes)
{
    struct uses *u = ctx;

    u->names++;
    if (strcmp(name, "shallow") == 0)
        u->shallow = bytes;
    if (strcmp(name, "deep") == 0)
        u->deep = bytes;
}

/* Of the first so many names; the rest is forgotten, and nothing else. */
static int many_names_main(void *arg)
{
    static char name[STACK_NAMES + 44][16];
    struct ouro_spawn_options o = {.size = sizeof o};
    struct uses uses = {0};

    (void)arg;
    for (unsigned i = 0; i < STACK_NAMES + 44; i++) {
        struct ouro_scope scope;

        snprintf(name[i], sizeof name[i], "name %u", i);
        o.name = name[i];
        must_be(ouro_scope_enter(&scope, 0), 0);
        dig_with(&scope, &o, (struct dig){1, KIB});
        must_be(ouro_scope_leave(&scope), 0);
    }
    must_be(ouro_stack_use(take_use, &uses), 0);
    must_be(uses.names, STACK_NAMES);
    return 0;
}

static int use_main(void *arg)
{
    struct ouro_spawn_options shallow = {.size = sizeof shallow, .name = "shallow"};
    struct ouro_spawn_options deeper = {.size = sizeof deeper, .name = "deep"};
    struct ouro_scope scope;
    struct uses uses = {0};

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < 10; i++) {
        dig_with(&scope, &shallow, (struct dig){i, KIB});
        dig_with(&scope, &deeper,
                 (struct dig){i, (i == 5 ? 40 : 10) * KIB / (slow_build() ? 4 : 1)});
    }
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ouro_stack_use(take_use, &uses), 0);
    must_be(uses.names, 2); /* main still runs */
    must(uses.shallow >= KIB);
    must(uses.shallow < uses.deep / 2);
    must(uses.deep >= 40 * KIB / (slow_build() ? 4 : 1)); /* the deepest, not the last */
    must(uses.deep <= 64 * KIB);
    must_be(ouro_stack_use(NULL, NULL), -EINVAL);
    return 0;
}

static void use(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.track_stack_use = true;
    assert_int_equal(run_with(&o, use_main, NULL), 0);
    assert_int_equal(run_with(&o, many_names_main, NULL), 0);
    assert_int_equal(ouro_stack_use(take_use, NULL), -OURO_ENOSHARD);
}

/* Not asked for: nothing is kept. */
static int no_use_main(void *arg)
{
    struct ouro_scope scope;
    struct uses uses = {0};

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    dig_with(&scope, NULL, (struct dig){0, KIB});
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ouro_stack_use(take_use, &uses), 0);
    must_be(uses.names, 0);
    return 0;
}

ON_ONE_SHARD(whole)
ON_ONE_SHARD(registers)
ON_ONE_SHARD(no_use)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(registers),
        cmocka_unit_test(use),
        cmocka_unit_test(no_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
