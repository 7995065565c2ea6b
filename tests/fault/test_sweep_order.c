/* SPDX-License-Identifier: MIT */
/* Completions come late, and in another order than the one in which things happened: by seeds. */
#include "support/sweep_table.h"

static const struct sweep_row rows[] = {
    {.name = "completions late", .where = FAULT_LATE},
    {.name = "completions reordered", .where = FAULT_SHUFFLED},
};

static void one(void **state)
{
    sweep_run(*state);
}

static int print(void **state)
{
    (void)state;
    sweep_print("The order of completions");
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof rows[0]];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, one, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, print);
}
