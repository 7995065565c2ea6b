/* SPDX-License-Identifier: MIT */
/* What a run changes of its surroundings, and that it puts all of it back: signal mask and
 * dispositions, affinity, limits, the thread's name; and the options that leave them alone. */
#include "support/support.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

struct surroundings {
    sigset_t mask;
    struct sigaction actions[32];
    cpu_set_t affinity;
    struct rlimit nofile;
    char name[16];
    stack_t altstack;
};

static void take(struct surroundings *x)
{
    memset(x, 0, sizeof *x);
    must_be(sigprocmask(SIG_SETMASK, NULL, &x->mask), 0);
    for (int n = 1; n < 32; n++)
        must_be(sigaction(n, NULL, &x->actions[n]), 0);
    must_be(sched_getaffinity(0, sizeof x->affinity, &x->affinity), 0);
    must_be(getrlimit(RLIMIT_NOFILE, &x->nofile), 0);
    prctl(PR_GET_NAME, x->name);
    must_be(sigaltstack(NULL, &x->altstack), 0);
}

/* The C library sets it with whatever handler, and the kernel gives it back. */
#define RESTORER 0x04000000

static void must_be_same(const struct surroundings *a, const struct surroundings *b)
{
    for (int n = 1; n <= 64; n++)
        must_be(sigismember(&a->mask, n), sigismember(&b->mask, n));
    for (int n = 1; n < 32; n++) {
        must(a->actions[n].sa_handler == b->actions[n].sa_handler);
        must_be(a->actions[n].sa_flags & ~RESTORER, b->actions[n].sa_flags & ~RESTORER);
    }
    must(CPU_EQUAL(&a->affinity, &b->affinity));
    must_be(a->nofile.rlim_cur, b->nofile.rlim_cur);
    must_be(a->nofile.rlim_max, b->nofile.rlim_max);
    must_be(strcmp(a->name, b->name), 0);
    must(a->altstack.ss_sp == b->altstack.ss_sp);
}

static struct surroundings during[2];

static int look(void *arg)
{
    (void)arg;
    take(&during[ouro_current_shard()]);
    return 0;
}

static int look_main(void *arg)
{
    (void)arg;
    return ouro_on_each_shard(look, NULL, "look", NULL);
}

static void run_and_compare(const struct ouro_options *o, int error)
{
    static struct surroundings before, after;

    take(&before);
    must_be(ouro_run(o, look_main, NULL, NULL), error);
    take(&after);
    must_be_same(&before, &after);
}

static void lower_limit(struct rlimit *was)
{
    struct rlimit low;

    must_be(getrlimit(RLIMIT_NOFILE, was), 0);
    low = *was;
    low.rlim_cur = 500;
    must_be(setrlimit(RLIMIT_NOFILE, &low), 0);
}

static void changed_and_restored(void **state)
{
    struct ouro_options o = small_options(2);
    struct rlimit was;
    sigset_t some;

    (void)state;
    lower_limit(&was);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2); /* ours, before it starts */
    must_be(sigprocmask(SIG_SETMASK, &some, NULL), 0);
    o.signals = OURO_SIGNAL_BIT(SIGHUP) | OURO_SIGNAL_BIT(SIGUSR1);
    run_and_compare(&o, 0);
    for (int i = 0; i < 2; i++) {
        static const int blocked[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

        for (size_t k = 0; k < 6; k++)
            must_be(sigismember(&during[i].mask, blocked[k]), 1);
        must_be(sigismember(&during[i].mask, SIGALRM), 0);
        must_be(sigismember(&during[i].mask, SIGSEGV), 0);
        must_be(CPU_COUNT(&during[i].affinity), 1);
        must_be(during[i].nofile.rlim_cur, was.rlim_max);
    }
    must_be(strcmp(during[0].name, "ouro-0"), 0);
    sigemptyset(&some);
    must_be(sigprocmask(SIG_SETMASK, &some, NULL), 0);
    must_be(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static void left_alone(void **state)
{
    struct ouro_options o = small_options(2);
    struct rlimit was;
    cpu_set_t all;

    (void)state;
    lower_limit(&was);
    must_be(sched_getaffinity(0, sizeof all, &all), 0);
    o.no_pinning = o.keep_nofile = o.leave_signals = true;
    o.descriptors = 100;
    run_and_compare(&o, 0);
    for (int i = 0; i < 2; i++) {
        for (int n = 1; n < 32; n++)
            must_be(sigismember(&during[i].mask, n), 0);
        must(CPU_EQUAL(&during[i].affinity, &all));
        must_be(during[i].nofile.rlim_cur, 500);
    }
    must_be(setrlimit(RLIMIT_NOFILE, &was), 0);
}

/* Also after a start that failed half-way. */
static void failed_start(void **state)
{
    struct ouro_options o = small_options(8);
    struct rlimit was, low;

    (void)state;
    must_be(getrlimit(RLIMIT_NOFILE, &was), 0);
    o.keep_nofile = true;
    low = was;
    low.rlim_cur = open_descriptors() + 12; /* enough for the lanes, too few for the rings */
    must_be(setrlimit(RLIMIT_NOFILE, &low), 0);
    run_and_compare(&o, -EMFILE);
    must_be(setrlimit(RLIMIT_NOFILE, &was), 0);
}

/* A write to a closed pipe during the run leaves no signal that strikes after it. */
static int breaks_pipe(void *arg)
{
    int fd[2];

    (void)arg;
    must_be(pipe(fd), 0);
    must_be(close(fd[0]), 0);
    must_be(write(fd[1], "x", 1), -1);
    must_be(errno, EPIPE);
    must_be(close(fd[1]), 0);
    return 0;
}

static void broken_pipe(void **state)
{
    (void)state;
    assert_int_equal(run_on(1, breaks_pipe, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_and_restored),
        cmocka_unit_test(left_alone),
        cmocka_unit_test(failed_start),
        cmocka_unit_test(broken_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
