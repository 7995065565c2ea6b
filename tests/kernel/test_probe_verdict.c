/* SPDX-License-Identifier: MIT */
/* The verdict is the highest one of which nothing is missing: taken from a kernel that refuses one
 * thing at a time, whatever the real one grants. */
#include "support/support.h"

#include "ring/kernel.h"
#include "ring/ring.h"

/* --- a kernel that refuses ------------------------------------------------------------------- */

static struct {
    unsigned flags;    /* set-up flags that are unknown */
    unsigned features; /* features that are not there */
    int registration;  /* that is unknown, -1: none */
    int opcode;        /* that is not built in, -1: none */
    int setup_error;
} refuse;

static int setup(unsigned entries, struct io_uring_params *params)
{
    int fd;

    if (refuse.setup_error != 0)
        return refuse.setup_error;
    if ((params->flags & refuse.flags) != 0)
        return -EINVAL;
    fd = kernel_linux.setup(entries, params);
    params->features &= ~refuse.features;
    return fd;
}

static int control(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    int result;

    if ((int)opcode == refuse.registration)
        return -EINVAL;
    result = kernel_linux.control(ring_fd, opcode, arg, n);
    if (opcode == IORING_REGISTER_PROBE && refuse.opcode >= 0)
        ((struct io_uring_probe *)(uintptr_t)arg)->ops[refuse.opcode].flags = 0;
    return result;
}

static int begin(void **state)
{
    static struct kernel grudging;

    (void)state;
    grudging = kernel_linux;
    grudging.setup = setup;
    grudging.control = control;
    kernel_default = &grudging;
    memset(&refuse, 0, sizeof refuse);
    refuse.registration = refuse.opcode = -1;
    return 0;
}

static int end(void **state)
{
    (void)state;
    kernel_default = &kernel_linux;
    return 0;
}

/* --- asking ---------------------------------------------------------------------------------- */

struct answer {
    struct ouro_probe probe;
    const char *wanted;
    int count, refused;
    bool granted;
    char why[128];
};

static void look(void *ctx, const struct ouro_finding *f)
{
    struct answer *a = ctx;

    a->count++;
    a->refused += !f->granted;
    assert_int_equal(f->why[0] == '\0', f->granted);
    if (a->wanted == NULL || strcmp(f->name, a->wanted) != 0)
        return;
    a->granted = f->granted;
    snprintf(a->why, sizeof a->why, "%s", f->why);
}

static struct answer ask(const char *wanted)
{
    struct answer a = {.probe = {.size = sizeof a.probe}, .wanted = wanted, .granted = true};

    assert_int_equal(ouro_probe(&a.probe, look, &a), 0);
    return a;
}

/* The verdict may be lower than `most` where the real kernel has less. */
static void expect_at_most(enum ouro_verdict most, enum ouro_verdict real, const char *name)
{
    struct answer a = ask(name);

    assert_false(a.granted);
    assert_int_equal(a.probe.verdict, real < most ? real : most);
    assert_int_equal(a.probe.error, a.probe.verdict == OURO_UNUSABLE ? -EOPNOTSUPP : 0);
}

static enum ouro_verdict real_verdict(void)
{
    struct answer a = ask(NULL);

    assert_true(a.count > 80);
    if (a.probe.verdict == OURO_UNUSABLE)
        skip();
    assert_string_equal(a.probe.why, "");
    return a.probe.verdict;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_floor(void **state)
{
    enum ouro_verdict real = real_verdict();
    struct answer a;

    (void)state;
    refuse.flags = IORING_SETUP_DEFER_TASKRUN;
    expect_at_most(OURO_UNUSABLE, real, "DEFER_TASKRUN");
    a = ask("DEFER_TASKRUN");
    assert_string_equal(a.why, "unknown to this kernel (EINVAL)");
    assert_non_null(strstr(a.probe.why, "this io_uring lacks DEFER_TASKRUN, TASKRUN_FLAG;"));

    begin(NULL);
    refuse.registration = IORING_REGISTER_PBUF_RING;
    expect_at_most(OURO_UNUSABLE, real, "provided buffer rings");

    begin(NULL);
    refuse.features = IORING_FEAT_NODROP;
    expect_at_most(OURO_UNUSABLE, real, "NODROP");
}

static void test_good(void **state)
{
    enum ouro_verdict real = real_verdict();

    (void)state;
    refuse.registration = IORING_REGISTER_CLONE_BUFFERS;
    expect_at_most(OURO_FLOOR, real, "cloned buffers");
    begin(NULL);
    refuse.features = IORING_FEAT_MIN_TIMEOUT;
    expect_at_most(OURO_FLOOR, real, "MIN_TIMEOUT");
    refuse.features = IORING_FEAT_RECVSEND_BUNDLE;
    expect_at_most(OURO_FLOOR, real, "RECVSEND_BUNDLE");
}

static void test_best(void **state)
{
    enum ouro_verdict real = real_verdict();

    (void)state;
    refuse.registration = IORING_REGISTER_RESIZE_RINGS;
    expect_at_most(OURO_GOOD, real, "ring resize");
    refuse.registration = IORING_REGISTER_MEM_REGION;
    expect_at_most(OURO_GOOD, real, "registered waits");
    begin(NULL);
    refuse.flags = 1u << 18;
    expect_at_most(OURO_GOOD, real, "CQE_MIXED");
    begin(NULL);
    refuse.opcode = 58;
    expect_at_most(OURO_GOOD, real, "RECV_ZC");
}

/* What no verdict needs changes none. */
static void test_the_rest(void **state)
{
    enum ouro_verdict real = real_verdict();
    struct answer a;

    (void)state;
    refuse.flags = IORING_SETUP_NO_SQARRAY;
    expect_at_most(real, real, "NO_SQARRAY");
    begin(NULL);
    refuse.opcode = IORING_OP_FIXED_FD_INSTALL;
    a = ask("direct sockets");
    assert_int_equal(a.probe.verdict, real);
    assert_string_equal(a.why,
                        "the kernel cannot make one an ordinary descriptor (FIXED_FD_INSTALL)");
    begin(NULL);
    refuse.registration = IORING_REGISTER_FILES2;
    a = ask("direct sockets");
    assert_int_equal(a.probe.verdict, real);
    assert_string_equal(a.why, "there are no direct descriptors");
}

static void test_no_ring(void **state)
{
    struct answer a;

    (void)state;
    refuse.setup_error = -ENOSYS;
    a = ask(NULL);
    assert_int_equal(a.probe.verdict, OURO_UNUSABLE);
    assert_int_equal(a.probe.error, -ENOSYS);
    assert_int_equal(a.count, 0);
    assert_non_null(
        strstr(a.probe.why, "this kernel has no io_uring, or a seccomp filter hides it"));

    refuse.setup_error = 0;
    refuse.opcode = IORING_OP_SEND_ZC; /* no ring of the runtime's without it */
    a = ask(NULL);
    assert_int_equal(a.probe.error, -EOPNOTSUPP);
    assert_non_null(strstr(a.probe.why, "too old: it has no zero-copy send"));
}

static void test_bad_arguments(void **state)
{
    struct ouro_probe p = {.size = 1};

    (void)state;
    assert_int_equal(ouro_probe(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(ouro_probe(&p, NULL, NULL), -EINVAL);
    p.size = sizeof p;
    assert_int_equal(ouro_probe(&p, NULL, NULL), 0);
    assert_true(strchr(p.liburing, '.') != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_floor, begin, end),
        cmocka_unit_test_setup_teardown(test_good, begin, end),
        cmocka_unit_test_setup_teardown(test_best, begin, end),
        cmocka_unit_test_setup_teardown(test_the_rest, begin, end),
        cmocka_unit_test_setup_teardown(test_no_ring, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_arguments, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
