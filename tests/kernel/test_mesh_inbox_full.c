/* SPDX-License-Identifier: MIT */
/* The inbox for threads that are no shard is bounded: full gives -EAGAIN at once ([MESH-4]), and
 * what was taken is run, once each; a stop still gets through. */
#include "support/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "shard/mesh.h"

static atomic_uint ran, accepted;

static int count(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

static void *fill(void *arg)
{
    unsigned n = 0, refused = 0;
    int error;

    while ((error = ouro_spawn_remote(0, count, NULL, "count")) == 0)
        n++;
    must_be(error, -EAGAIN);
    for (int i = 0; i < 10; i++)
        refused += ouro_spawn_remote(0, count, NULL, "count") == -EAGAIN;
    must_be(refused, 10);
    accepted += n;
    if (arg != NULL)
        ouro_stop();
    return NULL;
}

/* Main holds its shard while another thread fills its inbox. */
static int held_main(void *arg)
{
    struct ouro_counters c;
    pthread_t thread;

    (void)arg;
    for (unsigned round = 1; round <= 3; round++) {
        ran = accepted = 0;
        must_be(pthread_create(&thread, NULL, fill, NULL), 0);
        must_be(pthread_join(thread, NULL), 0);
        must_be(accepted, INBOX_MESSAGES);
        must_be(ran, 0);
        until(ran == accepted);
        must_be(ouro_counters(&c), 0);
        must_be(c.posts_refused, round * 11);
    }
    return 0;
}

static void full(void **state)
{
    (void)state;
    assert_int_equal(run_on(1, held_main, NULL), 0);
}

/* Messages in front of it, and no room: the stop waits for some. */
static pthread_t stopper;

static int stopped_main(void *arg)
{
    (void)arg;
    ran = accepted = 0;
    must_be(pthread_create(&stopper, NULL, fill, &ran), 0);
    while (!ouro_stopping())
        continue;
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    must_be(pthread_join(stopper, NULL), 0);
    return 7;
}

static void stop_gets_through(void **state)
{
    (void)state;
    assert_int_equal(run_on(1, stopped_main, NULL), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(full), cmocka_unit_test(stop_gets_through)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
