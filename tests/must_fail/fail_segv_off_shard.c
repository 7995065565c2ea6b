/* SPDX-License-Identifier: MIT */
/* On a thread that is no shard the report says so. */
/* expect: ^ouro: SIGSEGV at address 0x20 on a thread that is no shard$ */
#include "support/support.h"

#include <pthread.h>

static int *volatile nowhere = (int *)0x20;

static void *wild(void *arg)
{
    *nowhere = 1;
    return arg;
}

static int main_fn(void *arg)
{
    pthread_t thread;

    must_be(pthread_create(&thread, NULL, wild, arg), 0);
    return ouro_sleep(10 * SEC);
}

int main(void)
{
    return run_on(1, main_fn, NULL);
}
