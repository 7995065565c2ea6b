/* SPDX-License-Identifier: MIT */
/* options.restrict_ring: the rings take what the runtime uses, and nothing else; a kernel that
 * cannot restrict is said so. That nothing is missing, tools/restricted shows: the other tests on
 * such rings. */
#include "support/net_kernel.h"
#include "support/net_support.h"

#include <ouro/raw.h>

#include "shard/shard.h"

static int restricted_main(void *arg)
{
    struct io_uring_sqe nop = {.opcode = IORING_OP_NOP}, madvise = {.opcode = IORING_OP_MADVISE};
    bool on = *(bool *)arg;
    struct pair p;
    char byte;

    pair_open(&p, V4);
    must_be(ouro_send(p.near, "x", 1), 1);
    must_be(ouro_recv(p.far, &byte, 1), 1);
    must_be(ouro_op_raw(&nop, NULL), 0);
    must_be(ouro_op_raw(&madvise, NULL), on ? -EACCES : 0);
    /* Nobody can take the restrictions away, nor register what they do not name. */
    must_be(kernel_linux.control(shard_self->ring.u.ring_fd, IORING_REGISTER_PERSONALITY, NULL, 0) >
                0,
            !on);
    pair_close(&p);
    return 0;
}

static void only_what_is_used(void **state)
{
    struct ouro_options o = small_options(1);

    (void)state;
    for (int on = 0; on < 2; on++) {
        bool arg = on;

        o.restrict_ring = on;
        assert_int_equal(run_with(&o, restricted_main, &arg), 0);
    }
}

static unsigned refused_call;

static int refusing(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    if (opcode == refused_call)
        return -EINVAL;
    return kernel_linux.control(ring_fd, opcode, arg, n);
}

static int never(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

static void refused_by_the_kernel(void **state)
{
    static const unsigned refusals[] = {IORING_REGISTER_RESTRICTIONS, IORING_REGISTER_ENABLE_RINGS};
    struct kernel old = kernel_linux;
    struct ouro_options o = small_options(2);
    bool ran = false;

    (void)state;
    old.control = refusing;
    o.restrict_ring = true;
    for (size_t i = 0; i < 2; i++) {
        refused_call = refusals[i];
        kernel_default = &old;
        assert_int_equal(ouro_run(&o, never, &ran, NULL), -EINVAL);
        kernel_default = &kernel_linux;
        assert_non_null(strstr(ouro_start_error(), "options.restrict_ring: the kernel refuses"));
        assert_false(ran);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_used),
        cmocka_unit_test(refused_by_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
