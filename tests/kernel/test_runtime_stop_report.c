/* SPDX-License-Identifier: MIT */
/* What has not ended at the drain deadline is reported by name and left alone: it never runs again,
 * its memory is not freed, and the process goes on, also with a new runtime. */
#include "support/support.h"

#include <signal.h>
#include <sys/socket.h>

#include "base/limits.h"

static volatile uint64_t touched;
static char mule[] = "mule", donkey[] = "donkey", endless[] = "endless";

/* [RUN-2]: it cannot be cancelled, and what it has on the heap is not lost; its stack stays. */
static int stubborn(void *arg)
{
    volatile char frame[256];
    char *volatile held = malloc(1000);

    must(held != NULL);
    memset((void *)frame, 7, sizeof frame);
    must_be(ouro_task_set_name(arg), 0);
    must_be(ouro_shield_enter(), 0);
    for (;;) {
        (void)ouro_sleep(10 * SEC);
        touched += (uint64_t)frame[0] + (uint64_t)held[0];
    }
    return 0;
}

static int stubborn_main(void *arg)
{
    (void)arg;
    must_be(ouro_spawn(NULL, stubborn, mule, 0), 0);
    must_be(ouro_spawn_remote(1, stubborn, donkey, NULL), 0);
    return ouro_sleep(5 * MS);
}

static int goes_on_main(void *arg)
{
    (void)arg;
    return ouro_sleep(MS) == 0 ? 5 : 6;
}

static struct ouro_options short_drain(void)
{
    struct ouro_options o = small_options(2);

    o.drain_deadline_ns = 50 * MS;
    return o;
}

static int leaves_tasks(void *arg)
{
    struct ouro_options o = short_drain();
    unsigned descriptors = open_descriptors();
    uint64_t begin = ouro_now_precise_ns();
    int value = -1;

    o.quiet = *(bool *)arg;
    must_be(ouro_run(&o, stubborn_main, NULL, &value), 0);
    must_be(value, 0);
    must(ouro_now_precise_ns() - begin >= 50 * MS);
    must(ouro_now_precise_ns() - begin < 8 * SEC); /* not as long as they sleep */
    must_be(open_descriptors(), descriptors);
    must_be(touched, 0);
    must_be(run_on(2, goes_on_main, NULL), 5);
    return 0;
}

static void says(const struct child *c, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strstr(c->said, *words) == NULL)
            fail_msg("'%s' does not say '%s'", c->said, *words);
}

static void tasks(void **state)
{
    bool quiet = false;
    struct child c;

    (void)state;
    in_child(&c, leaves_tasks, &quiet);
    assert_int_equal(child_exit(&c), 0);
    says(&c,
         (const char *const[]){"shard 0: at stop, task 'mule' has not ended; it waits for a timer",
                               "shard 1: at stop, task 'donkey' has not ended; it waits for a "
                               "timer",
                               NULL});
    assert_null(strstr(c.said, "'main'")); /* it ended */
    child_free(&c);
    quiet = true;
    in_child(&c, leaves_tasks, &quiet);
    assert_int_equal(child_exit(&c), 0);
    assert_string_equal(c.said, "");
    child_free(&c);
}

/* Main itself does not end. */
static int endless_main(void *arg)
{
    return stubborn(arg); /* asked to stop by a signal */
}

static int leaves_main(void *arg)
{
    struct ouro_options o = short_drain();
    int value = 17;

    (void)arg;
    must_be(ouro_run(&o, endless_main, endless, &value), 0);
    must_be(value, -ETIMEDOUT); /* it has none */
    return 0;
}

static int leaves_main_on_term(void *arg)
{
    sigset_t set;

    /* Blocked here, so that it strikes in the runtime and not before. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    must_be(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    must_be(kill(getpid(), SIGTERM), 0);
    return leaves_main(arg);
}

static void main_function(void **state)
{
    struct child c;

    (void)state;
    in_child(&c, leaves_main_on_term, NULL);
    assert_int_equal(child_exit(&c), 0);
    says(&c, (const char *const[]){"shard 0: ", "'endless'", NULL});
    child_free(&c);
}

/* Connections, files, timers that nobody closed: closed, reported and counted, without the
 * deadline. */
static int untidy_main(void *arg)
{
    static struct ouro_timer timer; /* outlives the task that started it */
    ouro_conn conn;
    int fd[2];

    must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    must_be(ouro_conn_adopt(&conn, fd[0]), 0);
    *(int *)arg = fd[1];
    timer = (struct ouro_timer){0};
    must_be(ouro_timer_start(&timer, ouro_after_ns(60 * SEC)), 0);
    return 0;
}

static int leaves_connection(void *arg)
{
    struct ouro_options o = small_options(1);
    uint64_t begin = ouro_now_precise_ns();
    int fd = -1;
    char c;

    (void)arg;
    must_be(ouro_run(&o, untidy_main, &fd, NULL), 0);
    must(ouro_now_precise_ns() - begin < 8 * SEC);
    must_be(recv(fd, &c, 1, 0), 0); /* it was closed in the end */
    must_be(close(fd), 0);
    return 0;
}

static void descriptors(void **state)
{
    struct child c;

    (void)state;
    in_child(&c, leaves_connection, NULL);
    assert_int_equal(child_exit(&c), 0);
    says(&c, (const char *const[]){"shard 0: ", "1 connections", "1 timers", NULL});
    child_free(&c);
}

/* More of them than are named: all are closed. */
enum { CROWD = REPORTED_LEFTOVERS + 24 };

static int crowd_main(void *arg)
{
    int *far = arg;

    for (int i = 0; i < CROWD; i++) {
        ouro_conn conn;
        int fd[2];

        must_be(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
        must_be(ouro_conn_adopt(&conn, fd[0]), 0);
        far[i] = fd[1];
    }
    return 0;
}

static int leaves_crowd(void *arg)
{
    struct ouro_options o = small_options(1);
    static int far[CROWD];
    char c;

    (void)arg;
    must_be(ouro_run(&o, crowd_main, far, NULL), 0);
    for (int i = 0; i < CROWD; i++) {
        must_be(recv(far[i], &c, 1, 0), 0);
        must_be(close(far[i]), 0);
    }
    return 0;
}

static void many_descriptors(void **state)
{
    static const char each[] = "connection";
    unsigned named = 0;
    struct child c;

    (void)state;
    in_child(&c, leaves_crowd, NULL);
    assert_int_equal(child_exit(&c), 0);
    for (const char *at = c.said; (at = strstr(at, each)) != NULL; at += sizeof each)
        named++;
    print_message("%s", c.said);
    assert_in_range(named, REPORTED_LEFTOVERS, REPORTED_LEFTOVERS + 2); /* and their number */
    child_free(&c);
}

/* Its address is free afterwards, and its file gone. */
static int datagram_main(void *arg)
{
    struct ouro_addr a;
    ouro_conn c;

    must_be(ouro_addr_parse(&a, "127.0.0.1:0", NULL), 0);
    must_be(ouro_datagram_bind(&c, &a, NULL), 0);
    must_be(ouro_datagram_bind(&c, arg, NULL), 0);
    return 0;
}

static int leaves_datagrams(void *arg)
{
    struct ouro_options o = small_options(1);
    struct ouro_addr a;
    char text[64];

    (void)arg;
    snprintf(text, sizeof text, "unix:stop-report-%d", (int)getpid());
    must_be(ouro_addr_parse(&a, text, NULL), 0);
    must_be(ouro_run(&o, datagram_main, &a, NULL), 0);
    must(access(a.un.sun_path, F_OK) != 0);
    return 0;
}

static void datagrams(void **state)
{
    struct child c;

    (void)state;
    in_child(&c, leaves_datagrams, NULL);
    assert_int_equal(child_exit(&c), 0);
    assert_non_null(strstr(c.said, "still open: socket at 127.0.0.1:"));
    assert_non_null(strstr(c.said, "still open: socket at unix:stop-report-"));
    child_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks),       cmocka_unit_test(main_function),
        cmocka_unit_test(descriptors), cmocka_unit_test(many_descriptors),
        cmocka_unit_test(datagrams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
