/* SPDX-License-Identifier: MIT */
/* CPU lists: order is kept, nothing twice, nothing beyond the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ouro/parse.h>

static void check_good(const char *text, unsigned int count, const uint16_t *cpus)
{
    char err[OURO_PARSE_ERROR_BYTES] = "untouched";
    struct ouro_cpulist list;

    memset(&list, 0xa5, sizeof(list));
    if (ouro_parse_cpulist(&list, text, err, sizeof(err)))
        fail_msg("%s", err);
    assert_string_equal(err, "untouched");
    assert_int_equal(list.count, count);
    assert_memory_equal(list.cpu, cpus, count * sizeof(*cpus));
}

static void check_bad(const char *text, int code, const char *message)
{
    char err[OURO_PARSE_ERROR_BYTES] = "";
    struct ouro_cpulist list, before;

    memset(&list, 0xa5, sizeof(list));
    before = list;
    assert_int_equal(ouro_parse_cpulist(&list, text, err, sizeof(err)), code);
    assert_string_equal(err, message);
    assert_memory_equal(&list, &before, sizeof(list));
    assert_int_equal(ouro_parse_cpulist(&list, text, NULL, 0), code);
}

static void test_lists(void **state)
{
    (void)state;
    check_good("0", 1, (uint16_t[]){0});
    check_good("1023", 1, (uint16_t[]){1023});
    check_good("0-3,8,10-11", 7, (uint16_t[]){0, 1, 2, 3, 8, 10, 11});
    check_good("5-5", 1, (uint16_t[]){5});
    check_good("9,2,4-5,0", 5, (uint16_t[]){9, 2, 4, 5, 0});
    check_good("007", 1, (uint16_t[]){7});
}

static void test_all_cpus(void **state)
{
    uint16_t cpus[OURO_CPULIST_MAX];

    (void)state;
    for (unsigned int i = 0; i < OURO_CPULIST_MAX; i++)
        cpus[i] = (uint16_t)i;
    check_good("0-1023", OURO_CPULIST_MAX, cpus);
    check_good("0-511,512-1023", OURO_CPULIST_MAX, cpus);
}

static void test_bad_lists(void **state)
{
    (void)state;
    check_bad("0-3,8,3", -EINVAL, "'0-3,8,3' names CPU 3 twice");
    check_bad("2,0-3", -EINVAL, "'2,0-3' names CPU 2 twice");
    check_bad("0-1023,0", -EINVAL, "'0-1023,0' names CPU 0 twice");
    check_bad("3-0", -EINVAL, "'3-0' has a range that runs backwards, 3-0");
    check_bad("1024", -ERANGE, "'1024' names a CPU above 1023");
    check_bad("0-1024", -ERANGE, "'0-1024' names a CPU above 1023");
    check_bad("18446744073709551616", -ERANGE, "'18446744073709551616' names a CPU above 1023");
    check_bad("", -EINVAL, "'' is not a list of CPUs such as 0-3,8: byte 1 should be a digit");
    check_bad("all", -EINVAL,
              "'all' is not a list of CPUs such as 0-3,8: byte 1 should be a digit");
    check_bad("0,", -EINVAL, "'0,' is not a list of CPUs such as 0-3,8: byte 3 should be a digit");
    check_bad("0,,1", -EINVAL,
              "'0,,1' is not a list of CPUs such as 0-3,8: byte 3 should be a digit");
    check_bad("0-", -EINVAL, "'0-' is not a list of CPUs such as 0-3,8: byte 3 should be a digit");
    check_bad("-1", -EINVAL, "'-1' is not a list of CPUs such as 0-3,8: byte 1 should be a digit");
    check_bad("0 ", -EINVAL, "'0 ' is not a list of CPUs such as 0-3,8: byte 2 should be a comma");
    check_bad("0-1-2", -EINVAL,
              "'0-1-2' is not a list of CPUs such as 0-3,8: byte 4 should be a comma");
    check_bad("0-6:2", -EINVAL,
              "'0-6:2' is not a list of CPUs such as 0-3,8: byte 4 should be a comma");
}

static void test_null_arguments(void **state)
{
    char err[OURO_PARSE_ERROR_BYTES] = "";
    struct ouro_cpulist list;

    (void)state;
    assert_int_equal(ouro_parse_cpulist(NULL, "0", err, sizeof(err)), -EINVAL);
    assert_string_equal(err, "no value is given");
    assert_int_equal(ouro_parse_cpulist(&list, NULL, err, sizeof(err)), -EINVAL);
    assert_int_equal(ouro_parse_cpulist(NULL, NULL, NULL, 0), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_all_cpus),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_null_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
