/* SPDX-License-Identifier: MIT */
/* The version, for people, for the preprocessor and for the program that meets another library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <ouro.h>

#if !OURO_VERSION_AT_LEAST(OURO_VERSION_MAJOR, OURO_VERSION_MINOR, OURO_VERSION_PATCH) ||          \
    OURO_VERSION_AT_LEAST(OURO_VERSION_MAJOR, OURO_VERSION_MINOR, OURO_VERSION_PATCH + 1) ||       \
    OURO_VERSION_AT_LEAST(OURO_VERSION_MAJOR + 1, 0, 0)
#error "OURO_VERSION_AT_LEAST"
#endif

static void text_and_number_say_the_same(void **state)
{
    char text[32];
    unsigned n = ouro_version_number();

    (void)state;
    snprintf(text, sizeof text, "%u.%u.%u", n / 10000, n / 100 % 100, n % 100);
    assert_string_equal(ouro_version(), text);
    assert_int_equal(n, OURO_VERSION_NUMBER);
}

static void older_headers_of_the_same_abi_fit(void **state)
{
    unsigned abi = OURO_VERSION_MAJOR == 0 ? 100 : 10000;
    unsigned first = OURO_VERSION_NUMBER / abi * abi;

    (void)state;
    assert_true(OURO_VERSION_FITS());
    assert_true(ouro_version_fits(first));
    assert_false(ouro_version_fits(OURO_VERSION_NUMBER + 1));
    assert_false(ouro_version_fits(first + abi));
    assert_false(ouro_version_fits(first - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_number_say_the_same),
        cmocka_unit_test(older_headers_of_the_same_abi_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
