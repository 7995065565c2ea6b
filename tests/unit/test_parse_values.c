/* SPDX-License-Identifier: MIT */
/* Numbers, durations and sizes: what they are worth, and what is said of texts that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <ouro/parse.h>

typedef int (*parser)(uint64_t *out, const char *text, char *err, size_t err_size);

static const uint64_t untouched = UINT64_C(0xa5a5a5a5a5a5a5a5);

static void check_good(parser parse, const char *text, uint64_t want)
{
    char err[OURO_PARSE_ERROR_BYTES] = "untouched";
    uint64_t value = untouched;

    if (parse(&value, text, err, sizeof(err)))
        fail_msg("%s", err);
    assert_string_equal(err, "untouched");
    if (value != want)
        fail_msg("'%s' is %llu, not %llu", text, (unsigned long long)value,
                 (unsigned long long)want);
    assert_int_equal(parse(&value, text, NULL, 0), 0);
}

static void check_bad(parser parse, const char *text, int code, const char *message)
{
    char err[OURO_PARSE_ERROR_BYTES] = "";
    uint64_t value = untouched;

    if (parse(&value, text, err, sizeof(err)) != code)
        fail_msg("'%s': not the code %d, and '%s'", text, code, err);
    assert_string_equal(err, message);
    assert_true(value == untouched);
    assert_int_equal(parse(&value, text, NULL, 0), code);
}

static int small(uint64_t *out, const char *text, char *err, size_t err_size)
{
    return ouro_parse_uint(out, text, 1, 256, err, err_size);
}

static int any(uint64_t *out, const char *text, char *err, size_t err_size)
{
    return ouro_parse_uint(out, text, 0, UINT64_MAX, err, err_size);
}

static int backwards(uint64_t *out, const char *text, char *err, size_t err_size)
{
    return ouro_parse_uint(out, text, 2, 1, err, err_size);
}

static void test_numbers(void **state)
{
    static const char range[] = " is not a number between 1 and 256";
    static const char *const none[] = {"",   "abc",  "-1",  "+1",  " 1",
                                       "1 ", "0x10", "1.0", "1e2", "12a"};
    char message[64];

    (void)state;
    check_good(small, "1", 1);
    check_good(small, "256", 256);
    check_good(small, "0008", 8);
    check_good(any, "0", 0);
    check_good(any, "18446744073709551615", UINT64_MAX);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_true(strlen(none[i]) < 8);
        message[0] = '\'';
        memcpy(message + 1, none[i], strlen(none[i]));
        message[1 + strlen(none[i])] = '\'';
        memcpy(message + 2 + strlen(none[i]), range, sizeof(range));
        check_bad(small, none[i], -EINVAL, message);
    }
    check_bad(small, "0", -ERANGE, "'0' is not a number between 1 and 256");
    check_bad(small, "257", -ERANGE, "'257' is not a number between 1 and 256");
    check_bad(small, "18446744073709551617", -ERANGE,
              "'18446744073709551617' is not a number between 1 and 256");
    check_bad(any, "18446744073709551616", -ERANGE,
              "'18446744073709551616' is not a number between 0 and 18446744073709551615");
    check_bad(backwards, "1", -EINVAL, "'1' is not a number between 2 and 1");
}

static void test_durations(void **state)
{
    (void)state;
    check_good(ouro_parse_duration, "250ns", 250);
    check_good(ouro_parse_duration, "100us", 100000);
    check_good(ouro_parse_duration, "500ms", 500000000);
    check_good(ouro_parse_duration, "5s", UINT64_C(5000000000));
    check_good(ouro_parse_duration, "2m", UINT64_C(120000000000));
    check_good(ouro_parse_duration, "1h", UINT64_C(3600000000000));
    check_good(ouro_parse_duration, "0", 0);
    check_good(ouro_parse_duration, "000", 0);
    check_good(ouro_parse_duration, "0h", 0);
    check_good(ouro_parse_duration, "9223372036854775807ns", INT64_MAX);
    check_good(ouro_parse_duration, "2562047h", UINT64_C(2562047) * 3600 * 1000000000);
}

static void test_bad_durations(void **state)
{
    (void)state;
    check_bad(ouro_parse_duration, "5", -EINVAL, "'5' needs a unit: ns, us, ms, s, m or h");
    check_bad(ouro_parse_duration, "99999999999999999999", -EINVAL,
              "'99999999999999999999' needs a unit: ns, us, ms, s, m or h");
    check_bad(ouro_parse_duration, "", -EINVAL, "'' is not a duration such as 500ms or 5s");
    check_bad(ouro_parse_duration, "ms", -EINVAL, "'ms' is not a duration such as 500ms or 5s");
    check_bad(ouro_parse_duration, "-5s", -EINVAL, "'-5s' is not a duration such as 500ms or 5s");
    check_bad(ouro_parse_duration, "5d", -EINVAL,
              "'5d' is not a whole number and one unit of ns, us, ms, s, m, h");
    check_bad(ouro_parse_duration, "1.5s", -EINVAL,
              "'1.5s' is not a whole number and one unit of ns, us, ms, s, m, h");
    check_bad(ouro_parse_duration, "5 s", -EINVAL,
              "'5 s' is not a whole number and one unit of ns, us, ms, s, m, h");
    check_bad(ouro_parse_duration, "1m30s", -EINVAL,
              "'1m30s' is not a whole number and one unit of ns, us, ms, s, m, h");
    check_bad(ouro_parse_duration, "5S", -EINVAL,
              "'5S' is not a whole number and one unit of ns, us, ms, s, m, h");
    /* Above INT64_MAX, above UINT64_MAX by the factor, above UINT64_MAX by the digits. */
    check_bad(ouro_parse_duration, "9223372036854775808ns", -ERANGE,
              "'9223372036854775808ns' is longer than the longest duration, 292 years");
    check_bad(ouro_parse_duration, "2562048h", -ERANGE,
              "'2562048h' is longer than the longest duration, 292 years");
    check_bad(ouro_parse_duration, "18446744073709551615h", -ERANGE,
              "'18446744073709551615h' is longer than the longest duration, 292 years");
    check_bad(ouro_parse_duration, "18446744073709551616ns", -ERANGE,
              "'18446744073709551616ns' is longer than the longest duration, 292 years");
}

static void test_sizes(void **state)
{
    (void)state;
    check_good(ouro_parse_size, "0", 0);
    check_good(ouro_parse_size, "4096", 4096);
    check_good(ouro_parse_size, "16k", 16384);
    check_good(ouro_parse_size, "16K", 16384);
    check_good(ouro_parse_size, "16KiB", 16384);
    check_good(ouro_parse_size, "2m", UINT64_C(2) << 20);
    check_good(ouro_parse_size, "2M", UINT64_C(2) << 20);
    check_good(ouro_parse_size, "2MiB", UINT64_C(2) << 20);
    check_good(ouro_parse_size, "1g", UINT64_C(1) << 30);
    check_good(ouro_parse_size, "1G", UINT64_C(1) << 30);
    check_good(ouro_parse_size, "1GiB", UINT64_C(1) << 30);
    check_good(ouro_parse_size, "3t", UINT64_C(3) << 40);
    check_good(ouro_parse_size, "3T", UINT64_C(3) << 40);
    check_good(ouro_parse_size, "3TiB", UINT64_C(3) << 40);
    check_good(ouro_parse_size, "18446744073709551615", UINT64_MAX);
    check_good(ouro_parse_size, "16777215T", UINT64_C(16777215) << 40);
}

static void test_bad_sizes(void **state)
{
    (void)state;
    check_bad(ouro_parse_size, "", -EINVAL, "'' is not a size such as 4096, 16k or 2M");
    check_bad(ouro_parse_size, "k", -EINVAL, "'k' is not a size such as 4096, 16k or 2M");
    check_bad(ouro_parse_size, "-1k", -EINVAL, "'-1k' is not a size such as 4096, 16k or 2M");
    check_bad(ouro_parse_size, "1kB", -EINVAL,
              "'1kB' is not a whole number and one unit of k, M, G, T");
    check_bad(ouro_parse_size, "1.5G", -EINVAL,
              "'1.5G' is not a whole number and one unit of k, M, G, T");
    check_bad(ouro_parse_size, "16 k", -EINVAL,
              "'16 k' is not a whole number and one unit of k, M, G, T");
    check_bad(ouro_parse_size, "16777216T", -ERANGE, "'16777216T' is more than 2^64 - 1 bytes");
    check_bad(ouro_parse_size, "18446744073709551616", -ERANGE,
              "'18446744073709551616' is more than 2^64 - 1 bytes");
}

static void test_null_arguments(void **state)
{
    static const parser parsers[] = {small, ouro_parse_duration, ouro_parse_size};
    char err[OURO_PARSE_ERROR_BYTES];
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof(parsers) / sizeof(parsers[0]); i++) {
        err[0] = '\0';
        assert_int_equal(parsers[i](NULL, "1", err, sizeof(err)), -EINVAL);
        assert_string_equal(err, "no value is given");
        assert_int_equal(parsers[i](&value, NULL, err, sizeof(err)), -EINVAL);
        assert_int_equal(parsers[i](NULL, NULL, NULL, sizeof(err)), -EINVAL);
    }
}

/* However small the buffer is, it holds a beginning of the message and nothing is written behind
 * it. */
static void test_message_is_cut(void **state)
{
    static const char whole[] = "'5' needs a unit: ns, us, ms, s, m or h";
    char err[sizeof(whole) + 1];
    uint64_t value;

    (void)state;
    for (size_t size = 0; size <= sizeof(whole); size++) {
        size_t kept = size == 0 ? 0 : size - 1;

        memset(err, '#', sizeof(err));
        assert_int_equal(ouro_parse_duration(&value, "5", err, size), -EINVAL);
        if (kept > sizeof(whole) - 1)
            kept = sizeof(whole) - 1;
        assert_memory_equal(err, whole, kept);
        if (size > 0)
            assert_int_equal(err[kept], '\0');
        if (size < sizeof(whole))
            assert_int_equal(err[size], '#');
    }
}

static void test_long_and_foreign_text_is_shown_safely(void **state)
{
    char text[1000];
    char err[OURO_PARSE_ERROR_BYTES];
    uint64_t value;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[0] = '\n';
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(ouro_parse_uint(&value, text, 0, UINT64_MAX, err, sizeof(err)), -EINVAL);
    assert_memory_equal(err, "'\\x0axxx", 8);
    assert_non_null(strstr(err, "xxx...' is not a number between 0 and 18446744073709551615"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_bad_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_bad_sizes),
        cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_message_is_cut),
        cmocka_unit_test(test_long_and_foreign_text_is_shown_safely),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
