/* SPDX-License-Identifier: MIT */
/* bench-instructions SCENARIO ROUNDS: runs one scenario on one shard and a kernel in plain memory
 * (tests/support/fake_kernel.h), the same way each time, for bench/run --instructions to count in.
 * Without arguments: the names of the scenarios, and what a round is. */
#include "instructions/scenarios.h"
#include "support/fake_kernel.h"

#include <string.h>

static const struct scenario scenarios[] = {
    {"echo-fiber", "64 bytes there and back, 16 connections, server of fibers", echo_fiber},
    {"echo-multishot", "the same, fibers with receive sources", echo_multishot},
    {"echo-stackless", "the same, stackless tasks with receive sources", echo_stackless},
    {"open-close", "connect, accept, close both", open_close},
    {"spawn-join", "spawn a joinable fiber and join it", spawn_join},
    {"spawn-scope", "spawn a fiber, a hundred to a scope", spawn_scope},
    {"yield", "yield between two fibers", yield},
    {"sleep", "sleep 1 ms, in one of 16 fibers", sleeps},
    {"timer", "start a timer and cancel it", timers},
    {"cancel", "start a receive, cancel it, await it", cancel},
    {"deadline", "receive under a deadline that is met", deadline},
    {"file-copy", "read 4 KiB and write them", file_copy},
};

#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

struct job {
    const struct scenario *scenario;
    unsigned rounds;
};

static int job_main(void *arg)
{
    const struct job *job = arg;

    job->scenario->run(job->rounds);
    return 0;
}

static int run(const struct job *job)
{
    struct ouro_options o = {.size = sizeof o,
                             .shards = 1,
                             .no_pinning = true,
                             .leave_signals = true,
                             .descriptors = 256,
                             .run_budget_ns = OURO_NSEC_PER_SEC};
    int value = -1, error;

    kernel_default = &kernel_fake;
    clock_take_over();
    error = ouro_run(&o, job_main, (void *)(uintptr_t)job, &value);
    if (error != 0)
        fprintf(stderr, "cannot start: %s\n", ouro_start_error());
    return error != 0 || value != 0 || fake_leftovers() != 0;
}

int main(int argc, char **argv)
{
    struct job job = {.rounds = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0};

    for (size_t i = 0; i < SCENARIOS; i++) {
        if (argc == 1)
            printf("%s\t%s\n", scenarios[i].name, scenarios[i].round);
        else if (strcmp(argv[1], scenarios[i].name) == 0)
            job.scenario = &scenarios[i];
    }
    if (argc == 1)
        return 0;
    if (job.scenario == NULL || job.rounds == 0) {
        fprintf(stderr, "usage: bench-instructions [SCENARIO ROUNDS]\n");
        return 2;
    }
    return run(&job);
}
