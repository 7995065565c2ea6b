/* SPDX-License-Identifier: MIT */
/* A shard stepped by hand, turn by turn, on a ring in plain memory: it does the same at every run
 * with the same order of completions, something else with another, and ends as well in all. */
#include "support/fake_kernel.h"
#include "support/late_kernel.h"
#include "support/net_echo.h"

#include "options.h"
#include "shard/task.h"

#define CLIENTS 4
#define ROUNDS  10
#define BYTES   100

static struct shard shard;

/* What happened, turn by turn. */
struct trace {
    uint64_t hash;
    unsigned turns;
};

static void note(struct trace *t, const struct shard *s)
{
    const uint64_t seen[] = {s->ring.submitted, s->counters.completions, s->counters.resumes};

    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        t->hash = (t->hash ^ seen[i]) * UINT64_C(0x100000001b3);
    t->turns++;
}

static int client(void *arg)
{
    const struct ouro_addr *to = *(struct ouro_addr **)arg;
    uint8_t out[BYTES], in[BYTES];
    ouro_conn conn;

    must_be(ouro_connect(&conn, to, NULL, OURO_FOREVER), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        pattern_fill(out, BYTES, 5, i * BYTES);
        must_be(ouro_send_all(conn, out, BYTES), BYTES);
        for (size_t got = 0; got < BYTES;) {
            ssize_t n = ouro_recv(conn, in, BYTES - got);

            must(n > 0);
            pattern_check(in, (size_t)n, 5, i * BYTES + got);
            got += (size_t)n;
        }
    }
    must_be(ouro_close(conn), 0);
    return 0;
}

static int echo_main(void *arg)
{
    const struct ouro_addr *to;
    struct ouro_scope scope;
    struct echo e;

    echo_start(&e, *(enum echo_form *)arg, V4);
    to = &e.bound;
    must_be(ouro_scope_enter(&scope, 0), 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        must_be(ouro_spawn(&scope, client, &to, sizeof to), 0);
    must_be(ouro_scope_leave(&scope), 0);
    while (e.served < CLIENTS)
        must_be(ouro_sleep_until(0), 0); /* one turn */
    must_be(e.failed, 0);
    echo_stop(&e);
    return 0;
}

static struct trace run(enum echo_form form, const struct late_options *late)
{
    struct ouro_options small = small_options(1), o;
    struct trace t = {0};
    struct mesh mesh;
    char why[256];

    must_be(options_take(&o, &small, why, sizeof why), 0);
    must_be(mesh_init(&mesh, 1, LANE_MESSAGES), 0);
    late_begin(&kernel_fake, late);
    kernel_default = &kernel_late;
    must_be(
        shard_init(&shard, &(struct shard_place){.mesh = &mesh, .options = &o}, why, sizeof why),
        0);
    shard_self = &shard;
    must_be(ouro_spawn(NULL, echo_main, &form, sizeof form), 0);
    while (shard.root.live != 0 || !shard_quiet(&shard)) {
        must(t.turns < 100000);
        shard_work(&shard);
        shard_submit(&shard, false);
        note(&t, &shard);
    }
    shard_destroy(&shard);
    shard_self = NULL;
    kernel_default = &kernel_linux;
    mesh_destroy(&mesh);
    (void)late_end();
    must_be(fake_leftovers(), 0);
    return t;
}

static void same_again(void **state)
{
    const struct late_options in_order = {.seed = 1};

    (void)state;
    for (enum echo_form form = 0; form < ECHO_FORMS; form++) {
        struct trace first = run(form, &in_order), second = run(form, &in_order);

        assert_int_equal(first.turns, second.turns);
        assert_true(first.hash == second.hash);
    }
}

static void same_by_seed(void **state)
{
    (void)state;
    for (enum echo_form form = 0; form < ECHO_FORMS; form++) {
        unsigned others = 0;
        struct trace before = {0};

        for (uint64_t seed = 1; seed <= 50; seed++) {
            const struct late_options late = {.seed = seed, .turns = 3, .shuffled = true};
            struct trace first = run(form, &late), second = run(form, &late);

            assert_int_equal(first.turns, second.turns);
            assert_true(first.hash == second.hash);
            others += first.hash != before.hash;
            before = first;
        }
        assert_true(others > 40);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_again),
        cmocka_unit_test(same_by_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
