/* SPDX-License-Identifier: MIT */
/* The scenes on a ring in plain memory run as on a real one, also when operations fail and
 * completions come late and in another order. */
#include "support/fake_kernel.h"
#include "support/sweep_table.h"

static const struct sweep_row rows[] = {
    {.name = "enter: takes half", .where = FAULT_ENTER_PART},
    {.name = "operation: EINTR", .where = FAULT_OPERATION, .errors = {-EINTR}},
    {.name = "operation: ENOBUFS", .where = FAULT_OPERATION, .errors = {-ENOBUFS}},
    {.name = "half of the bytes, once", .where = FAULT_SHORT},
    {.name = "three bytes at most", .where = FAULT_SHORT_ALL, .always = true},
    {.name = "cancellation misses", .where = FAULT_CANCEL_MISSES, .errors = {-ENOENT}},
    {.name = "completions late", .where = FAULT_LATE},
    {.name = "completions reordered", .where = FAULT_SHUFFLED},
};

static void one(void **state)
{
    sweep_run(*state);
}

static void nothing_fails(void **state)
{
    const struct fault none = {.where = FAULT_NONE};

    (void)state;
    for (unsigned i = 0; i < scenes_n; i++)
        for (enum echo_form form = 0; form < scenes[i].forms; form++)
            if (!scenes[i].asks_names)
                assert_int_equal(scene_once(&scenes[i], &none, form), 0);
}

static int print(void **state)
{
    (void)state;
    sweep_print("The fake kernel");
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[1 + sizeof rows / sizeof rows[0]] = {cmocka_unit_test(nothing_fails)};

    faulty_below = &kernel_fake;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tests[1 + i] =
            (struct CMUnitTest){rows[i].name, one, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, print);
}
