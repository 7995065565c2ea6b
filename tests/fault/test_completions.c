/* SPDX-License-Identifier: MIT */
/* Every operation meets an error once, or moves less than it was asked to, one after the other:
 * what is reported is what moved, others go on, everything ends, nothing is left. */
#include "support/net_scene.h"

#define FAILS_WITH(name, error)                                                                    \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        scenes_under(FAULT_OPERATION, error);                                                      \
    }

FAILS_WITH(interrupted, -EINTR)
FAILS_WITH(again, -EAGAIN)
FAILS_WITH(no_buffers, -ENOBUFS)
FAILS_WITH(cancelled, -ECANCELED)
FAILS_WITH(no_memory, -ENOMEM)

static void once_short(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        must(scene_under(&scenes[i], FAULT_SHORT, 0) > 0);
}

static void always_short(void **state)
{
    static const enum fault_where kinds[] = {FAULT_SHORT, FAULT_SHORT_ALL};
    unsigned sum = 0;

    (void)state;
    for (unsigned i = 0; i < scenes_n; i++)
        for (enum echo_form form = 0; form < ECHO_FORMS; form++)
            for (unsigned k = 0; k < 2; k++) {
                struct fault always = {kinds[k], 0, 0};

                sum += scene_once(&scenes[i], &always, form);
            }
    must(sum > 1000);
}

/* A cancellation that finds nothing, though there is something, is asked again. */
static void missed_cancellation(void **state)
{
    (void)state;
    scenes_under(FAULT_CANCEL_MISSES, -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interrupted),  cmocka_unit_test(again),
        cmocka_unit_test(no_buffers),   cmocka_unit_test(cancelled),
        cmocka_unit_test(no_memory),    cmocka_unit_test(once_short),
        cmocka_unit_test(always_short), cmocka_unit_test(missed_cancellation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
