/* SPDX-License-Identifier: MIT */
/* The source hash ignores ports, tells addresses apart and spreads neighbours evenly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include <ouro/addr.h>

static uint64_t hash_of(const char *text)
{
    struct ouro_addr addr;

    assert_int_equal(ouro_addr_parse(&addr, text, NULL), 0);
    return ouro_addr_hash(&addr);
}

static void test_port_does_not_count(void **state)
{
    (void)state;
    assert_true(hash_of("192.0.2.1:1") == hash_of("192.0.2.1:65535"));
    assert_true(hash_of("[2001:db8::1]:1") == hash_of("[2001:db8::1]:65535"));
}

static void test_mapped_client_is_the_same_client(void **state)
{
    (void)state;
    assert_true(hash_of("192.0.2.1:1") == hash_of("[::ffff:192.0.2.1]:1"));
    assert_true(hash_of("192.0.2.1:1") != hash_of("[::ffff:192.0.2.2]:1"));
    assert_true(hash_of("192.0.2.1:1") != hash_of("[::192.0.2.1]:1"));
}

static void test_different_addresses_differ(void **state)
{
    static const char *const texts[] = {
        "127.0.0.1:1",   "127.0.0.2:1",   "1.0.0.127:1", "[::1]:1",       "[1::]:1",
        "[0:0:0:1::]:1", "[fe80::1%1]:1", "[fe80::1]:1", "[fe80::1%2]:1", "unix:a",
        "unix:b",        "unix:@a",       "unix:@b",     "unix:aaaaaaaa", "unix:aaaaaaaaa",
        "unix:aaaaaaab", "0.0.0.0:1",     "[::]:1",
    };
    const size_t count = sizeof(texts) / sizeof(texts[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (hash_of(texts[i]) == hash_of(texts[j]))
                fail_msg("%s and %s have the same hash", texts[i], texts[j]);
        }
    }
}

static struct ouro_addr nth_client(int family, uint32_t n)
{
    struct ouro_addr addr = {0};

    addr.sa.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        addr.in4.sin_addr.s_addr = htonl(0x0a000000u + n);
    else
        memcpy(&addr.in6.sin6_addr.s6_addr[4], &n, sizeof(n));
    return addr;
}

/*
 * Neighbouring addresses over n buckets: chi-squared with n - 1 degrees of freedom has the mean n -
 * 1 and the standard deviation sqrt(2 (n - 1)). The inputs are fixed, so the result is too; six
 * deviations above the mean is a hash that does not spread.
 */
static void check_spread(int family, unsigned int buckets, unsigned int shift)
{
    enum { CLIENTS = 20000 };
    unsigned int hits[64] = {0};
    double expected = (double)CLIENTS / buckets, chi2 = 0, over;

    for (uint32_t n = 0; n < CLIENTS; n++) {
        struct ouro_addr addr = nth_client(family, n);

        hits[(ouro_addr_hash(&addr) >> shift) % buckets]++;
    }
    for (unsigned int i = 0; i < buckets; i++)
        chi2 += (hits[i] - expected) * (hits[i] - expected) / expected;
    over = chi2 - (buckets - 1);
    if (over > 0 && over * over > 36 * 2.0 * (buckets - 1))
        fail_msg("family %d, %u buckets, bits from %u: chi-squared %f", family, buckets, shift,
                 chi2);
}

static void test_neighbours_spread(void **state)
{
    static const unsigned int buckets[] = {2, 3, 7, 8, 16, 48, 64};

    (void)state;
    for (size_t i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++) {
        check_spread(AF_INET, buckets[i], 0);
        check_spread(AF_INET, buckets[i], 32);
        check_spread(AF_INET6, buckets[i], 0);
        check_spread(AF_INET6, buckets[i], 32);
    }
}

/* Flipping any bit of the address flips about half of the hash, whichever bit it is. */
static void test_every_bit_matters(void **state)
{
    (void)state;
    for (unsigned int bit = 0; bit < 32; bit++) {
        unsigned int flipped = 0;

        for (uint32_t n = 0; n < 256; n++) {
            struct ouro_addr a = nth_client(AF_INET, n), b = a;

            b.in4.sin_addr.s_addr ^= UINT32_C(1) << bit;
            flipped += (unsigned int)__builtin_popcountll(ouro_addr_hash(&a) ^ ouro_addr_hash(&b));
        }
        assert_in_range(flipped, 256 * 30, 256 * 34);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_port_does_not_count),
        cmocka_unit_test(test_mapped_client_is_the_same_client),
        cmocka_unit_test(test_different_addresses_differ),
        cmocka_unit_test(test_neighbours_spread),
        cmocka_unit_test(test_every_bit_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
