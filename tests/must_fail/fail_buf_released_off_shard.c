/* SPDX-License-Identifier: MIT */
/* A lease belongs to the shard that received it; another thread must not give it back. */
/* expect: ^ouro: a receive buffer was released on a thread that is no shard$ */
#include "support/net_support.h"

#include <pthread.h>

static void *release(void *arg)
{
    ouro_buf_release(arg);
    return NULL;
}

static int elsewhere_main(void *arg)
{
    struct ouro_recv_source source;
    struct ouro_buf lease;
    struct pair p;
    pthread_t thread;

    (void)arg;
    pair_open(&p, UNIX);
    must_be(ouro_recv_source_open(&source, p.far, 0), 0);
    must_be(ouro_send(p.near, "data", 4), 4);
    must_be(ouro_recv_next(&source, &lease), 4);
    must_be(pthread_create(&thread, NULL, release, &lease), 0);
    must_be(pthread_join(thread, NULL), 0);
    return 0;
}

int main(void)
{
    return run_on(1, elsewhere_main, NULL);
}
