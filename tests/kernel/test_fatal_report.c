/* SPDX-License-Identifier: MIT */
/* A signal that ends the process is reported once, with shard, task and frames, and then goes where
 * it would have gone: to the handler that was there, or to the default action. */
#include "support/support.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/check.h"

static int *volatile nowhere = (int *)0x18;
static void (*volatile no_function)(void);

/* In a child: the way in which it dies, in a fiber called "doomed" on shard 1. */
struct doom {
    void (*fn)(void);
    bool no_fatal_report, leave_signals;
    void (*handler)(int number); /* installed before */
    int signal;                  /* for it */
};

static int doomed(void *arg)
{
    struct doom *d = arg;

    d->fn();
    ouro_stop();
    return 0;
}

static int doomed_main(void *arg)
{
    must_be(ouro_spawn_remote(1, doomed, arg, "doomed"), 0);
    (void)ouro_sleep(30 * SEC);
    return 0;
}

static int doomed_child(void *arg)
{
    struct ouro_options o = small_options(2);
    struct doom *d = arg;

    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    for (int i = 0; i < 5; i++) /* without cmocka's and a sanitizer's */
        signal((const int[]){SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}[i], SIG_DFL);
    o.no_fatal_report = d->no_fatal_report;
    o.leave_signals = d->leave_signals;
    if (d->handler != NULL)
        signal(d->signal, d->handler);
    must_be(ouro_run(&o, doomed_main, d, NULL), 0);
    return 7;
}

static struct child dies(struct doom d)
{
    struct child c;

    in_child(&c, doomed_child, &d);
    return c;
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;

    while ((text = strstr(text, part)) != NULL) {
        n++;
        text += strlen(part);
    }
    return n;
}

/* Whether an address in square brackets, from `said` on, lies within a function of at most 256
 * bytes. The child is a fork: its code is where ours is. */
static bool has_frame(const char *said, void (*fn)(void))
{
    for (; (said = strstr(said, "[0x")) != NULL; said++)
        if (strtoull(said + 1, NULL, 16) - (uintptr_t)fn <= 256)
            return true;
    return false;
}

static void assert_killed(const struct child *c, int number)
{
    assert_true(WIFSIGNALED(c->status));
    assert_int_equal(WTERMSIG(c->status), number);
}

/* --- what is said ------------------------------------------------------------------------------
 */

static __attribute__((noinline)) void write_astray(void)
{
    *nowhere = 1;
}

static __attribute__((noinline)) void call_nothing(void)
{
    no_function();
    *nowhere = 1; /* not a tail call */
}

#if defined(__x86_64__)
static char *volatile no_address = (char *)(UINT64_C(1) << 62); /* not one that there could be */

static void write_nowhere_at_all(void)
{
    *no_address = 1;
    must(no_address != NULL); /* not a tail call */
}
#endif

static void read_beyond_the_end(void)
{
    int fd = memfd_create("empty", 0);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    must(page != MAP_FAILED);
    must_be(*(volatile char *)page, 1);
}

static void by_abort(void)
{
    abort();
}

static void by_ill(void)
{
    must_be(raise(SIGILL), 0);
}

static void by_fpe(void)
{
    must_be(raise(SIGFPE), 0);
}

static void each_signal(void **state)
{
    const struct {
        void (*fn)(void);
        int signal;
        const char *name;
    } row[] = {
        {write_astray, SIGSEGV, "SIGSEGV at address 0x18"},
        {call_nothing, SIGSEGV, "SIGSEGV at address 0x0"},
#if defined(__x86_64__)
        {write_nowhere_at_all, SIGSEGV, "SIGSEGV at an address that the machine"},
#endif
        {read_beyond_the_end, SIGBUS, "SIGBUS at address 0x"},
        {by_ill, SIGILL, "SIGILL"},
        {by_fpe, SIGFPE, "SIGFPE"},
        {by_abort, SIGABRT, "SIGABRT"}
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct child c = dies((struct doom){.fn = row[i].fn});

        assert_killed(&c, row[i].signal);
        if (strstr(c.said, row[i].name) == NULL ||
            strstr(c.said, " in task 'doomed' on shard 1\n") == NULL)
            fail_msg("it said '%s'", c.said);
        assert_int_equal(count(c.said, "ouro: "), 1);
        if (!has_frame(c.said, row[i].fn))
            fail_msg("it did not say where: '%s'", c.said);
        child_free(&c);
    }
}

static void break_an_invariant(void)
{
    fatal("a broken invariant");
}

static void fatal_is_reported_once(void **state)
{
    struct child c = dies((struct doom){.fn = break_an_invariant});

    (void)state;
    assert_killed(&c, SIGABRT);
    assert_int_equal(count(c.said, "ouro: a broken invariant\n"), 1);
    assert_int_equal(count(c.said, "ouro: SIGABRT in task 'doomed' on shard 1\n"), 1);
    assert_int_equal(count(c.said, "ouro: "), 2);
    assert_true(has_frame(c.said, break_an_invariant));
    child_free(&c);
}

static void step(struct ouro_task *task)
{
    OURO_BEGIN(task);
    OURO_YIELD(task);
    write_astray();
    OURO_END(task, 0);
}

static void start_stackless(void)
{
    static struct ouro_task task;

    must_be(ouro_task_start(NULL, &task, step, "machine"), 0);
    (void)ouro_sleep(30 * SEC);
}

static void a_stackless_task(void **state)
{
    struct child c = dies((struct doom){.fn = start_stackless});
    const char *resumed;

    (void)state;
    assert_killed(&c, SIGSEGV);
    resumed = strstr(c.said, "in stackless task 'machine' on shard 1, resumed by\n");
    assert_non_null(resumed);
    assert_int_equal(strtoull(strstr(resumed, "[0x") + 1, NULL, 16), (uintptr_t)step);
    assert_true(has_frame(strstr(resumed, "\nin\n"), write_astray));
    child_free(&c);
}

/* --- where it goes then ------------------------------------------------------------------------
 */

static void exit_41(int number)
{
    _exit(number == SIGSEGV ? 41 : 1);
}

static void give_up(int number)
{
    (void)number;
    abort();
}

static void former_handlers_are_called(void **state)
{
    struct child c = dies((struct doom){write_astray, .handler = exit_41, .signal = SIGSEGV});

    (void)state;
    assert_int_equal(child_exit(&c), 41);
    assert_non_null(strstr(c.said, "ouro: SIGSEGV at address 0x18 in task 'doomed'"));
    child_free(&c);
    c = dies((struct doom){write_astray, .handler = give_up, .signal = SIGSEGV});
    assert_true(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGABRT);
    assert_int_equal(count(c.said, "ouro: "), 1); /* the second signal comes of the first */
    child_free(&c);
}

static void what_was_ignored_stays_so(void **state)
{
    struct child c = dies((struct doom){by_fpe, .handler = SIG_IGN, .signal = SIGFPE});

    (void)state;
    assert_int_equal(child_exit(&c), 7); /* it lives */
    assert_string_equal(c.said, "");
    child_free(&c);
}

static void handlers_can_be_kept_away(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        struct child c = dies((struct doom){
            .fn = by_fpe, .no_fatal_report = which == 0, .leave_signals = which == 1});

        assert_killed(&c, SIGFPE);
        assert_null(strstr(c.said, "ouro: "));
        child_free(&c);
    }
}

static int look_main(void *arg)
{
    struct sigaction *now = arg;

    must_be(sigaction(SIGFPE, NULL, now), 0);
    return 0;
}

static void handlers_go_with_the_runtime(void **state)
{
    struct sigaction before, within, after;

    (void)state;
    assert_int_equal(sigaction(SIGFPE, NULL, &before), 0);
    assert_int_equal(run_on(2, look_main, &within), 0);
    assert_int_equal(sigaction(SIGFPE, NULL, &after), 0);
    assert_true(within.sa_handler != before.sa_handler);
    assert_true(after.sa_handler == before.sa_handler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_signal),
        cmocka_unit_test(fatal_is_reported_once),
        cmocka_unit_test(a_stackless_task),
        cmocka_unit_test(former_handlers_are_called),
        cmocka_unit_test(what_was_ignored_stays_so),
        cmocka_unit_test(handlers_can_be_kept_away),
        cmocka_unit_test(handlers_go_with_the_runtime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
