/* SPDX-License-Identifier: MIT */
/* CPUs as the command line names them: lists and policies, and what is wrong with what is neither.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ouro/parse.h>

static struct ouro_cpus good(const char *text)
{
    char err[OURO_PARSE_ERROR_BYTES] = "untouched";
    struct ouro_cpus cpus;

    memset(&cpus, 0xa5, sizeof cpus);
    if (ouro_parse_cpus(&cpus, text, err, sizeof err) != 0)
        fail_msg("%s", err);
    assert_string_equal(err, "untouched");
    return cpus;
}

static void bad(const char *text, int code, const char *message)
{
    char err[OURO_PARSE_ERROR_BYTES] = "";
    struct ouro_cpus cpus, before;

    memset(&cpus, 0xa5, sizeof cpus);
    before = cpus;
    assert_int_equal(ouro_parse_cpus(&cpus, text, err, sizeof err), code);
    assert_string_equal(err, message);
    assert_memory_equal(&cpus, &before, sizeof cpus);
    assert_int_equal(ouro_parse_cpus(&cpus, text, NULL, 0), code);
}

static void policies(void **state)
{
    static const struct {
        const char *text;
        enum ouro_cpus_policy policy;
        unsigned count;
    } words[] = {
        {"all", OURO_CPUS_ALL, 0},         {"all:1", OURO_CPUS_ALL, 1},
        {"cores", OURO_CPUS_CORES, 0},     {"cores:1024", OURO_CPUS_CORES, 1024},
        {"spread", OURO_CPUS_SPREAD, 0},   {"spread:8", OURO_CPUS_SPREAD, 8},
        {"compact", OURO_CPUS_COMPACT, 0}, {"compact:007", OURO_CPUS_COMPACT, 7},
    };

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct ouro_cpus cpus = good(words[i].text);

        assert_int_equal(cpus.policy, words[i].policy);
        assert_int_equal(cpus.count, words[i].count);
        assert_int_equal(cpus.list.count, 0);
    }
}

static void nodes_and_devices(void **state)
{
    char text[8 + OURO_DEVICE_BYTES] = "near:";
    struct ouro_cpus cpus;

    (void)state;
    cpus = good("node:0");
    assert_int_equal(cpus.policy, OURO_CPUS_NODE);
    assert_int_equal(cpus.node, 0);
    assert_int_equal(good("node:1023").node, 1023);
    cpus = good("near:eth0");
    assert_int_equal(cpus.policy, OURO_CPUS_NEAR);
    assert_string_equal(cpus.device, "eth0");
    assert_string_equal(good("near:/dev/nvme0n1").device, "nvme0n1");
    assert_string_equal(good("near:a:b").device, "a:b");
    memset(text + 5, 'x', OURO_DEVICE_BYTES - 1);
    assert_string_equal(good(text).device, text + 5);
}

static void lists(void **state)
{
    struct ouro_cpus cpus = good("8,0-2");

    (void)state;
    assert_int_equal(cpus.policy, OURO_CPUS_LIST);
    assert_int_equal(cpus.count, 0);
    assert_int_equal(cpus.list.count, 4);
    assert_memory_equal(cpus.list.cpu, ((uint16_t[]){8, 0, 1, 2}), 8);
}

static void wrong(void **state)
{
    static const char *const neither[] = {"",     "x",      "ALL",    " all", "all ",    "al",
                                          "alls", ":8",     "-1",     ",0",   "cores,0", "spread 8",
                                          "any",  "node 1", "nearby", "auto"};
    char text[8 + OURO_DEVICE_BYTES + 1] = "near:", want[OURO_PARSE_ERROR_BYTES];
    struct ouro_cpus cpus;

    (void)state;
    for (size_t i = 0; i < sizeof neither / sizeof neither[0]; i++) {
        snprintf(want, sizeof want,
                 "'%s' is not a list of CPUs such as 0-3,8, nor all, cores, spread, compact, "
                 "node:N or near:DEVICE",
                 neither[i]);
        bad(neither[i], -EINVAL, want);
    }
    bad("1,x", -EINVAL, "'1,x' is not a list of CPUs such as 0-3,8: byte 3 should be a digit");
    bad("1024", -ERANGE, "'1024' names a CPU above 1023");
    bad("spread:", -EINVAL, "'spread:' needs a number of CPUs after the colon");
    bad("spread:x", -EINVAL, "'spread:x' needs a number of CPUs after the colon");
    bad("spread:8x", -EINVAL, "'spread:8x' needs a number of CPUs after the colon");
    bad("all:0", -ERANGE, "'all:0' has a number of CPUs outside of 1 to 1024");
    bad("cores:1025", -ERANGE, "'cores:1025' has a number of CPUs outside of 1 to 1024");
    bad("compact:99999999999999999999", -ERANGE,
        "'compact:99999999999999999999' has a number of CPUs outside of 1 to 1024");
    bad("node", -EINVAL, "'node' needs a node's number after the colon");
    bad("node:", -EINVAL, "'node:' needs a node's number after the colon");
    bad("node:0,1", -EINVAL, "'node:0,1' needs a node's number after the colon");
    bad("node:1024", -ERANGE, "'node:1024' has a node's number outside of 0 to 1023");
    bad("near", -EINVAL, "'near' needs a device after the colon, such as eth0");
    bad("near:", -EINVAL, "'near:' needs a device after the colon, such as eth0");
    bad("near:/dev/", -EINVAL, "'near:/dev/' needs a device after the colon, such as eth0");
    memset(text + 5, 'x', OURO_DEVICE_BYTES);
    assert_int_equal(ouro_parse_cpus(&cpus, text, want, sizeof want), -ERANGE);
    assert_non_null(strstr(want, "has a device name of more than 63 bytes"));
}

static void nothing(void **state)
{
    char err[OURO_PARSE_ERROR_BYTES] = "";
    struct ouro_cpus cpus;

    (void)state;
    assert_int_equal(ouro_parse_cpus(&cpus, NULL, err, sizeof err), -EINVAL);
    assert_string_equal(err, "no value is given");
    assert_int_equal(ouro_parse_cpus(NULL, "all", err, sizeof err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies), cmocka_unit_test(nodes_and_devices), cmocka_unit_test(lists),
        cmocka_unit_test(wrong),    cmocka_unit_test(nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
