/* SPDX-License-Identifier: MIT */
/* Every call into the kernel fails once, one after the other: set-up, mapping, registration,
 * entering. Either the start fails and says so, or all goes as if nothing had happened; nothing is
 * left. */
#include "support/sweep_table.h"

static const struct sweep_row rows[] = {
    {.name = "setup: six errors",
     .where = FAULT_SETUP,
     .errors = {-ENOMEM, -EAGAIN, -EINTR, -EPERM, -ENOSYS, -EMFILE}},
    {.name = "map: ENOMEM, EAGAIN", .where = FAULT_MAP, .errors = {-ENOMEM, -EAGAIN}},
    {.name = "register: six errors",
     .where = FAULT_REGISTER,
     .errors = {-EINTR, -EAGAIN, -EBUSY, -ENOBUFS, -ENOMEM, -EINVAL}},
    {.name = "enter: EINTR", .where = FAULT_ENTER, .errors = {-EINTR}},
    {.name = "enter: EAGAIN", .where = FAULT_ENTER, .errors = {-EAGAIN}},
    {.name = "enter: EBUSY", .where = FAULT_ENTER, .errors = {-EBUSY}},
    {.name = "enter: takes half", .where = FAULT_ENTER_PART},
    {.name = "enter: always half", .where = FAULT_ENTER_PART, .always = true},
};

static void one(void **state)
{
    sweep_run(*state);
}

/* A refusal of the flags is answered by other flags. */
static void ladder(void **state)
{
    (void)state;
    for (unsigned k = 1; k <= 3; k++) {
        struct fault f = {.where = FAULT_SETUP, .error = -EINVAL, .at = k};

        (void)scene_once(&scenes[1], &f, ECHO_FIBER);
    }
}

static int print(void **state)
{
    (void)state;
    sweep_print("Calls into the kernel");
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[1 + sizeof rows / sizeof rows[0]] = {cmocka_unit_test(ladder)};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tests[1 + i] =
            (struct CMUnitTest){rows[i].name, one, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, print);
}
