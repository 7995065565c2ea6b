/* SPDX-License-Identifier: MIT */
/*
 * Random values are read as exact arithmetic says, and random texts are read or refused, never
 * more. OURO_TEST_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ouro/parse.h>

enum { ROUNDS = 100000 };

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(((random_state >> 32) * bound) >> 32);
}

/* All magnitudes alike: most interesting values are small or near a limit. */
static uint64_t random_value(void)
{
    uint64_t value = ((uint64_t)random_below(UINT32_MAX) << 32) | random_below(UINT32_MAX);

    return value >> random_below(64);
}

static void start_from_seed(void)
{
    const char *text = getenv("OURO_TEST_SEED");

    random_state = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("OURO_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

struct unit {
    const char *name;
    uint64_t factor;
};

typedef int (*parser)(uint64_t *out, const char *text, char *err, size_t err_size);

static void check_exact(parser parse, const struct unit *units, uint32_t count, uint64_t max)
{
    for (int i = 0; i < ROUNDS; i++) {
        const struct unit *unit = &units[random_below(count)];
        uint64_t number = random_value(), got = 0;
        unsigned __int128 exact = (unsigned __int128)number * unit->factor;
        char err[OURO_PARSE_ERROR_BYTES] = "";
        char text[40];
        int code;

        snprintf(text, sizeof(text), "%" PRIu64 "%s", number, unit->name);
        code = parse(&got, text, err, sizeof(err));
        if (code != (exact > max ? -ERANGE : 0) || (code == 0 && got != exact))
            fail_msg("'%s' gave %d, %" PRIu64 " %s", text, code, got, err);
    }
}

static void test_durations_are_exact(void **state)
{
    static const struct unit units[] = {
        {"ns", 1},
        {"us", 1000},
        {"ms", 1000000},
        {"s", 1000000000},
        {"m", UINT64_C(60000000000)},
        {"h", UINT64_C(3600000000000)},
    };

    (void)state;
    check_exact(ouro_parse_duration, units, 6, INT64_MAX);
}

static void test_sizes_are_exact(void **state)
{
    static const struct unit units[] = {
        {"", 1},
        {"k", UINT64_C(1) << 10},
        {"M", UINT64_C(1) << 20},
        {"G", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
    };

    (void)state;
    check_exact(ouro_parse_size, units, 5, UINT64_MAX);
}

static void check_message(const char *text, int code, const char *err)
{
    if (code == 0)
        return;
    assert_true(code == -EINVAL || code == -ERANGE);
    assert_int_equal(err[0], '\'');
    for (; *err; err++) {
        if (*err < ' ' || *err > '~')
            fail_msg("'%s' gives an unprintable message", text);
    }
}

/* In a block of its own exact size, so that AddressSanitizer sees any step beyond the NUL. */
static char *random_text(void)
{
    static const char alphabet[] = "0123456789012345678901234567890123456789,,,---nusmhkMGTiB .";
    uint32_t len = random_below(random_below(10) ? 12 : 300);
    uint32_t noise = random_below(4);
    char *text = malloc(len + 1u);

    assert_non_null(text);
    for (uint32_t i = 0; i < len; i++)
        text[i] =
            noise ? alphabet[random_below(sizeof(alphabet) - 1)] : (char)(1 + random_below(255));
    text[len] = '\0';
    return text;
}

static void test_random_texts(void **state)
{
    unsigned int lists = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char err[OURO_PARSE_ERROR_BYTES] = "";
        char *text = random_text();
        struct ouro_cpulist list;
        uint64_t value;
        int code;

        check_message(text, ouro_parse_uint(&value, text, 5, 500, err, sizeof(err)), err);
        check_message(text, ouro_parse_duration(&value, text, err, sizeof(err)), err);
        check_message(text, ouro_parse_size(&value, text, err, sizeof(err)), err);
        code = ouro_parse_cpulist(&list, text, err, sizeof(err));
        check_message(text, code, err);
        if (code == 0) {
            lists++;
            assert_in_range(list.count, 1, OURO_CPULIST_MAX);
            for (unsigned int j = 0; j < list.count; j++)
                assert_true(list.cpu[j] < OURO_CPULIST_MAX);
        }
        free(text);
    }
    assert_true(lists > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_are_exact),
        cmocka_unit_test(test_sizes_are_exact),
        cmocka_unit_test(test_random_texts),
    };

    start_from_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
