/* SPDX-License-Identifier: MIT */
/* All shards send to all, and threads to all, at once: each message arrives once, and those of one
 * sender to one receiver in the order in which they were sent. */
#include "support/support.h"

#include <pthread.h>
#include <stdatomic.h>

#define SHARDS  6
#define THREADS 3
#define SENDERS (SHARDS + THREADS)
#define EACH    (slow_build() ? 600u : 6000u) /* of one sender to one receiver */

/* Owned by the receiver. */
static unsigned next[SHARDS][SENDERS];
static atomic_uint done_receivers;

static int receive(void *arg)
{
    uintptr_t packed = (uintptr_t)arg;
    unsigned from = packed % SENDERS, number = (unsigned)(packed / SENDERS);
    unsigned *expected = next[ouro_current_shard()], complete = 0;

    must_be(number, expected[from]);
    expected[from]++;
    for (unsigned i = 0; i < SENDERS; i++)
        complete += expected[i] == EACH;
    done_receivers += complete == SENDERS;
    return 0;
}

static void send_all(unsigned from)
{
    unsigned n = EACH;

    for (uintptr_t number = 0; number < n; number++)
        for (unsigned to = 0; to < SHARDS; to++) {
            int error;

            while ((error = ouro_spawn_remote(to, receive, (void *)(number * SENDERS + from),
                                              "receive")) == -EAGAIN)
                sched_yield();
            must_be(error, 0);
            if (from < SHARDS && number % 64 == 63)
                must_be(ouro_yield(), 0);
        }
}

static int shard_sends(void *arg)
{
    (void)arg;
    send_all((unsigned)ouro_current_shard());
    return 0;
}

static void *thread_sends(void *arg)
{
    send_all((unsigned)(uintptr_t)arg);
    return NULL;
}

static int crowd_main(void *arg)
{
    pthread_t thread[THREADS];

    (void)arg;
    for (uintptr_t i = 0; i < THREADS; i++)
        must_be(pthread_create(&thread[i], NULL, thread_sends, (void *)(SHARDS + i)), 0);
    must_be(ouro_on_each_shard(shard_sends, NULL, "sends", NULL), 0);
    until(done_receivers == SHARDS);
    for (int i = 0; i < THREADS; i++)
        must_be(pthread_join(thread[i], NULL), 0);
    return 0;
}

static void crowd(void **state)
{
    (void)state;
    assert_int_equal(run_on(SHARDS, crowd_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(crowd)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
