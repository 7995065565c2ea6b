/* SPDX-License-Identifier: MIT */
/*
 * The command line as every tool shows it: argp, with one style of errors and three exit codes.
 *
 *   ouro-echo: --shards: 'abc' is not a number between 1 and 256
 *   Try `ouro-echo --help' or `ouro-echo --usage' for more information.
 *
 * The first line is <tool>: <option>: <what is wrong>; the second is argp's own. A failure at run
 * time has only the first, without an option. All of it goes to stderr.
 */
#ifndef OURO_TOOLS_COMMON_CLI_H
#define OURO_TOOLS_COMMON_CLI_H

#include <argp.h>
#include <stddef.h>
#include <stdint.h>

#include <ouro/addr.h>
#include <ouro/base.h>
#include <ouro/parse.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, /* it ran, and could not do what was asked */
    CLI_USAGE = 2,  /* it was called wrongly and did nothing */
};

struct cli_tool {
    const char *name;     /* "ouro-echo"; shown whatever argv[0] is */
    const char *args_doc; /* positional arguments as help shows them, or NULL */
    const char *doc;      /* what the tool does, in a sentence or two */
    const struct argp_option *options;
    argp_parser_t parser; /* state->input is what cli_parse() was given */
};

/*
 * Reads the command line. Returns only if it was right; otherwise prints the error and exits with
 * CLI_USAGE. --help, --usage and --version print to stdout and exit with CLI_OK. Call it first in
 * main(), before any thread is started; argv[0] becomes the tool's name.
 */
void cli_parse(const struct cli_tool *tool, int argc, char **argv, void *input);

/* For the parser: "<tool>: <option>: <message>" and exit with CLI_USAGE. option is "--shards". */
_Noreturn void cli_bad_option(struct argp_state *state, const char *option, const char *format, ...)
    OURO_PRINTF(3, 4);

/* Prints "<tool>: <message>: <error in words>" and returns CLI_FAILED, for main() to return. error
 * is an errno value of either sign; 0 leaves the last part out. */
int cli_failed(int error, const char *format, ...) OURO_PRINTF(2, 3);

/*
 * Values of options, for the parser. Each returns only if text is such a value, as ouro/parse.h and
 * ouro/addr.h define it, and otherwise ends as cli_bad_option() does.
 */
uint64_t cli_number(struct argp_state *state, const char *option, const char *text, uint64_t min,
                    uint64_t max);
uint64_t cli_duration_ns(struct argp_state *state, const char *option, const char *text);
uint64_t cli_size_bytes(struct argp_state *state, const char *option, const char *text);
void cli_cpus(struct argp_state *state, const char *option, const char *text,
              struct ouro_cpus *cpus);
void cli_addr(struct argp_state *state, const char *option, const char *text,
              struct ouro_addr *addr);

/* More addresses than one tool listens on or connects to by hand. */
enum { CLI_ADDRS_MAX = 32 };

/* Zeroed it is empty. */
struct cli_addrs {
    size_t count;
    struct ouro_addr addr[CLI_ADDRS_MAX];
};

/*
 * Appends one or more addresses, separated by commas; an option that is given several times adds
 * up. A Unix path that holds a comma cannot be given.
 */
void cli_addrs(struct argp_state *state, const char *option, const char *text,
               struct cli_addrs *addrs);

#endif /* OURO_TOOLS_COMMON_CLI_H */
