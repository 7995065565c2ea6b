/* SPDX-License-Identifier: MIT */
/* Values of the tools' options. A wrong one ends the process: here it jumps out instead. The first
 * byte chooses the kind of value. */
#include "target.h"

#include <setjmp.h>

static jmp_buf out;
static char *kept; /* what cli_addrs() would have left to the end of the process */

static _Noreturn void leave(int code)
{
    longjmp(out, code);
}

static char *keep(const char *text)
{
    free(kept);
    return kept = strdup(text);
}

static void let_go(void *copy)
{
    demand(copy == kept);
    free(kept);
    kept = NULL;
}

#undef strdup
#define exit(code)   leave(code)
#define strdup(text) keep(text)
#define free(copy)   let_go(copy)
#include "../../tools/common/cli.c"
#undef exit
#undef strdup
#undef free

static void take(struct argp_state *state, unsigned kind, const char *text)
{
    static struct cli_addrs addrs;
    static struct ouro_cpus cpus;
    struct ouro_addr addr;

    switch (kind) {
    case 0:
        demand(cli_number(state, "--n", text, 3, 300) - 3 <= 297);
        break;
    case 1:
        demand(cli_duration_ns(state, "--d", text) <= INT64_MAX);
        break;
    case 2:
        (void)cli_size_bytes(state, "--s", text);
        break;
    case 3:
        cli_cpus(state, "--cpus", text, &cpus);
        break;
    case 4:
        cli_addr(state, "--a", text, &addr);
        demand(ouro_addr_family(&addr) > 0);
        break;
    default:
        addrs = (struct cli_addrs){0};
        cli_addrs(state, "--l", text, &addrs);
        demand(addrs.count >= 1 && addrs.count <= CLI_ADDRS_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct argp_state state = {.flags = ARGP_NO_ERRS | ARGP_NO_EXIT, .name = (char *)"tool"};
    char *volatile text;
    int code;

    if (size == 0)
        return 0;
    text = text_of(data + 1, size - 1);
    code = setjmp(out);
    if (code == 0)
        take(&state, data[0] % 6, text);
    else
        demand(code == CLI_USAGE);
    free(text);
    free(kept);
    kept = NULL;
    return 0;
}
