/* SPDX-License-Identifier: MIT */
/* Every operation meets an error once, or moves less than it was asked to, one after the other:
 * what is reported is what moved, others go on, everything ends, nothing is left. A cancellation
 * that finds nothing, though there is something, is asked again. */
#include "support/sweep_table.h"

static const struct sweep_row rows[] = {
    {.name = "operation: EINTR", .where = FAULT_OPERATION, .errors = {-EINTR}},
    {.name = "operation: EAGAIN", .where = FAULT_OPERATION, .errors = {-EAGAIN}},
    {.name = "operation: EBUSY", .where = FAULT_OPERATION, .errors = {-EBUSY}},
    {.name = "operation: ENOBUFS", .where = FAULT_OPERATION, .errors = {-ENOBUFS}},
    {.name = "operation: ENOMEM", .where = FAULT_OPERATION, .errors = {-ENOMEM}},
    {.name = "operation: ECANCELED", .where = FAULT_OPERATION, .errors = {-ECANCELED}},
    {.name = "half of the bytes, once", .where = FAULT_SHORT},
    {.name = "half of the bytes, always", .where = FAULT_SHORT, .always = true},
    {.name = "three bytes at most", .where = FAULT_SHORT_ALL, .always = true},
    {.name = "cancellation misses", .where = FAULT_CANCEL_MISSES, .errors = {-ENOENT}},
};

static void one(void **state)
{
    sweep_run(*state);
}

static int print(void **state)
{
    (void)state;
    sweep_print("Operations");
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof rows[0]];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, one, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, print);
}
