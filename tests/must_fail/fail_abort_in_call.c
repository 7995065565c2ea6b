/* SPDX-License-Identifier: MIT */
/* abort(), some calls deep in a fiber, is reported with the task. */
/* expect: ^ouro: SIGABRT in task 'desperate' on shard 0$ */
#include "support/support.h"

static void (*volatile give_up)(void) = abort;

static __attribute__((noinline)) int deeper(int depth)
{
    if (depth == 0) {
        give_up();
        return 0;
    }
    return deeper(depth - 1) + 1;
}

static int main_fn(void *arg)
{
    (void)arg;
    must_be(ouro_task_set_name("desperate"), 0);
    return deeper(5);
}

int main(void)
{
    return run_on(1, main_fn, NULL);
}
