/* SPDX-License-Identifier: MIT */
/* All shards start or none does: every call into the kernel that a start makes is failed, one after
 * the other, until a start goes through without reaching the failure. What a start undoes is
 * counted. */
#include "support/support.h"

#include <stdatomic.h>
#include <sys/prctl.h>

#include "ring/kernel.h"

static struct kernel faulty;
static atomic_int until_failure, mapped;
static int fault;         /* what the failing call gives */
static unsigned on_shard; /* only calls of this one count */
static atomic_uint mains;

/* By name: a thread has it before it makes its ring. */
static bool is_victim(void)
{
    char name[16], expected[32];

    prctl(PR_GET_NAME, name);
    snprintf(expected, sizeof expected, "ouro-%u", on_shard);
    return strcmp(name, expected) == 0;
}

static bool fails(void)
{
    return is_victim() && atomic_fetch_sub(&until_failure, 1) == 0;
}

static int setup(unsigned entries, struct io_uring_params *params)
{
    return fails() ? fault : kernel_linux.setup(entries, params);
}

static int control(int ring_fd, unsigned opcode, const void *arg, unsigned n)
{
    return fails() ? fault : kernel_linux.control(ring_fd, opcode, arg, n);
}

static void *map(size_t bytes, int ring_fd, uint64_t offset, int *error)
{
    void *p;

    if (fails()) {
        *error = fault;
        return NULL;
    }
    p = kernel_linux.map(bytes, ring_fd, offset, error);
    mapped += p != NULL;
    return p;
}

static int unmap(void *addr, size_t bytes)
{
    mapped--;
    return kernel_linux.unmap(addr, bytes);
}

static int yield(void *arg)
{
    (void)arg;
    return ouro_yield();
}

static int count_main(void *arg)
{
    (void)arg;
    mains++;
    return ouro_on_each_shard(yield, NULL, "yield", NULL);
}

/* Fails the k-th call of one shard, for every k. */
static void fail_each(unsigned shards, unsigned victim, int error)
{
    struct ouro_options o = small_options(shards);
    unsigned refused = 0, k = 0;

    on_shard = victim;
    fault = error;
    for (;; k++) {
        unsigned descriptors = open_descriptors(), threads = threads_alive();
        int result, value = -1;

        until_failure = (int)k;
        mains = 0;
        result = ouro_run(&o, count_main, NULL, &value);
        must_be(mapped, 0);
        must_be(open_descriptors(), descriptors);
        must(threads_settled(threads) <= threads);
        if (result != 0) {
            char shard[32];

            must_be(mains, 0);
            must(result < 0);
            snprintf(shard, sizeof shard, "shard %u: ", victim);
            must_be(strncmp(ouro_start_error(), shard, strlen(shard)), 0);
            must(strlen(ouro_start_error()) > strlen(shard) + 3);
            refused++;
        } else {
            must_be(mains, 1);
            must_be(value, 0);
        }
        if (until_failure >= 0)
            break; /* it was never reached: no call is left */
    }
    print_message(
        "%u shards, the calls of shard %u failed one by one with %s: %u, of which %u refused "
        "the start\n",
        shards, victim, strerror(-error), k, refused);
    must(k >= 8);
    must(refused >= 3);
}

static void first_shard(void **state)
{
    (void)state;
    fail_each(1, 0, -ENOMEM);
    fail_each(3, 0, -ENOMEM);
}

static void another_shard(void **state)
{
    (void)state;
    fail_each(3, 1, -ENOMEM);
    fail_each(3, 2, -EPERM);
}

/* What -EINVAL refuses may be an ability that can be done without; never a crash, never a leak. */
static void abilities(void **state)
{
    (void)state;
    fail_each(2, 1, -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_shard),
        cmocka_unit_test(another_shard),
        cmocka_unit_test(abilities),
    };
    int failed;

    faulty = kernel_linux;
    faulty.setup = setup;
    faulty.control = control;
    faulty.map = map;
    faulty.unmap = unmap;
    kernel_default = &faulty;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    kernel_default = &kernel_linux;
    return failed;
}
