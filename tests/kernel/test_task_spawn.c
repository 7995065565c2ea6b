/* SPDX-License-Identifier: MIT */
/* Spawning: the argument is copied, the fiber runs after the caller next waits and in order, and
 * every refusal is stated and leaves nothing behind. */
#include "support/support.h"

struct big {
    unsigned char bytes[OURO_SPAWN_ARG_MAX];
};

static unsigned ran;

static int count(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

/* The copy is the fiber's own, aligned for anything, and may be written. */
static int check_copy(void *arg)
{
    struct big *mine = arg;

    must_be((uintptr_t)mine % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < sizeof mine->bytes; i++)
        must_be(mine->bytes[i], i % 251);
    memset(mine, 0xff, sizeof *mine);
    must_be(ouro_yield(), 0);
    for (size_t i = 0; i < sizeof mine->bytes; i++)
        must_be(mine->bytes[i], 0xff);
    ran++;
    return 0;
}

static int copied_main(void *arg)
{
    struct big big;
    struct ouro_scope scope;

    (void)arg;
    ran = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (size_t i = 0; i < sizeof big.bytes; i++)
        big.bytes[i] = (unsigned char)(i % 251);
    for (int i = 0; i < 10; i++)
        must_be(ouro_spawn(&scope, check_copy, &big, sizeof big), 0);
    memset(&big, 0, sizeof big); /* before any of them has run */
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ran, 10);
    return 0;
}

static int check_size(void *arg)
{
    const unsigned char *bytes = arg;

    must_be((uintptr_t)arg % 16, 0);
    for (unsigned i = 1; i < bytes[0]; i++)
        must_be(bytes[i], i);
    ran++;
    return 0;
}

static int any_size_main(void *arg)
{
    unsigned char bytes[255];
    struct ouro_scope scope;

    (void)arg;
    ran = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned n = 1; n <= sizeof bytes; n++) {
        for (unsigned i = 0; i < n; i++)
            bytes[i] = (unsigned char)i;
        bytes[0] = (unsigned char)n;
        must_be(ouro_spawn(&scope, check_size, bytes, n), 0);
    }
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ran, sizeof bytes);
    return 0;
}

static int same_pointer(void *arg)
{
    *(void **)arg = arg;
    return 0;
}

static int not_copied_main(void *arg)
{
    void *self = NULL;

    (void)arg;
    must_be(ouro_spawn(NULL, same_pointer, &self, 0), 0);
    must(self == NULL); /* not before this fiber waits */
    until(self == &self);
    return 0;
}

static unsigned order[20];

static int note_order(void *arg)
{
    order[ran++] = *(unsigned *)arg;
    return 0;
}

static int in_order_main(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    ran = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < 20; i++)
        must_be(ouro_spawn(&scope, note_order, &i, sizeof i), 0);
    must_be(ran, 0);
    must_be(ouro_scope_leave(&scope), 0);
    for (unsigned i = 0; i < 20; i++)
        must_be(order[i], i);
    return 0;
}

static int refused_main(void *arg)
{
    struct ouro_spawn_options bad = {.size = sizeof bad - 1}, big = {.size = sizeof big};
    struct ouro_scope scope;
    ouro_fiber f = {77};
    char c = 0;

    (void)arg;
    ran = 0;
    must_be(ouro_spawn(NULL, NULL, NULL, 0), -EINVAL);
    must_be(ouro_spawn(NULL, count, &c, OURO_SPAWN_ARG_MAX + 1), -EINVAL);
    must_be(ouro_spawn(NULL, count, &c, SIZE_MAX), -EINVAL);
    must_be(ouro_spawn(NULL, count, NULL, 1), -EINVAL);
    must_be(ouro_spawn_with(NULL, count, NULL, 0, &bad, &f), -EINVAL);
    big.stack_bytes = (64 << 20) + 1;
    must_be(ouro_spawn_with(NULL, count, NULL, 0, &big, &f), -EINVAL);
    big.stack_bytes = SIZE_MAX;
    must_be(ouro_spawn_with(NULL, count, NULL, 0, &big, &f), -EINVAL);

    must_be(ouro_scope_enter(&scope, 0), 0);
    ouro_scope_cancel(&scope);
    must_be(ouro_spawn(&scope, count, NULL, 0), -ECANCELED);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ouro_spawn(&scope, count, NULL, 0), -EINVAL); /* it is closed */
    memset(&scope, 0, sizeof scope);
    must_be(ouro_spawn(&scope, count, NULL, 0), -EINVAL); /* never opened */
    must_be(ouro_yield(), 0);
    must_be(ran, 0);
    must_be(f.id, 77);
    return 0;
}

/* As many as options say, then -EAGAIN; one that ends makes room for another. */
static int limit_main(void *arg)
{
    struct ouro_counters c;
    struct ouro_scope scope;
    unsigned n = 0;
    int error;

    (void)arg;
    ran = 0;
    must_be(ouro_scope_enter(&scope, 0), 0);
    while ((error = ouro_spawn(&scope, count, NULL, 0)) == 0 && n < 100)
        n++;
    must_be(error, -EAGAIN);
    must_be(n, 19); /* main is the twentieth */
    must_be(ouro_counters(&c), 0);
    must_be(c.fibers_refused, 1);
    must_be(ouro_scope_leave(&scope), 0);
    must_be(ran, 19);
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (n = 0; n < 10; n++)
        must_be(ouro_spawn(&scope, count, NULL, 0), 0);
    must_be(ouro_scope_leave(&scope), 0);
    return 0;
}

static void limit(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    o.max_fibers = 20;
    assert_int_equal(run_with(&o, limit_main, NULL), 0);
}

static void off_shard(void **state)
{
    ouro_fiber f;

    (void)state;
    assert_int_equal(ouro_spawn(NULL, count, NULL, 0), -OURO_ENOSHARD);
    assert_int_equal(ouro_spawn_joinable(NULL, count, NULL, 0, &f), -OURO_ENOSHARD);
}

ON_ONE_SHARD(copied)
ON_ONE_SHARD(any_size)
ON_ONE_SHARD(not_copied)
ON_ONE_SHARD(in_order)
ON_ONE_SHARD(refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copied),    cmocka_unit_test(any_size), cmocka_unit_test(not_copied),
        cmocka_unit_test(in_order),  cmocka_unit_test(refused),  cmocka_unit_test(limit),
        cmocka_unit_test(off_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
