/* SPDX-License-Identifier: MIT */
/* An address is a value: printed, read back, compared, taken from the kernel, its port changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ouro/addr.h>

static struct ouro_addr parsed(const char *text)
{
    struct ouro_addr_error err;
    struct ouro_addr addr;

    if (ouro_addr_parse(&addr, text, &err))
        fail_msg("'%s': %s", text, err.message);
    return addr;
}

static void check_format(const struct ouro_addr *addr, const char *want)
{
    char buf[OURO_ADDR_STRLEN];

    assert_int_equal(ouro_addr_format(addr, buf, sizeof(buf)), strlen(want));
    assert_string_equal(buf, want);
}

static void check_text(const char *text, const char *want)
{
    struct ouro_addr addr = parsed(text);
    struct ouro_addr again = parsed(want);

    check_format(&addr, want);
    assert_true(ouro_addr_equal(&addr, &again));
    assert_true(ouro_addr_hash(&addr) == ouro_addr_hash(&again));
    assert_int_equal(addr.len, again.len);
}

static void test_format_reads_back(void **state)
{
    char path[5 + 107 + 1] = "unix:";

    (void)state;
    check_text("127.0.0.1:80", "127.0.0.1:80");
    check_text("255.255.255.255:65535", "255.255.255.255:65535");
    check_text("[::1]:80", "[::1]:80");
    check_text("[2001:0DB8:0:0:0:0:0:5]:0", "[2001:db8::5]:0");
    check_text("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.1]:1");
    check_text("[fe80::1%7]:80", "[fe80::1%7]:80");
    check_text("*:80", "[::]:80");
    check_text(":080", "[::]:80");
    check_text("unix:/run/x", "unix:/run/x");
    check_text("unix:@name", "unix:@name");
    check_text("unix:./@file", "unix:./@file");
    memset(path + 5, 'p', 107);
    check_text(path, path);
}

static void test_longest_texts_fit(void **state)
{
    struct ouro_addr addr =
        parsed("[ff02:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535");

    (void)state;
    check_format(&addr, "[ff02:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
    memset(&addr.un, '@', sizeof(addr.un));
    addr.un.sun_family = AF_UNIX;
    addr.len = sizeof(addr.un);
    assert_int_equal(ouro_addr_format(&addr, NULL, 0), 5 + 2 + 108);
    assert_true(5 + 2 + 108 < OURO_ADDR_STRLEN);
}

static void test_format_is_cut(void **state)
{
    struct ouro_addr addr = parsed("127.0.0.1:80");
    char buf[16];

    (void)state;
    assert_int_equal(ouro_addr_format(&addr, NULL, 0), 12);
    memset(buf, '#', sizeof(buf));
    assert_int_equal(ouro_addr_format(&addr, buf, 0), 12);
    assert_int_equal(buf[0], '#');
    assert_int_equal(ouro_addr_format(&addr, buf, 1), 12);
    assert_string_equal(buf, "");
    assert_int_equal(ouro_addr_format(&addr, buf, 12), 12);
    assert_string_equal(buf, "127.0.0.1:8");
    assert_int_equal(buf[12], '#');
    assert_int_equal(ouro_addr_format(&addr, buf, 13), 12);
    assert_string_equal(buf, "127.0.0.1:80");
}

static void test_texts_that_do_not_read_back(void **state)
{
    struct ouro_addr addr = {.len = sizeof(sa_family_t), .un = {.sun_family = AF_UNIX}};
    struct ouro_addr empty = {0};
    char buf[8] = "before";

    (void)state;
    check_format(&addr, "unix:");
    addr.len = offsetof(struct sockaddr_un, sun_path) + 1;
    check_format(&addr, "unix:@");
    memcpy(addr.un.sun_path, "\0a\0b", 4);
    addr.len = offsetof(struct sockaddr_un, sun_path) + 4;
    check_format(&addr, "unix:@a@b");
    memcpy(addr.un.sun_path, "@f", 3);
    check_format(&addr, "unix:./@f");

    assert_int_equal(ouro_addr_format(&empty, buf, sizeof(buf)), -EAFNOSUPPORT);
    assert_string_equal(buf, "");
    assert_int_equal(ouro_addr_format(&empty, NULL, 0), -EAFNOSUPPORT);
}

/* Copies from an odd address: recvmsg buffers promise no alignment. */
static int take(struct ouro_addr *out, const void *sa, socklen_t len)
{
    unsigned char *raw = malloc(len + 1u);
    int code;

    assert_non_null(raw);
    memcpy(raw + 1, sa, len);
    code = ouro_addr_from_sockaddr(out, (const struct sockaddr *)(const void *)(raw + 1), len);
    free(raw);
    return code;
}

static void test_from_inet(void **state)
{
    struct ouro_addr in4 = parsed("192.0.2.1:7"), in6 = parsed("[fe80::1%3]:7"), got;
    struct sockaddr_storage storage = {0};

    (void)state;
    assert_int_equal(take(&got, &in4.sa, in4.len), 0);
    assert_memory_equal(&got, &in4, sizeof(got));
    assert_int_equal(take(&got, &in6.sa, in6.len), 0);
    assert_memory_equal(&got, &in6, sizeof(got));

    /* A caller who passes the size of a sockaddr_storage means the same address. */
    memcpy(&storage, &in4.in4, sizeof(in4.in4));
    assert_int_equal(take(&got, &storage, sizeof(storage)), 0);
    assert_memory_equal(&got, &in4, sizeof(got));

    got = in6;
    assert_int_equal(ouro_addr_from_sockaddr(&got, &got.sa, got.len), 0);
    assert_memory_equal(&got, &in6, sizeof(got));
}

static void test_from_unix(void **state)
{
    struct ouro_addr path = parsed("unix:/run/x"), name = parsed("unix:@name"), got;
    struct sockaddr_un un = path.un;
    unsigned char kernel_form[sizeof(un) + 1];

    (void)state;
    memset(un.sun_path + sizeof("/run/x"), '#', 20);
    assert_int_equal(take(&got, &un, sizeof(un)), 0);
    assert_memory_equal(&got, &path, sizeof(got));
    /* Without its NUL, as some callers count. */
    assert_int_equal(take(&got, &path.un, path.len - 1), 0);
    assert_memory_equal(&got, &path, sizeof(got));
    assert_int_equal(take(&got, &name.un, name.len), 0);
    assert_memory_equal(&got, &name, sizeof(got));
    assert_int_equal(take(&got, &un, sizeof(sa_family_t)), 0);
    assert_int_equal(got.len, sizeof(sa_family_t));

    /* A path of 108 bytes: the kernel counts a NUL that does not fit. */
    memset(un.sun_path, 'p', sizeof(un.sun_path));
    memcpy(kernel_form, &un, sizeof(un));
    kernel_form[sizeof(un)] = 0;
    assert_int_equal(take(&got, kernel_form, sizeof(kernel_form)), 0);
    assert_int_equal(got.len, sizeof(un));
    assert_memory_equal(&got.un, &un, sizeof(un));
    assert_int_equal(ouro_addr_format(&got, NULL, 0), 5 + 108);
}

/* What the kernel says of a bound socket is the address that it was bound to. */
static void test_from_kernel(void **state)
{
    struct ouro_addr wanted = parsed("127.0.0.1:0"), got;
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &wanted.sa, wanted.len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&storage, &len), 0);
    close(fd);
    assert_int_equal(ouro_addr_from_sockaddr(&got, (struct sockaddr *)&storage, len), 0);
    assert_true(ouro_addr_port(&got) > 0);
    assert_int_equal(ouro_addr_set_port(&got, 0), 0);
    assert_true(ouro_addr_equal(&got, &wanted));
}

static void test_from_bad_sockaddr(void **state)
{
    struct ouro_addr in4 = parsed("192.0.2.1:7"), in6 = parsed("[::1]:7");
    struct ouro_addr got, before;
    unsigned char raw[256] = {0};
    sa_family_t family;

    (void)state;
    memset(&got, 0xa5, sizeof(got));
    before = got;
    assert_int_equal(ouro_addr_from_sockaddr(NULL, &in4.sa, in4.len), -EINVAL);
    assert_int_equal(ouro_addr_from_sockaddr(&got, NULL, in4.len), -EINVAL);
    assert_int_equal(take(&got, &in4, 0), -EINVAL);
    assert_int_equal(take(&got, &in4.sa, sizeof(family) - 1), -EINVAL);
    assert_int_equal(take(&got, &in4.sa, in4.len - 1), -EINVAL);
    assert_int_equal(take(&got, &in6.sa, in6.len - 1), -EINVAL);
    family = AF_UNIX;
    memcpy(raw, &family, sizeof(family));
    assert_int_equal(take(&got, raw, sizeof(struct sockaddr_un) + 2), -EINVAL);
    family = AF_NETLINK;
    memcpy(raw, &family, sizeof(family));
    assert_int_equal(take(&got, raw, sizeof(raw)), -EAFNOSUPPORT);
    family = AF_UNSPEC;
    memcpy(raw, &family, sizeof(family));
    assert_int_equal(take(&got, raw, sizeof(raw)), -EAFNOSUPPORT);
    assert_memory_equal(&got, &before, sizeof(got));
}

static void test_equal(void **state)
{
    /* No two of these name the same end point. */
    static const char *const texts[] = {
        "127.0.0.1:1",   "127.0.0.1:2", "127.0.0.2:1", "[::ffff:127.0.0.1]:1",
        "[::1]:1",       "[::1]:2",     "[::2]:1",     "[fe80::1%1]:1",
        "[fe80::1%2]:1", "[fe80::1]:1", "unix:x",      "unix:@x",
        "unix:/x",       "unix:xx",     "unix:@xx",    "0.0.0.0:1",
        "[::]:1",
    };
    const size_t count = sizeof(texts) / sizeof(texts[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            struct ouro_addr a = parsed(texts[i]), b = parsed(texts[j]);

            assert_int_equal(ouro_addr_equal(&a, &b), i == j);
        }
    }
}

static void test_equal_ignores_what_does_not_count(void **state)
{
    struct ouro_addr a = parsed("[2001:db8::1]:1"), b = a, empty = {0};

    (void)state;
    b.in6.sin6_scope_id = 5;
    b.in6.sin6_flowinfo = 6;
    assert_true(ouro_addr_equal(&a, &b));
    assert_true(ouro_addr_hash(&a) == ouro_addr_hash(&b));
    check_format(&b, "[2001:db8::1]:1");

    a = parsed("127.0.0.1:1");
    b = a;
    memset(b.in4.sin_zero, 0xff, sizeof(b.in4.sin_zero));
    assert_true(ouro_addr_equal(&a, &b));

    a = parsed("unix:/run/x");
    b = a;
    b.un.sun_path[50] = 'y';
    b.len = sizeof(b.un);
    assert_true(ouro_addr_equal(&a, &b));
    assert_true(ouro_addr_hash(&a) == ouro_addr_hash(&b));

    b = empty;
    assert_true(ouro_addr_equal(&empty, &b));
    assert_true(ouro_addr_hash(&empty) == ouro_addr_hash(&b));
    assert_false(ouro_addr_equal(&empty, &a));
    b.sa.sa_family = AF_NETLINK;
    assert_false(ouro_addr_equal(&b, &b));
    assert_false(ouro_addr_equal(&a, NULL));
    assert_false(ouro_addr_equal(NULL, &a));
    assert_false(ouro_addr_equal(NULL, NULL));
}

/* A length that lies must not be believed. */
static void test_wild_length(void **state)
{
    struct ouro_addr addr = parsed("unix:@name");

    (void)state;
    addr.len = UINT32_MAX;
    assert_int_equal(ouro_addr_format(&addr, NULL, 0), 5 + 108);
    assert_true(ouro_addr_equal(&addr, &addr));
    addr.len = 0;
    check_format(&addr, "unix:");
}

static void test_port_and_family(void **state)
{
    struct ouro_addr in4 = parsed("127.0.0.1:80"), in6 = parsed("[::1]:443");
    struct ouro_addr path = parsed("unix:/run/x"), empty = {0};

    (void)state;
    assert_int_equal(ouro_addr_port(&in4), 80);
    assert_int_equal(ouro_addr_port(&in6), 443);
    assert_int_equal(ouro_addr_set_port(&in4, 65535), 0);
    assert_int_equal(ouro_addr_set_port(&in6, 0), 0);
    check_format(&in4, "127.0.0.1:65535");
    check_format(&in6, "[::1]:0");
    assert_int_equal(ouro_addr_port(&path), -EAFNOSUPPORT);
    assert_int_equal(ouro_addr_set_port(&path, 1), -EAFNOSUPPORT);
    assert_int_equal(ouro_addr_port(&empty), -EAFNOSUPPORT);
    assert_int_equal(ouro_addr_set_port(&empty, 1), -EAFNOSUPPORT);

    assert_int_equal(ouro_addr_family(&in4), AF_INET);
    assert_int_equal(ouro_addr_family(&in6), AF_INET6);
    assert_int_equal(ouro_addr_family(&path), AF_UNIX);
    assert_int_equal(ouro_addr_family(&empty), AF_UNSPEC);
}

static void test_null_arguments(void **state)
{
    struct ouro_addr addr = parsed("127.0.0.1:80");
    char buf[4];

    (void)state;
    assert_int_equal(ouro_addr_format(NULL, buf, sizeof(buf)), -EINVAL);
    assert_int_equal(ouro_addr_format(&addr, NULL, 1), -EINVAL);
    assert_int_equal(ouro_addr_port(NULL), -EINVAL);
    assert_int_equal(ouro_addr_set_port(NULL, 1), -EINVAL);
    assert_int_equal(ouro_addr_family(NULL), -EINVAL);
    assert_true(ouro_addr_hash(NULL) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_reads_back),
        cmocka_unit_test(test_longest_texts_fit),
        cmocka_unit_test(test_format_is_cut),
        cmocka_unit_test(test_texts_that_do_not_read_back),
        cmocka_unit_test(test_from_inet),
        cmocka_unit_test(test_from_unix),
        cmocka_unit_test(test_from_kernel),
        cmocka_unit_test(test_from_bad_sockaddr),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_equal_ignores_what_does_not_count),
        cmocka_unit_test(test_wild_length),
        cmocka_unit_test(test_port_and_family),
        cmocka_unit_test(test_null_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
