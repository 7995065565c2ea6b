/* SPDX-License-Identifier: MIT */
/* A fiber of a running shard that digs through its stack dies at the guard, by its name, with how
 * large its stack was; its neighbours' stacks are not touched. */
/* expect: ^ouro: stack overflow in task 'deep thought' on shard 1: 32768 bytes at 0x */
#include <ouro.h>
#include <stdlib.h>

static volatile unsigned bottom = 1u << 31; /* never reached */

static __attribute__((noinline)) unsigned recurse(unsigned depth)
{
    volatile unsigned frame[64];

    frame[depth % 64] = depth;
    if (depth == bottom)
        return 0;
    return recurse(depth + 1) + frame[depth % 64];
}

static int digs(void *arg)
{
    struct ouro_counters c;

    (void)arg;
    if (ouro_counters(&c) != 0 || c.stacks_unguarded != 0)
        exit(77); /* no guard to die at */
    return (int)recurse(0);
}

static int main_fn(void *arg)
{
    (void)arg;
    if (ouro_spawn_remote(1, digs, NULL, "deep thought") != 0)
        return 0;
    return ouro_sleep(10 * OURO_NSEC_PER_SEC);
}

int main(void)
{
    struct ouro_options o = {
        .size = sizeof o, .shards = 2, .oversubscribe = true, .stack_bytes = 32768};

    (void)!ouro_run(&o, main_fn, NULL, NULL);
    return 0; /* alive: that is the failure */
}
