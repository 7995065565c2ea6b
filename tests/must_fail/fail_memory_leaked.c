/* SPDX-License-Identifier: MIT */
/* What a fiber allocates and forgets is found when the process ends: the check for leaks does look
 * on in these builds, and a fiber's stack that was used again does not hide anything. */
/* expect: detected memory leaks */
#include "base/poison.h"
#include "support/support.h"

static int forgets(void *arg)
{
    char *volatile p = malloc(77);

    (void)arg;
    must(p != NULL);
    p = NULL;
    return 0;
}

static int leak_main(void *arg)
{
    struct ouro_scope scope;

    (void)arg;
    must_be(ouro_scope_enter(&scope, 0), 0);
    must_be(ouro_spawn(&scope, forgets, NULL, 0), 0);
    return ouro_scope_leave(&scope);
}

int main(void)
{
    if (!POISON_ASAN)
        return 77;
    return run_on(1, leak_main, NULL);
}
