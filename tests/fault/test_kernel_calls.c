/* SPDX-License-Identifier: MIT */
/* Every call into the kernel fails once, one after the other: set-up, mapping, registration,
 * entering. Either the start fails and says so, or all goes as if nothing had happened; nothing is
 * left. */
#include "support/net_scene.h"

static void set_up(void **state)
{
    static const int errors[] = {-ENOMEM, -EAGAIN, -EINTR, -EBUSY, -EPERM, -ENOSYS, -EMFILE};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        scene_under(&scenes[0], FAULT_SETUP, errors[i]);
}

/* A refusal of the flags is answered by other flags. */
static void ladder(void **state)
{
    (void)state;
    for (unsigned k = 1; k <= 3; k++) {
        struct fault f = {FAULT_SETUP, -EINVAL, k};

        (void)scene_once(&scenes[0], &f, ECHO_FIBER);
    }
}

static void map(void **state)
{
    (void)state;
    scene_under(&scenes[0], FAULT_MAP, -ENOMEM);
    scene_under(&scenes[0], FAULT_MAP, -EAGAIN);
}

static void registration(void **state)
{
    static const int errors[] = {-ENOMEM, -EBUSY, -EINTR, -EAGAIN, -EINVAL};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        scenes_under(FAULT_REGISTER, errors[i]);
}

static void enter_interrupted(void **state)
{
    (void)state;
    scenes_under(FAULT_ENTER, -EINTR);
}

static void enter_again(void **state)
{
    (void)state;
    scenes_under(FAULT_ENTER, -EAGAIN);
}

static void enter_busy(void **state)
{
    (void)state;
    scenes_under(FAULT_ENTER, -EBUSY);
}

static void enter_takes_a_part(void **state)
{
    struct fault always = {FAULT_ENTER_PART, 0, 0};

    (void)state;
    scenes_under(FAULT_ENTER_PART, 0);
    for (unsigned i = 0; i < scenes_n; i++)
        for (enum echo_form form = 0; form < ECHO_FORMS; form++)
            (void)scene_once(&scenes[i], &always, form);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_up),
        cmocka_unit_test(ladder),
        cmocka_unit_test(map),
        cmocka_unit_test(registration),
        cmocka_unit_test(enter_interrupted),
        cmocka_unit_test(enter_again),
        cmocka_unit_test(enter_busy),
        cmocka_unit_test(enter_takes_a_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
