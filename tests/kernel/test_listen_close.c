/* SPDX-License-Identifier: MIT */
/* Stopping, draining and closing a listener: what was accepted can be taken, what waits in the
 * kernel is not lost to a drain, what nobody took is closed, and whoever waits hears of it. */
#include "support/net_support.h"

#include "shard/shard.h"

#define N 40

static int fds[N];

static void connect_all(const struct ouro_addr *to, int n)
{
    for (int i = 0; i < n; i++) {
        must((fds[i] = plain_connect(to)) >= 0);
        plain_send(fds[i], "hello", 5);
    }
}

static void close_all(int n)
{
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

static void greet(ouro_conn conn)
{
    char in[8];

    must_be(ouro_recv(conn, in, sizeof in), 5);
    must_be(ouro_send(conn, "welcome", 7), 7);
    must_be(ouro_close(conn), 0);
}

/* Everyone who had connected before is served: from the source's queue, then from the kernel's. */
static int drain_main(void *arg)
{
    enum family f = *(enum family *)arg;
    struct ouro_listen_options o = {.size = sizeof o, .queue_max = 4};
    struct ouro_addr a = any_addr(f), bound;
    ouro_listener l;
    ouro_conn conn;
    char in[8];
    int n = 0, error;

    must_be(ouro_listen(&l, &a, &o), 0);
    must_be(ouro_listener_addr(l, &bound), 0);
    must_be(ouro_accept_drain(l, &conn), -EINVAL); /* not stopped */
    connect_all(&bound, N);
    turns(3);
    must_be(ouro_accept_stop(l), 0);
    must_be(ouro_accept_stop(l), 0); /* again changes nothing */
    must_be(ouro_accept_drain(l, NULL), -EINVAL);
    while ((error = ouro_accept_drain(l, &conn)) == 0) {
        n++;
        greet(conn);
    }
    must_be(error, -EAGAIN);
    must_be(n, N);
    must_be(ouro_listener_close(l), 0);
    must_be(ouro_accept_drain(l, &conn), -EBADF);
    turns(3);
    for (int i = 0; i < N; i++)
        plain_recv(fds[i], in, 7);
    close_all(N);
    return 0;
}

/* Without the drain: take gives what had been queued. */
static int stop_then_take_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    ouro_conn conn;
    unsigned queued;

    connect_all(&bound, N);
    until(shard_self->slots.open[SLOT_CONN] == N);
    must_be(ouro_accept_stop(l), 0);
    queued = shard_self->slots.open[SLOT_CONN];
    for (unsigned i = 0; i < queued; i++) {
        must_be(ouro_accept_take(l, &conn), 0);
        greet(conn);
    }
    must_be(ouro_accept_take(l, &conn), -EAGAIN);
    must_be(ouro_listener_close(l), 0);
    close_all(N);
    return 0;
}

/* [ACCEPT-2]: nobody took them; they are closed, and their peers see it. */
static int close_queued_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    char in[8];

    connect_all(&bound, N);
    until(shard_self->slots.open[SLOT_CONN] == N);
    must_be(ouro_listener_close(l), 0);
    until(shard_self->slots.open[SLOT_CONN] == 0);
    for (int i = 0; i < N; i++)
        must(plain_read(fds[i], in, sizeof in) <= 0);
    close_all(N);
    must(plain_connect(&bound) < 0);
    return 0;
}

static int accept_task(void *arg)
{
    ouro_conn conn = {7};
    int error = ouro_accept(*(ouro_listener *)arg, &conn);

    must(!ouro_cancelled());
    return error;
}

static int waiter_hears_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    ouro_fiber f;
    int value = 0;

    must_be(ouro_spawn_joinable(NULL, accept_task, &l, sizeof l, &f), 0);
    turns(2);
    must_be(ouro_listener_close(l), 0);
    must_be(ouro_join(f, &value), OURO_END_RETURNED);
    must_be(value, -EBADF);
    return 0;
}

static int close_task(void *arg)
{
    return ouro_listener_close(*(ouro_listener *)arg);
}

static int stop_task(void *arg)
{
    return ouro_accept_stop(*(ouro_listener *)arg);
}

/* Several tasks at once: one closes, the others are told that there is no listener; who stops it is
 * never left waiting. */
static int at_once_main(void *arg)
{
    enum { TASKS = 6 };

    for (int round = 0; round < 8; round++) {
        struct ouro_addr bound;
        ouro_listener l = listen_on(*(enum family *)arg, &bound);
        ouro_fiber f[TASKS];
        int closed = 0;

        turns((unsigned)round % 3);
        for (int i = 0; i < TASKS; i++)
            must_be(ouro_spawn_joinable(NULL, (i + round) % 2 ? close_task : stop_task, &l,
                                        sizeof l, &f[i]),
                    0);
        for (int i = 0; i < TASKS; i++) {
            int value = -1;

            must_be(ouro_join(f[i], &value), OURO_END_RETURNED);
            must(value == 0 || value == -EBADF);
            closed += (i + round) % 2 && value == 0;
        }
        must_be(closed, 1);
        must_be(ouro_listener_close(l), -EBADF);
    }
    return 0;
}

/* A release: cancellation does not cut it short. */
static int cancelled_close_task(void *arg)
{
    must_be(ouro_sleep(OURO_FOREVER), -ECANCELED);
    return ouro_listener_close(*(ouro_listener *)arg);
}

static int cancelled_close_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);
    ouro_fiber f;
    int value = -1;

    must_be(ouro_spawn_joinable(NULL, cancelled_close_task, &l, sizeof l, &f), 0);
    turns(2);
    must_be(ouro_fiber_cancel(f), 0);
    must_be(ouro_join(f, &value), OURO_END_CANCELLED);
    must_be(value, 0);
    must(plain_connect(&bound) < 0);
    return 0;
}

/* Opened and closed at once, before the accept has reached the kernel, and while it pauses. */
static int short_lives_main(void *arg)
{
    struct ouro_listen_options o = {.size = sizeof o, .queue_max = 1};

    for (int i = 0; i < 200; i++) {
        struct ouro_addr a = any_addr(*(enum family *)arg), bound;
        ouro_listener l;

        must_be(ouro_listen(&l, &a, &o), 0);
        must_be(ouro_listener_addr(l, &bound), 0);
        if (i % 4 > 1)
            connect_all(&bound, 3);
        turns((unsigned)i % 3);
        must_be(ouro_listener_close(l), 0);
        if (i % 4 > 1)
            close_all(3);
    }
    return 0;
}

/* Left open at the end of main: the stop closes it with what is queued in it, and frees everything.
 */
static int left_open_main(void *arg)
{
    struct ouro_addr bound;
    ouro_listener l = listen_on(*(enum family *)arg, &bound);

    (void)l;
    connect_all(&bound, 5);
    until(shard_self->slots.open[SLOT_CONN] == 5);
    return 0;
}

static void left_open(void **state)
{
    struct ouro_options o = small_options(1);
    int value;

    (void)state;
    o.quiet = true;
    for (enum family f = 0; f < FAMILIES; f++)
        if (family_there(f)) {
            unsigned before = open_descriptors();

            assert_int_equal(ouro_run(&o, left_open_main, &f, &value), 0);
            assert_int_equal(value, 0);
            close_all(5);
            assert_int_equal(open_descriptors(), before);
        }
}

ON_EACH_FAMILY(drain)
ON_EACH_FAMILY(stop_then_take)
ON_EACH_FAMILY(close_queued)
ON_EACH_FAMILY(waiter_hears)
ON_EACH_FAMILY(at_once)
ON_EACH_FAMILY(cancelled_close)
ON_EACH_FAMILY(short_lives)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drain),        cmocka_unit_test(stop_then_take),
        cmocka_unit_test(close_queued), cmocka_unit_test(waiter_hears),
        cmocka_unit_test(at_once),      cmocka_unit_test(cancelled_close),
        cmocka_unit_test(short_lives),  cmocka_unit_test(left_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
