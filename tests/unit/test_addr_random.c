/* SPDX-License-Identifier: MIT */
/*
 * Random texts, from noise to damaged addresses, are either read and survive a round trip, or
 * refused with a usable error. OURO_TEST_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ouro/addr.h>

enum { ROUNDS = 200000, TEXT_MAX = 160 };

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(((random_state >> 32) * bound) >> 32);
}

static void start_from_seed(void)
{
    const char *text = getenv("OURO_TEST_SEED");

    random_state = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("OURO_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

/* In a block of its own exact size, so that AddressSanitizer sees any step beyond the NUL. */
static char *random_text(void)
{
    static const char alphabet[] = "0123456789abcdefx::::...[[]]%%*@/-unix";
    static const char *const seeds[] = {
        "127.0.0.1:80", "[::1]:80", "[fe80::1%1]:80", "[ff02::1%lo]:1", "*:80",
        ":80",          "unix:/x",  "unix:@name",     "localhost:80",   "unix:./@f",
    };
    char text[TEXT_MAX] = "";
    uint32_t kind = random_below(3);
    size_t len;
    char *copy;

    if (kind == 0) {
        len = random_below(TEXT_MAX - 1);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)(1 + random_below(255));
    } else if (kind == 1) {
        len = random_below(40);
        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[random_below(sizeof(alphabet) - 1)];
    } else {
        snprintf(text, sizeof(text), "%s", seeds[random_below(sizeof(seeds) / sizeof(seeds[0]))]);
        for (uint32_t damage = random_below(4); damage > 0; damage--)
            text[random_below((uint32_t)strlen(text) + 1)] =
                alphabet[random_below(sizeof(alphabet) - 1)];
    }
    text[TEXT_MAX - 1] = '\0';
    copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

static void check_accepted(const char *text, const struct ouro_addr *addr)
{
    char buf[OURO_ADDR_STRLEN], second[OURO_ADDR_STRLEN];
    struct ouro_addr again;
    int len = ouro_addr_format(addr, buf, sizeof(buf));

    if (len <= 0 || len >= OURO_ADDR_STRLEN || ouro_addr_parse(&again, buf, NULL) != 0 ||
        !ouro_addr_equal(addr, &again) || ouro_addr_hash(addr) != ouro_addr_hash(&again))
        fail_msg("'%s' became '%s'", text, buf);
    assert_int_equal(ouro_addr_format(&again, second, sizeof(second)), len);
    assert_string_equal(buf, second);
    assert_int_equal(ouro_addr_from_sockaddr(&again, &addr->sa, addr->len), 0);
    assert_true(ouro_addr_equal(addr, &again));
}

static void check_refused(const char *text, int code, const struct ouro_addr_error *err)
{
    size_t len = strlen(text);

    assert_true(code < 0);
    assert_int_equal(err->code, code);
    assert_true(err->pos <= len && err->len <= len - err->pos);
    assert_true(strlen(err->message) > 0);
    for (const char *at = err->message; *at; at++) {
        if (*at < ' ' || *at > '~')
            fail_msg("'%s' gives an unprintable message", text);
    }
}

static void test_random_texts(void **state)
{
    unsigned int accepted = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct ouro_addr_error err = {0};
        struct ouro_addr addr = {0};
        char *text = random_text();
        int code = ouro_addr_parse(&addr, text, &err);

        if (code == 0) {
            accepted++;
            check_accepted(text, &addr);
        } else {
            check_refused(text, code, &err);
        }
        free(text);
    }
    /* About a seventh are good: both branches were really taken. */
    assert_in_range(accepted, ROUNDS / 50, ROUNDS / 2);
}

/* Random bytes as a sockaddr: refused, or a value that every function can handle. */
static void test_random_sockaddrs(void **state)
{
    static const sa_family_t families[] = {AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, AF_NETLINK};

    (void)state;
    for (int i = 0; i < ROUNDS / 4; i++) {
        socklen_t len = random_below(sizeof(struct sockaddr_un) + 8);
        unsigned char *raw = malloc(len + 1u);
        char buf[OURO_ADDR_STRLEN];
        struct ouro_addr addr;
        sa_family_t family = families[random_below(5)];

        assert_non_null(raw);
        for (socklen_t j = 0; j < len; j++)
            raw[j] = (unsigned char)random_below(random_below(8) ? 256 : 2);
        if (len >= sizeof(family))
            memcpy(raw, &family, sizeof(family));
        if (ouro_addr_from_sockaddr(&addr, (const struct sockaddr *)(const void *)raw, len) == 0) {
            int n = ouro_addr_format(&addr, buf, sizeof(buf));

            assert_true(n > 0 && n < OURO_ADDR_STRLEN);
            assert_true(ouro_addr_equal(&addr, &addr));
            assert_true(ouro_addr_hash(&addr) == ouro_addr_hash(&addr));
        }
        free(raw);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_random_sockaddrs),
    };

    start_from_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
