/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <ouro/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Set once by cli_parse(), before there are threads. */
static const char *tool_name = "ouro";

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "%s %d.%d.%d\n", tool_name, OURO_VERSION_MAJOR, OURO_VERSION_MINOR,
            OURO_VERSION_PATCH);
}

void cli_parse(const struct cli_tool *tool, int argc, char **argv, void *input)
{
    const struct argp argp = {
        .options = tool->options,
        .parser = tool->parser,
        .args_doc = tool->args_doc,
        .doc = tool->doc,
    };
    int error;

    tool_name = tool->name;
    argp_err_exit_status = CLI_USAGE;
    argp_program_version_hook = print_version;
    /* getopt, below argp, begins its messages with argv[0], path and all; it only reads it. */
    if (argc > 0)
        argv[0] = (char *)tool->name;
    error = argp_parse(&argp, argc, argv, 0, NULL, input);
    if (error)
        exit(cli_failed(error, "cannot read the command line"));
}

void cli_bad_option(struct argp_state *state, const char *option, const char *format, ...)
{
    char message[OURO_ADDR_MESSAGE_BYTES + OURO_PARSE_ERROR_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    argp_error(state, "%s: %s", option, message);
    /* argp_error() returns when a parser's flags forbid it to exit; ours never do. */
    exit(CLI_USAGE);
}

int cli_failed(int error, const char *format, ...)
{
    va_list args;

    flockfile(stderr);
    fprintf(stderr, "%s: ", tool_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    if (error)
        fprintf(stderr, ": %s", ouro_strerror(error));
    fputc('\n', stderr);
    funlockfile(stderr);
    return CLI_FAILED;
}

uint64_t cli_number(struct argp_state *state, const char *option, const char *text, uint64_t min,
                    uint64_t max)
{
    char err[OURO_PARSE_ERROR_BYTES];
    uint64_t value = 0;

    if (ouro_parse_uint(&value, text, min, max, err, sizeof(err)))
        cli_bad_option(state, option, "%s", err);
    return value;
}

uint64_t cli_duration_ns(struct argp_state *state, const char *option, const char *text)
{
    char err[OURO_PARSE_ERROR_BYTES];
    uint64_t value = 0;

    if (ouro_parse_duration(&value, text, err, sizeof(err)))
        cli_bad_option(state, option, "%s", err);
    return value;
}

uint64_t cli_size_bytes(struct argp_state *state, const char *option, const char *text)
{
    char err[OURO_PARSE_ERROR_BYTES];
    uint64_t value = 0;

    if (ouro_parse_size(&value, text, err, sizeof(err)))
        cli_bad_option(state, option, "%s", err);
    return value;
}

void cli_cpus(struct argp_state *state, const char *option, const char *text,
              struct ouro_cpus *cpus)
{
    char err[OURO_PARSE_ERROR_BYTES];

    if (ouro_parse_cpus(cpus, text, err, sizeof(err)))
        cli_bad_option(state, option, "%s", err);
}

void cli_addr(struct argp_state *state, const char *option, const char *text,
              struct ouro_addr *addr)
{
    struct ouro_addr_error err;

    if (ouro_addr_parse(addr, text, &err))
        cli_bad_option(state, option, "%s", err.message);
}

void cli_addrs(struct argp_state *state, const char *option, const char *text,
               struct cli_addrs *addrs)
{
    char *copy = strdup(text);
    char *rest = copy;
    char *item;

    if (!copy)
        exit(cli_failed(ENOMEM, "cannot read the command line"));
    while ((item = strsep(&rest, ",")) != NULL) {
        if (addrs->count == CLI_ADDRS_MAX)
            cli_bad_option(state, option, "more than %d addresses", CLI_ADDRS_MAX);
        cli_addr(state, option, item, &addrs->addr[addrs->count]);
        addrs->count++;
    }
    free(copy);
}
