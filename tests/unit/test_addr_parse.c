/* SPDX-License-Identifier: MIT */
/* Every form of an address is read into the sockaddr it stands for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <ouro/addr.h>

static struct ouro_addr parsed(const char *text)
{
    struct ouro_addr_error err;
    struct ouro_addr addr;

    memset(&addr, 0xa5, sizeof(addr));
    if (ouro_addr_parse(&addr, text, &err))
        fail_msg("'%s': %s", text, err.message);
    return addr;
}

static void check_in4(const char *text, const char *ip, uint16_t port)
{
    struct ouro_addr addr = parsed(text);
    struct in_addr want;

    assert_int_equal(inet_pton(AF_INET, ip, &want), 1);
    assert_int_equal(addr.len, sizeof(struct sockaddr_in));
    assert_int_equal(addr.sa.sa_family, AF_INET);
    assert_int_equal(addr.in4.sin_addr.s_addr, want.s_addr);
    assert_int_equal(ntohs(addr.in4.sin_port), port);
}

static void check_in6(const char *text, const char *ip, uint32_t scope, uint16_t port)
{
    struct ouro_addr addr = parsed(text);
    struct in6_addr want;

    assert_int_equal(inet_pton(AF_INET6, ip, &want), 1);
    assert_int_equal(addr.len, sizeof(struct sockaddr_in6));
    assert_int_equal(addr.sa.sa_family, AF_INET6);
    assert_memory_equal(&addr.in6.sin6_addr, &want, sizeof(want));
    assert_int_equal(addr.in6.sin6_scope_id, scope);
    assert_int_equal(addr.in6.sin6_flowinfo, 0);
    assert_int_equal(ntohs(addr.in6.sin6_port), port);
}

static void test_ipv4(void **state)
{
    (void)state;
    check_in4("127.0.0.1:80", "127.0.0.1", 80);
    check_in4("0.0.0.0:0", "0.0.0.0", 0);
    check_in4("255.255.255.255:65535", "255.255.255.255", 65535);
    check_in4("192.0.2.10:0080", "192.0.2.10", 80);
}

static void test_ipv6(void **state)
{
    (void)state;
    check_in6("[::1]:80", "::1", 0, 80);
    check_in6("[::]:0", "::", 0, 0);
    check_in6("[2001:DB8::5]:65535", "2001:db8::5", 0, 65535);
    check_in6("[::ffff:192.0.2.1]:1", "::ffff:192.0.2.1", 0, 1);
    check_in6("[1111:2222:3333:4444:5555:6666:255.255.255.255]:1",
              "1111:2222:3333:4444:5555:6666:255.255.255.255", 0, 1);
}

static void test_scope(void **state)
{
    char name[IF_NAMESIZE];
    char text[64];

    (void)state;
    check_in6("[fe80::1%7]:80", "fe80::1", 7, 80);
    check_in6("[fe80::1%4294967295]:80", "fe80::1", UINT32_MAX, 80);
    check_in6("[ff02::1%3]:80", "ff02::1", 3, 80);
    check_in6("[ff01::1%3]:80", "ff01::1", 3, 80);
    check_in6("[fe80::1]:80", "fe80::1", 0, 80);
    /* Whatever this machine calls its first interface; a network namespace has lo at least. */
    if (!if_indextoname(1, name))
        return;
    snprintf(text, sizeof(text), "[fe80::1%%%s]:80", name);
    check_in6(text, "fe80::1", 1, 80);
}

static void test_wildcard_is_ipv6(void **state)
{
    (void)state;
    check_in6("*:80", "::", 0, 80);
    check_in6(":80", "::", 0, 80);
    check_in6(":0", "::", 0, 0);
}

static void test_unix_path(void **state)
{
    struct ouro_addr addr = parsed("unix:/run/x");
    char text[5 + 107 + 1] = "unix:";

    (void)state;
    assert_int_equal(addr.sa.sa_family, AF_UNIX);
    assert_string_equal(addr.un.sun_path, "/run/x");
    assert_int_equal(addr.len, offsetof(struct sockaddr_un, sun_path) + sizeof("/run/x"));

    memset(text + 5, 'p', 107);
    addr = parsed(text);
    assert_int_equal(addr.len, sizeof(struct sockaddr_un));
    assert_string_equal(addr.un.sun_path, text + 5);

    addr = parsed("unix:relative:with:colons");
    assert_string_equal(addr.un.sun_path, "relative:with:colons");
}

static void test_unix_abstract(void **state)
{
    struct ouro_addr addr = parsed("unix:@name");
    char text[6 + 107 + 1] = "unix:@";

    (void)state;
    assert_int_equal(addr.sa.sa_family, AF_UNIX);
    assert_int_equal(addr.len, offsetof(struct sockaddr_un, sun_path) + 1 + 4);
    assert_memory_equal(addr.un.sun_path, "\0name", 5);

    memset(text + 6, 'n', 107);
    addr = parsed(text);
    assert_int_equal(addr.len, sizeof(struct sockaddr_un));
    assert_int_equal(addr.un.sun_path[0], 0);
    assert_memory_equal(addr.un.sun_path + 1, text + 6, 107);
}

static void test_errno_and_error_stay_on_success(void **state)
{
    struct ouro_addr_error err, before;
    struct ouro_addr addr;

    (void)state;
    memset(&err, 0x5a, sizeof(err));
    before = err;
    errno = 77;
    assert_int_equal(ouro_addr_parse(&addr, "127.0.0.1:1", &err), 0);
    assert_int_equal(errno, 77);
    assert_memory_equal(&err, &before, sizeof(err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_wildcard_is_ipv6),
        cmocka_unit_test(test_unix_path),
        cmocka_unit_test(test_unix_abstract),
        cmocka_unit_test(test_errno_and_error_stay_on_success),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
