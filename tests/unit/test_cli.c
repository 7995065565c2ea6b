/* SPDX-License-Identifier: MIT */
/*
 * What a tool prints and how it exits. The program runs itself as a small tool: only a whole
 * process shows exit codes, and what getopt and argp add.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../tools/common/cli.c"

static const char tool_mark[] = "run-as-a-tool";

/* The tool: prints what it understood, or fails when told to. */

struct settings {
    uint64_t shards, linger_ns, buffer_bytes;
    struct ouro_cpus cpus;
    struct ouro_addr peer;
    struct cli_addrs listen;
    int fail_with;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct settings *settings = state->input;

    switch (key) {
    case 's':
        settings->shards = cli_number(state, "--shards", arg, 1, 256);
        return 0;
    case 't':
        settings->linger_ns = cli_duration_ns(state, "--linger", arg);
        return 0;
    case 'b':
        settings->buffer_bytes = cli_size_bytes(state, "--buffer", arg);
        return 0;
    case 'c':
        cli_cpus(state, "--cpus", arg, &settings->cpus);
        return 0;
    case 'p':
        cli_addr(state, "--peer", arg, &settings->peer);
        return 0;
    case 'l':
        cli_addrs(state, "--listen", arg, &settings->listen);
        return 0;
    case 'f':
        settings->fail_with = (int)cli_number(state, "--fail", arg, 0, 133);
        return 0;
    case 'q':
        return ENOMEM;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"shards", 's', "N", 0, "Shards to start", 0},
    {"linger", 't', "TIME", 0, "Time to wait", 0},
    {"buffer", 'b', "SIZE", 0, "Buffer size", 0},
    {"cpus", 'c', "LIST", 0, "CPUs to use", 0},
    {"peer", 'p', "ADDR", 0, "Where to connect", 0},
    {"listen", 'l', "ADDR[,ADDR...]", 0, "Where to listen", 0},
    {"fail", 'f', "ERRNO", 0, "Fail at run time", 0},
    {"quit", 'q', NULL, 0, "Make the parser fail", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static int tool_main(int argc, char **argv)
{
    const struct cli_tool tool = {
        .name = "ouro-echo",
        .doc = "Sends back what it receives.",
        .options = options,
        .parser = parse_option,
    };
    struct settings settings = {.fail_with = -1};
    char text[OURO_ADDR_STRLEN];

    cli_parse(&tool, argc, argv, &settings);
    if (settings.fail_with >= 0)
        return cli_failed(-settings.fail_with, "cannot listen on %s", "127.0.0.1:80");
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %u", settings.shards, settings.linger_ns,
           settings.buffer_bytes, settings.cpus.list.count);
    if (ouro_addr_format(&settings.peer, text, sizeof(text)) > 0)
        printf(" peer %s", text);
    for (size_t i = 0; i < settings.listen.count; i++) {
        if (ouro_addr_format(&settings.listen.addr[i], text, sizeof(text)) > 0)
            printf(" %s", text);
    }
    printf("\n");
    return CLI_OK;
}

/* The tests. */

struct run {
    int exit_code;
    char out[8192];
    char err[8192];
};

/* The outputs are short: they fit the pipes, so that one can be read after the other. */
static void read_all(int fd, char *buf, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while ((n = read(fd, buf + used, size - 1 - used)) > 0)
        used += (size_t)n;
    assert_int_equal(n, 0);
    assert_true(used < size - 1);
    buf[used] = '\0';
    close(fd);
}

static void run_tool(struct run *run, const char *const *args)
{
    char *argv[64] = {(char *)"/some/where/renamed", (char *)tool_mark};
    char *environment[] = {(char *)"LC_ALL=C", NULL};
    posix_spawn_file_actions_t actions;
    int out[2], err[2], status;
    pid_t child;

    for (size_t i = 0; args[i]; i++) {
        assert_true(i + 3 < sizeof(argv) / sizeof(argv[0]));
        argv[i + 2] = (char *)args[i];
    }
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, out[1], 1), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, err[1], 2), 0);
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    read_all(out[0], run->out, sizeof(run->out));
    read_all(err[0], run->err, sizeof(run->err));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    run->exit_code = WEXITSTATUS(status);
}

#define RUN(run, ...) run_tool(run, (const char *const[]){__VA_ARGS__, NULL})

static void check_output(const struct run *run, const char *out)
{
    assert_string_equal(run->err, "");
    assert_string_equal(run->out, out);
    assert_int_equal(run->exit_code, 0);
}

/* The error, argp's hint, nothing on stdout, code 2. */
static void check_usage(const struct run *run, const char *message)
{
    char want[1024];

    snprintf(want, sizeof(want),
             "ouro-echo: %s\nTry `ouro-echo --help' or `ouro-echo --usage' for more information.\n",
             message);
    assert_string_equal(run->err, want);
    assert_string_equal(run->out, "");
    assert_int_equal(run->exit_code, 2);
}

static void test_values(void **state)
{
    struct run run;

    (void)state;
    RUN(&run, "--shards", "4", "--linger=5ms", "-b", "16k", "--cpus=0-3");
    check_output(&run, "4 5000000 16384 4\n");
    RUN(&run, "--peer", "unix:@x", "--listen=127.0.0.1:1,[::1]:2", "-l", ":3");
    check_output(&run, "0 0 0 0 peer unix:@x 127.0.0.1:1 [::1]:2 [::]:3\n");
}

static void test_bad_values(void **state)
{
    struct run run;

    (void)state;
    RUN(&run, "--shards", "abc");
    check_usage(&run, "--shards: 'abc' is not a number between 1 and 256");
    RUN(&run, "-s257");
    check_usage(&run, "--shards: '257' is not a number between 1 and 256");
    RUN(&run, "--linger=5");
    check_usage(&run, "--linger: '5' needs a unit: ns, us, ms, s, m or h");
    RUN(&run, "--buffer=1x");
    check_usage(&run, "--buffer: '1x' is not a whole number and one unit of k, M, G, T");
    RUN(&run, "--cpus=1,1");
    check_usage(&run, "--cpus: '1,1' names CPU 1 twice");
    RUN(&run, "--peer=127.0.0.1:99999");
    check_usage(&run, "--peer: port '99999' is out of range 0-65535 in '127.0.0.1:99999'");
    RUN(&run, "--listen=:1,localhost:2");
    check_usage(&run, "--listen: host 'localhost' is a name, and names are not resolved, "
                      "in 'localhost:2'");
    RUN(&run, "--listen=:1,");
    check_usage(&run, "--listen: the address is empty");
    RUN(&run, "--shards=%s%n");
    check_usage(&run, "--shards: '%s%n' is not a number between 1 and 256");
}

static void test_address_limit(void **state)
{
    char most[3 * CLI_ADDRS_MAX + 16] = "";
    struct run run;

    (void)state;
    for (int i = 0; i < CLI_ADDRS_MAX; i++)
        strcat(most, i ? ",:1" : ":1");
    RUN(&run, "--listen", most);
    assert_int_equal(run.exit_code, 0);
    RUN(&run, "--listen", most, "--listen", ":2");
    check_usage(&run, "--listen: more than 32 addresses");
}

/* What argp and getopt find has the same form, whatever argv[0] was. */
static void test_bad_options(void **state)
{
    struct run run;

    (void)state;
    RUN(&run, "--nonsense");
    check_usage(&run, "unrecognized option '--nonsense'");
    RUN(&run, "-x");
    check_usage(&run, "invalid option -- 'x'");
    RUN(&run, "--shards");
    check_usage(&run, "option '--shards' requires an argument");
    RUN(&run, "stray");
    check_usage(&run, "Too many arguments");
}

static void test_failures(void **state)
{
    struct run run;

    (void)state;
    RUN(&run, "--fail=98");
    assert_string_equal(run.err,
                        "ouro-echo: cannot listen on 127.0.0.1:80: Address already in use\n");
    assert_string_equal(run.out, "");
    assert_int_equal(run.exit_code, 1);
    RUN(&run, "--fail=0");
    assert_string_equal(run.err, "ouro-echo: cannot listen on 127.0.0.1:80\n");
    assert_int_equal(run.exit_code, 1);
    RUN(&run, "--quit");
    assert_string_equal(run.err,
                        "ouro-echo: cannot read the command line: Cannot allocate memory\n");
    assert_int_equal(run.exit_code, 1);
}

static void test_version_and_help(void **state)
{
    char version[64];
    struct run run;

    (void)state;
    snprintf(version, sizeof(version), "ouro-echo %d.%d.%d\n", OURO_VERSION_MAJOR,
             OURO_VERSION_MINOR, OURO_VERSION_PATCH);
    RUN(&run, "--version");
    check_output(&run, version);
    RUN(&run, "--help");
    assert_string_equal(run.err, "");
    assert_int_equal(run.exit_code, 0);
    assert_memory_equal(run.out, "Usage: ouro-echo [OPTION...]\nSends back", 39);
    assert_non_null(strstr(run.out, "--shards=N"));
    RUN(&run, "--usage");
    assert_string_equal(run.err, "");
    assert_int_equal(run.exit_code, 0);
    assert_memory_equal(run.out, "Usage: ouro-echo", 16);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_address_limit), cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_failures),      cmocka_unit_test(test_version_and_help),
    };

    if (argc > 1 && strcmp(argv[1], tool_mark) == 0)
        return tool_main(argc - 1, argv + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
