/* SPDX-License-Identifier: MIT */
/* As much of cmocka as the unit tests that are built for another machine use; the distribution has
 * cmocka for this one only. The first failure ends the program. */
#ifndef CROSS_CMOCKA_H
#define CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
};

#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#f, f, NULL, NULL                                                                          \
    }
#define cmocka_unit_test_setup(f, setup)                                                           \
    {                                                                                              \
#f, f, setup, NULL                                                                         \
    }
#define cmocka_unit_test_setup_teardown(f, setup, teardown)                                        \
    {                                                                                              \
#f, f, setup, teardown                                                                     \
    }
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cross_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#define print_message(...) printf(__VA_ARGS__)
#define fail_msg(...)                                                                              \
    (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), printf("\n"), exit(1))
#define assert_true(cond)                                                                          \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fail_msg("%s", #cond);                                                                 \
    } while (0)
#define assert_false(cond)     assert_true(!(cond))
#define assert_null(p)         assert_true((p) == NULL)
#define assert_non_null(p)     assert_true((p) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))

#define assert_int_equal(a, b)                                                                     \
    do {                                                                                           \
        unsigned long long cross_a = (unsigned long long)(a), cross_b = (unsigned long long)(b);   \
                                                                                                   \
        if (cross_a != cross_b)                                                                    \
            fail_msg("%s is %#llx, not %#llx", #a, cross_a, cross_b);                              \
    } while (0)
#define assert_int_not_equal(a, b) assert_true((unsigned long long)(a) != (unsigned long long)(b))
#define assert_in_range(x, least, most)                                                            \
    assert_true((unsigned long long)(x) >= (unsigned long long)(least) &&                          \
                (unsigned long long)(x) <= (unsigned long long)(most))
#define assert_string_equal(a, b)                                                                  \
    do {                                                                                           \
        const char *cross_a = (a), *cross_b = (b);                                                 \
                                                                                                   \
        if (strcmp(cross_a, cross_b) != 0)                                                         \
            fail_msg("\"%s\" is not \"%s\"", cross_a, cross_b);                                    \
    } while (0)
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)

static jmp_buf cross_skipped;

static inline _Noreturn void skip(void)
{
    longjmp(cross_skipped, 1);
}

static void *cross_state;

static inline void cross_one(const struct CMUnitTest *t)
{
    printf("%s\n", t->name);
    fflush(NULL); /* tests fork */
    if (setjmp(cross_skipped) != 0) {
        printf("    skipped\n");
    } else {
        if (t->setup != NULL && t->setup(&cross_state) != 0)
            fail_msg("setup of %s", t->name);
        t->test(&cross_state);
    }
    if (t->teardown != NULL && t->teardown(&cross_state) != 0)
        fail_msg("teardown of %s", t->name);
}

static inline int cross_run(const struct CMUnitTest *tests, size_t n, int (*setup)(void **state),
                            int (*teardown)(void **state))
{
    if (setup != NULL && setup(&cross_state) != 0)
        fail_msg("setup");
    for (size_t i = 0; i < n; i++)
        cross_one(&tests[i]);
    if (teardown != NULL && teardown(&cross_state) != 0)
        fail_msg("teardown");
    return 0;
}

#endif
