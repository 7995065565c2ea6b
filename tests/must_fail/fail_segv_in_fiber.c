/* SPDX-License-Identifier: MIT */
/* A fiber that writes to a wild address is named with its shard; main, not it, was spawned first.
 */
/* expect: ^ouro: SIGSEGV at address 0x18 in task 'wild' on shard 1$ */
#include "support/support.h"

static int *volatile nowhere = (int *)0x18;

static int wild(void *arg)
{
    must_be(ouro_task_set_name("wild"), 0);
    *nowhere = 1;
    return arg != NULL;
}

static int main_fn(void *arg)
{
    must_be(ouro_spawn_remote(1, wild, arg, "tame"), 0);
    return ouro_sleep(10 * SEC);
}

int main(void)
{
    return run_on(2, main_fn, NULL);
}
