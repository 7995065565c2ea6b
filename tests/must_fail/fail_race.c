/* SPDX-License-Identifier: MIT */
/* Two shards write to the same word without anything between them: ThreadSanitizer follows fibers
 * through their switches, and what the mesh orders it takes for ordered, nothing else. */
/* expect: ThreadSanitizer: data race */
#include "support/support.h"

#include "shard/context_annotate.h"

static unsigned shared;

static int writes(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        shared++;
        (void)ouro_yield();
    }
    return 0;
}

static int race_main(void *arg)
{
    (void)arg;
    return ouro_on_each_shard(writes, NULL, "writes", NULL);
}

int main(void)
{
    if (!CONTEXT_TSAN)
        return 77;
    return run_on(2, race_main, NULL);
}
