/* SPDX-License-Identifier: MIT */
/* A wrong address says which part is wrong, where it stands and why; nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <ouro/addr.h>

struct wrong {
    const char *text;
    int code;
    enum ouro_addr_part part;
    size_t pos, len;
    const char *message;
};

static const struct wrong wrongs[] = {
    {"", -EINVAL, OURO_ADDR_WHOLE, 0, 0, "the address is empty"},
    /* ports */
    {"127.0.0.1:99999", -ERANGE, OURO_ADDR_PORT, 10, 5,
     "port '99999' is out of range 0-65535 in '127.0.0.1:99999'"},
    {"127.0.0.1:65536", -ERANGE, OURO_ADDR_PORT, 10, 5,
     "port '65536' is out of range 0-65535 in '127.0.0.1:65536'"},
    {"*:18446744073709551617", -ERANGE, OURO_ADDR_PORT, 2, 20,
     "port '18446744073709551617' is out of range 0-65535 in '*:18446744073709551617'"},
    {"127.0.0.1:http", -EINVAL, OURO_ADDR_PORT, 10, 4,
     "port 'http' is not a number in '127.0.0.1:http'"},
    {"127.0.0.1:-1", -EINVAL, OURO_ADDR_PORT, 10, 2, "port '-1' is not a number in '127.0.0.1:-1'"},
    {"127.0.0.1:80 ", -EINVAL, OURO_ADDR_PORT, 10, 3,
     "port '80 ' is not a number in '127.0.0.1:80 '"},
    {"127.0.0.1:99999x", -EINVAL, OURO_ADDR_PORT, 10, 6,
     "port '99999x' is not a number in '127.0.0.1:99999x'"},
    {"127.0.0.1:", -EINVAL, OURO_ADDR_PORT, 10, 0, "missing port after ':' in '127.0.0.1:'"},
    {":", -EINVAL, OURO_ADDR_PORT, 1, 0, "missing port after ':' in ':'"},
    {"[::1]:", -EINVAL, OURO_ADDR_PORT, 6, 0, "missing port after ':' in '[::1]:'"},
    {"[::1]:x", -EINVAL, OURO_ADDR_PORT, 6, 1, "port 'x' is not a number in '[::1]:x'"},
    {"127.0.0.1", -EINVAL, OURO_ADDR_PORT, 9, 0, "missing ':' and port in '127.0.0.1'"},
    {"80", -EINVAL, OURO_ADDR_PORT, 2, 0, "missing ':' and port in '80'"},
    {"[::1]", -EINVAL, OURO_ADDR_PORT, 5, 0, "missing ':' and port after ']' in '[::1]'"},
    {"[::1]80", -EINVAL, OURO_ADDR_PORT, 5, 0, "missing ':' and port after ']' in '[::1]80'"},
    /* hosts */
    {"localhost:80", -EINVAL, OURO_ADDR_HOST, 0, 9,
     "host 'localhost' is a name, and names are not resolved, in 'localhost:80'"},
    {"a-b.example_1:80", -EINVAL, OURO_ADDR_HOST, 0, 13,
     "host 'a-b.example_1' is a name, and names are not resolved, in 'a-b.example_1:80'"},
    {"1.2.3.400:80", -EINVAL, OURO_ADDR_HOST, 0, 9,
     "host '1.2.3.400' is not an IPv4 address in '1.2.3.400:80'"},
    {"1.2.3:80", -EINVAL, OURO_ADDR_HOST, 0, 5,
     "host '1.2.3' is not an IPv4 address in '1.2.3:80'"},
    {"1111.2222.3333.4444:80", -EINVAL, OURO_ADDR_HOST, 0, 19,
     "host '1111.2222.3333.4444' is not an IPv4 address in '1111.2222.3333.4444:80'"},
    {"**:80", -EINVAL, OURO_ADDR_HOST, 0, 2,
     "host '**' is neither '*' nor an IPv4 or bracketed IPv6 address in '**:80'"},
    {" 127.0.0.1:80", -EINVAL, OURO_ADDR_HOST, 0, 10,
     "host ' 127.0.0.1' is neither '*' nor an IPv4 or bracketed IPv6 address in ' 127.0.0.1:80'"},
    {"::1:80", -EINVAL, OURO_ADDR_WHOLE, 0, 6,
     "more than one ':' (IPv6 is written '[::1]:80') in '::1:80'"},
    {"fe80::1", -EINVAL, OURO_ADDR_WHOLE, 0, 7,
     "more than one ':' (IPv6 is written '[::1]:80') in 'fe80::1'"},
    {"[]:80", -EINVAL, OURO_ADDR_HOST, 1, 0, "host '' is not an IPv6 address in '[]:80'"},
    {"[::g]:80", -EINVAL, OURO_ADDR_HOST, 1, 3, "host '::g' is not an IPv6 address in '[::g]:80'"},
    {"[127.0.0.1]:80", -EINVAL, OURO_ADDR_HOST, 1, 9,
     "host '127.0.0.1' is not an IPv6 address in '[127.0.0.1]:80'"},
    {"[1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18]:1", -EINVAL, OURO_ADDR_HOST, 1, 44,
     "host '1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18' is not an IPv6 address in "
     "'[1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18]:1'"},
    {"[::1:80", -EINVAL, OURO_ADDR_WHOLE, 7, 0, "missing ']' in '[::1:80'"},
    {"[", -EINVAL, OURO_ADDR_WHOLE, 1, 0, "missing ']' in '['"},
    /* scopes */
    {"[fe80::1%]:80", -EINVAL, OURO_ADDR_SCOPE, 9, 0, "missing scope after '%' in '[fe80::1%]:80'"},
    {"[%1]:80", -EINVAL, OURO_ADDR_HOST, 1, 0, "host '' is not an IPv6 address in '[%1]:80'"},
    {"[::1%1]:80", -EINVAL, OURO_ADDR_SCOPE, 5, 1,
     "scope '1' belongs only on a link-local address, in '[::1%1]:80'"},
    {"[ff05::1%1]:80", -EINVAL, OURO_ADDR_SCOPE, 9, 1,
     "scope '1' belongs only on a link-local address, in '[ff05::1%1]:80'"},
    {"[fe80::1%0]:80", -ERANGE, OURO_ADDR_SCOPE, 9, 1,
     "scope '0' is out of range 1-4294967295 in '[fe80::1%0]:80'"},
    {"[fe80::1%4294967296]:80", -ERANGE, OURO_ADDR_SCOPE, 9, 10,
     "scope '4294967296' is out of range 1-4294967295 in '[fe80::1%4294967296]:80'"},
    {"[fe80::1%no if]:80", -ENODEV, OURO_ADDR_SCOPE, 9, 5,
     "scope 'no if' is not the name of an interface in '[fe80::1%no if]:80'"},
    {"[fe80::1%longer_than_any_name]:80", -ENODEV, OURO_ADDR_SCOPE, 9, 20,
     "scope 'longer_than_any_name' is not the name of an interface in "
     "'[fe80::1%longer_than_any_name]:80'"},
    /* Unix sockets */
    {"unix:", -EINVAL, OURO_ADDR_PATH, 5, 0, "missing unix path in 'unix:'"},
    {"unix:@", -EINVAL, OURO_ADDR_PATH, 6, 0, "missing abstract name in 'unix:@'"},
    {"/run/x", -EINVAL, OURO_ADDR_WHOLE, 0, 6, "missing 'unix:' before a path in '/run/x'"},
    {"UNIX:/run/x", -EINVAL, OURO_ADDR_HOST, 0, 4,
     "host 'UNIX' is a name, and names are not resolved, in 'UNIX:/run/x'"},
    /* foreign bytes are made visible */
    {"\x1b[31m\xc3\xa9:1", -EINVAL, OURO_ADDR_HOST, 0, 7,
     "host '\\x1b[31m\\xc3\\xa9' is neither '*' nor an IPv4 or bracketed IPv6 address in "
     "'\\x1b[31m\\xc3\\xa9:1'"},
};

static void check(const struct wrong *wrong)
{
    struct ouro_addr addr, before;
    struct ouro_addr_error err;

    memset(&addr, 0xa5, sizeof(addr));
    memset(&err, 0x5a, sizeof(err));
    before = addr;
    errno = 77;
    assert_int_equal(ouro_addr_parse(&addr, wrong->text, &err), wrong->code);
    assert_string_equal(err.message, wrong->message);
    assert_int_equal(err.code, wrong->code);
    assert_int_equal(err.part, wrong->part);
    assert_int_equal(err.pos, wrong->pos);
    assert_int_equal(err.len, wrong->len);
    assert_int_equal(errno, 77);
    assert_memory_equal(&addr, &before, sizeof(addr));
    assert_int_equal(ouro_addr_parse(&addr, wrong->text, NULL), wrong->code);
}

static void test_each_wrong_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
        check(&wrongs[i]);
}

static void check_too_long(const char *prefix, size_t bytes, const char *message)
{
    struct ouro_addr_error err;
    struct ouro_addr addr;
    char text[256];
    size_t head = strlen(prefix);

    snprintf(text, sizeof(text), "%s", prefix);
    memset(text + head, 'p', bytes);
    text[head + bytes] = '\0';
    assert_int_equal(ouro_addr_parse(&addr, text, &err), -ENAMETOOLONG);
    assert_memory_equal(err.message, message, strlen(message));
    assert_int_equal(err.part, OURO_ADDR_PATH);
    assert_int_equal(err.pos, head);
    assert_int_equal(err.len, bytes);
}

static void test_long_unix_names(void **state)
{
    (void)state;
    check_too_long("unix:", 108, "unix path of 108 bytes is longer than 107 in 'unix:ppp");
    check_too_long("unix:", 120, "unix path of 120 bytes is longer than 107 in 'unix:ppp");
    check_too_long("unix:@", 108, "abstract name of 108 bytes is longer than 107 in 'unix:@ppp");
}

/* Without a descriptor the kernel cannot be asked: that is not "no such interface". */
static void test_scope_lookup_fails(void **state)
{
    struct ouro_addr_error err = {0};
    struct rlimit limit, none;
    struct ouro_addr addr;
    int code;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    code = ouro_addr_parse(&addr, "[fe80::1%lo]:80", &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(code, -EMFILE);
    assert_int_equal(err.code, -EMFILE);
    assert_string_equal(err.message, "scope 'lo' could not be looked up in '[fe80::1%lo]:80'");
}

static void test_null_arguments(void **state)
{
    struct ouro_addr_error err = {0};
    struct ouro_addr addr;

    (void)state;
    assert_int_equal(ouro_addr_parse(NULL, "127.0.0.1:1", &err), -EINVAL);
    assert_string_equal(err.message, "there is no place for the address in '127.0.0.1:1'");
    assert_int_equal(ouro_addr_parse(&addr, NULL, &err), -EINVAL);
    assert_string_equal(err.message, "the address is empty");
    assert_int_equal(ouro_addr_parse(NULL, NULL, NULL), -EINVAL);
}

/* The longest message: both quotes at their limit, cut with dots, and whole to its end. */
static void test_long_text_is_shortened(void **state)
{
    struct ouro_addr_error err;
    struct ouro_addr addr;
    char text[4096];
    size_t len = sizeof(text) - 1;

    (void)state;
    memset(text, '\xff', len);
    text[len] = '\0';
    text[len - 2] = ':';
    assert_int_equal(ouro_addr_parse(&addr, text, &err), -EINVAL);
    assert_int_equal(err.len, len - 2);
    assert_non_null(strstr(err.message, "\\xff...' is neither '*' nor"));
    assert_string_equal(err.message + strlen(err.message) - 8, "\\xff...'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_wrong_text),        cmocka_unit_test(test_long_unix_names),
        cmocka_unit_test(test_scope_lookup_fails),     cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_long_text_is_shortened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
