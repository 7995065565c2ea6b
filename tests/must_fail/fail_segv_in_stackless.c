/* SPDX-License-Identifier: MIT */
/* A stackless task that writes to a wild address is named; kernel/fatal_report sees who resumes it.
 */
/* expect: ^ouro: SIGSEGV at address 0x28 in stackless task 'beat' on shard 0, resumed by$ */
#include "support/support.h"

static int *volatile nowhere = (int *)0x28;

static void beat_resume(struct ouro_task *task)
{
    OURO_BEGIN(task);
    OURO_YIELD(task);
    *nowhere = 1;
    OURO_END(task, 0);
}

static int main_fn(void *arg)
{
    static struct ouro_task beat;

    (void)arg;
    must_be(ouro_task_start(NULL, &beat, beat_resume, "beat"), 0);
    return ouro_sleep(10 * SEC);
}

int main(void)
{
    return run_on(1, main_fn, NULL);
}
