/* SPDX-License-Identifier: MIT */
/* What every service lets its user choose about shards. */
#ifndef OURO_TOOLS_COMMON_SHARDS_H
#define OURO_TOOLS_COMMON_SHARDS_H

#include <ouro.h>

#include "common/cli.h"

/* Keys of the options below; a tool's own start above these. */
enum { CLI_KEY_SHARDS = 0x1000, CLI_KEY_CPUS, CLI_KEY_OVERSUBSCRIBE, CLI_KEY_TOOL };

#define CLI_SHARDS_OPTIONS                                                                         \
    {"shards", CLI_KEY_SHARDS, "N", 0, "Run N shards (default: one per CPU)", 10},                 \
        {"oversubscribe", CLI_KEY_OVERSUBSCRIBE, NULL, 0, "Allow more shards than CPUs", 10},      \
    {                                                                                              \
        "cpus", CLI_KEY_CPUS, "CPUS", 0,                                                           \
            "Run one shard on each of these CPUs: 0-3,8, all, cores, spread, compact, spread:8, "  \
            "node:1, near:eth0",                                                                   \
            10                                                                                     \
    }

/* Takes one of them; true if it was. `--shards` and `--cpus` together: the first N of them. */
static inline bool cli_shards(struct argp_state *state, int key, char *text, struct ouro_options *o)
{
    struct ouro_cpus cpus;

    switch (key) {
    case CLI_KEY_SHARDS:
        o->shards = (unsigned)cli_number(state, "--shards", text, 1, OURO_MAX_SHARDS);
        return true;
    case CLI_KEY_CPUS:
        cli_cpus(state, "--cpus", text, &cpus);
        o->cpus = text;
        return true;
    case CLI_KEY_OVERSUBSCRIBE:
        o->oversubscribe = true;
        return true;
    default:
        return false;
    }
}

/* After ouro_run() failed to start: its sentence, and the exit code. */
static inline int cli_start_failed(const char *tool, int error)
{
    if (ouro_start_error()[0] == '\0')
        return cli_failed(error, "cannot start");
    fprintf(stderr, "%s: cannot start: %s\n", tool, ouro_start_error());
    return CLI_FAILED;
}

#endif
