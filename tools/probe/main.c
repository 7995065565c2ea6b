/* SPDX-License-Identifier: MIT */
/* ouro-probe: what io_uring offers on this machine to this process, and whether Ouro can run. */
#include "common/shards.h"
#include "report.h"
#include "topology.h"

#include <errno.h>
#include <stdio.h>

enum { KEY_JSON = 'j', KEY_TOPOLOGY = CLI_KEY_TOOL };

static struct report report = {.probe = {.size = sizeof(struct ouro_probe)}};
static bool as_json;

/* What --topology was asked for. */
static struct {
    bool wanted, placed; /* placed: an option about shards was given */
    const char *machine;
    struct ouro_options options;
} topology = {.options.size = sizeof topology.options};

const char *verdict_name(enum ouro_verdict verdict)
{
    static const char *const names[] = {"unusable", "floor", "good", "best"};

    return names[verdict];
}

static void keep(void *ctx, const struct ouro_finding *finding)
{
    struct report *r = ctx;
    struct found *f;

    if (r->count == FINDINGS_MAX)
        return;
    f = &r->found[r->count++];
    f->is = *finding;
    snprintf(f->why, sizeof f->why, "%s", finding->why);
    f->is.why = f->why;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    if (cli_shards(state, key, text, &topology.options)) {
        topology.placed = true;
        return 0;
    }
    switch (key) {
    case KEY_JSON:
        as_json = true;
        return 0;
    case KEY_TOPOLOGY:
        topology.wanted = true;
        topology.machine = text;
        return 0;
    case ARGP_KEY_END:
        if (topology.placed && !topology.wanted)
            argp_error(state, "--shards, --cpus and --oversubscribe go with --topology");
        if (as_json && topology.wanted)
            argp_error(state, "--json and --topology do not go together");
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is one argument too many", text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"json", KEY_JSON, NULL, 0, "Print one JSON object instead of text", 1},
        {"topology", KEY_TOPOLOGY, "MACHINE", OPTION_ARG_OPTIONAL,
         "Draw this machine instead, and where shards would go; or MACHINE: an XML file of lstopo, "
         "or a description such as \"package:2 l3:4 core:8 pu:2\"",
         1},
        CLI_SHARDS_OPTIONS,
        {0}};
    static const struct cli_tool tool = {
        .name = "ouro-probe",
        .doc =
            "Asks the kernel what io_uring offers to this process, and prints it with a verdict: "
            "floor, good or best; or what forbids io_uring here and what to change.\v"
            "Exit status: 0 when Ouro can run here, 1 when io_uring is not usable, 2 for a wrong "
            "command line.",
        .options = options,
        .parser = parse};
    int error;

    cli_parse(&tool, argc, argv, NULL);
    if (topology.wanted) {
        error = topology_print(topology.machine, &topology.options);
        return fflush(stdout) != 0 ? cli_failed(errno, "cannot write the drawing") : error;
    }
    machine_look(&report.machine);
    error = ouro_probe(&report.probe, keep, &report);
    if (error != 0)
        return cli_failed(error, "cannot ask");
    if (as_json)
        json_print(&report);
    else
        text_print(&report);
    if (fflush(stdout) != 0)
        return cli_failed(errno, "cannot write the report");
    return report.probe.verdict == OURO_UNUSABLE ? CLI_FAILED : CLI_OK;
}
