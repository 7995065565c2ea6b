/* SPDX-License-Identifier: MIT */
/* One set of tests on echo in its three forms, in each family, on every rung of the ring's ladder
 * of flags, and where direct descriptors are missing in whole or for sockets. */
#include "support/net_echo.h"
#include "support/net_kernel.h"

#include "shard/shard.h"

static enum echo_form form;
static enum family family;

static int ping_pong_main(void *arg)
{
    struct echo e;
    ouro_conn c;
    char out[64], in[64];

    (void)arg;
    echo_start(&e, form, family);
    must_be(ouro_connect(&c, &e.bound, NULL, 20 * SEC), 0);
    for (unsigned i = 0; i < 200; i++) {
        size_t len = 1 + i % sizeof out, got = 0;

        pattern_fill(out, len, i, 0);
        must_be(ouro_send_all(c, out, len), len);
        while (got < len) {
            ssize_t n = ouro_recv(c, in + got, len - got);

            must(n > 0);
            got += (size_t)n;
        }
        pattern_check(in, len, i, 0);
    }
    must_be(ouro_shutdown(c, SHUT_WR), 0);
    must_be(ouro_recv(c, in, sizeof in), 0); /* it closed as we did */
    must_be(ouro_close(c), 0);
    echo_stop(&e);
    must_be(e.served, 1);
    must_be(e.failed, 0);
    until(pools_whole());
    return 0;
}

/* One sends while the other receives, more than all buffers together, and half-closes. */
struct stream {
    ouro_conn conn;
    uint64_t seed;
    size_t total, got;
};

static int send_stream(void *arg)
{
    struct stream *s = *(struct stream **)arg;
    uint8_t *out = malloc(30000);
    size_t at = 0;

    must(out != NULL);
    while (at < s->total) {
        size_t n = s->total - at < 30000 ? s->total - at : 30000;

        pattern_fill(out, n, s->seed, at);
        must_be(ouro_send_all(s->conn, out, n), n);
        at += n;
    }
    free(out);
    return ouro_shutdown(s->conn, SHUT_WR);
}

static int receive_stream(void *arg)
{
    struct stream *s = *(struct stream **)arg;
    uint8_t *in = malloc(20000);
    ssize_t n;

    must(in != NULL);
    while ((n = ouro_recv(s->conn, in, 20000)) > 0) {
        pattern_check(in, (size_t)n, s->seed, s->got);
        s->got += (size_t)n;
    }
    free(in);
    return (int)n;
}

static int streams_main(void *arg)
{
    enum { N = 6 };
    struct stream s[N], *ps;
    ouro_fiber sender[N], receiver[N];
    struct echo e;
    int value = -1;

    (void)arg;
    echo_start(&e, form, family);
    for (int i = 0; i < N; i++) {
        s[i] = (struct stream){.seed = (uint64_t)i, .total = (size_t)(i + 1) * 150000};
        ps = &s[i];
        must_be(ouro_connect(&s[i].conn, &e.bound, NULL, 20 * SEC), 0);
        must_be(ouro_spawn_joinable(NULL, send_stream, &ps, sizeof ps, &sender[i]), 0);
        must_be(ouro_spawn_joinable(NULL, receive_stream, &ps, sizeof ps, &receiver[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        must_be(ouro_join(sender[i], &value), OURO_END_RETURNED);
        must_be(value, 0);
        must_be(ouro_join(receiver[i], &value), OURO_END_RETURNED);
        must_be(value, 0);
        must_be(s[i].got, s[i].total);
        must_be(ouro_close(s[i].conn), 0);
    }
    echo_stop(&e);
    must_be(e.served, N);
    must_be(e.failed, 0);
    until(pools_whole());
    return 0;
}

/* Many connections, each with a little. */
static int crowd_main(void *arg)
{
    enum { N = 150 };
    static ouro_conn c[N];
    struct echo e;
    char in[8];

    (void)arg;
    echo_start(&e, form, family);
    for (int i = 0; i < N; i++)
        must_be(ouro_connect(&c[i], &e.bound, NULL, 20 * SEC), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            must_be(ouro_send_all(c[i], &(char){(char)(i + round)}, 1), 1);
        for (int i = N; i-- > 0;) {
            must_be(ouro_recv(c[i], in, sizeof in), 1);
            must_be(in[0], (char)(i + round));
        }
    }
    for (int i = 0; i < N; i++)
        must_be(i % 3 == 0 ? ouro_close_reset(c[i]) : ouro_close(c[i]), 0);
    until(e.served + e.failed == N);
    echo_stop(&e);
    until(pools_whole());
    return 0;
}

/* Peers that go in the middle of everything: each ends its own connection and no other. */
static int rude_main(void *arg)
{
    enum { N = 30 };
    static char much[200000];
    struct ouro_send_all all[N];
    ouro_conn c[N], polite;
    struct echo e;
    char in[8];

    (void)arg;
    echo_start(&e, form, family);
    must_be(ouro_connect(&polite, &e.bound, NULL, 20 * SEC), 0);
    for (int i = 0; i < N; i++) {
        must_be(ouro_connect(&c[i], &e.bound, NULL, 20 * SEC), 0);
        ouro_send_all_start(&all[i], c[i], much, sizeof much);
    }
    turns(5);
    for (int i = 0; i < N; i++) {
        must_be(i % 2 ? ouro_close(c[i]) : ouro_close_reset(c[i]), 0);
        must(ouro_await(&all[i].op.future) != 0);
    }
    until(e.served + e.failed == N);
    must_be(ouro_send_all(polite, "still", 5), 5);
    must_be(ouro_recv(polite, in, sizeof in), 5);
    must_be(ouro_close(polite), 0);
    until(e.served + e.failed == N + 1);
    echo_stop(&e);
    until(pools_whole());
    return 0;
}

/* Stopped with everything in flight: blocked sends, waiting receives, connections nobody has taken.
 */
static int stop_under_load_main(void *arg)
{
    enum { N = 20 };
    static char much[1 << 20];
    struct ouro_send_all all[N];
    ouro_conn c[N];
    struct echo e;
    char in[8];
    ssize_t n;

    (void)arg;
    echo_start(&e, form, family);
    for (int i = 0; i < N; i++) {
        must_be(ouro_connect(&c[i], &e.bound, NULL, 20 * SEC), 0);
        if (i % 2)
            ouro_send_all_start(&all[i], c[i], much,
                                sizeof much); /* nobody reads what comes back */
    }
    turns(10);
    echo_stop(&e);
    must_be(shard_self->slots.open[SLOT_LISTENER], 0);
    for (int i = 0; i < N; i++) {
        if (i % 2 == 0)
            must((n = ouro_recv(c[i], in, sizeof in)) == 0 || n == -ECONNRESET);
        must_be(ouro_close(c[i]), 0);
        if (i % 2)
            must(ouro_await(&all[i].op.future) != 0);
    }
    until(pools_whole());
    return 0;
}

/* --- the matrix ------------------------------------------------------------------------------ */

static const struct rung {
    const char *name;
    const struct kernel *kernel;
    unsigned flags_off;
    unsigned granted_off; /* must not have been granted */
} rungs[] = {
    {"as it comes", &kernel_linux, 0, 0},
    {"without NO_SQARRAY", &kernel_linux, IORING_SETUP_NO_SQARRAY, IORING_SETUP_NO_SQARRAY},
    {"without DEFER_TASKRUN", &kernel_linux,
     IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_DEFER_TASKRUN},
    {"without SINGLE_ISSUER", &kernel_linux, IORING_SETUP_SINGLE_ISSUER,
     IORING_SETUP_DEFER_TASKRUN},
    {"without COOP_TASKRUN", &kernel_linux, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN},
    {"without TASKRUN_FLAG", &kernel_linux, IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_TASKRUN_FLAG},
    {"plain", &kernel_linux, UINT32_MAX, UINT32_MAX},
    {"without direct descriptors", &kernel_without_direct, 0, 0},
    {"without direct sockets", &kernel_without_direct_sockets, 0, 0},
    {"plain, without direct descriptors", &kernel_without_direct, UINT32_MAX, UINT32_MAX},
};

static const struct rung *rung;

static int checked_main(void *arg)
{
    int (*fn)(void *) = *(int (**)(void *))arg;
    const struct ring_caps *caps = &shard_self->ring.caps;

    must_be(caps->granted & rung->granted_off, 0);
    if (rung->kernel == &kernel_without_direct)
        must(!caps->direct);
    if (rung->kernel != &kernel_linux)
        must(!caps->direct_sockets);
    return fn(NULL);
}

static void everywhere(int (*fn)(void *))
{
    for (size_t i = 0; i < sizeof rungs / sizeof rungs[0]; i++)
        for (form = 0; form < ECHO_FORMS; form++)
            for (family = 0; family < FAMILIES; family++) {
                struct ouro_options o = small_options(1);

                if (!family_there(family) || (i != 0 && family == V6))
                    continue;
                rung = &rungs[i];
                o.ring_flags_off = rung->flags_off;
                kernel_default = rung->kernel;
                printf("%s, %s, %s\n", rung->name, echo_form_name[form], family_name[family]);
                fflush(stdout);
                assert_int_equal(run_with(&o, checked_main, &fn), 0);
                kernel_default = &kernel_linux;
            }
}

#define EVERYWHERE(name)                                                                           \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        everywhere(name##_main);                                                                   \
    }

EVERYWHERE(ping_pong)
EVERYWHERE(streams)
EVERYWHERE(crowd)
EVERYWHERE(rude)
EVERYWHERE(stop_under_load)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_pong), cmocka_unit_test(streams),         cmocka_unit_test(crowd),
        cmocka_unit_test(rude),      cmocka_unit_test(stop_under_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
