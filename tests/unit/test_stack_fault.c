/* SPDX-License-Identifier: MIT */
/* A fiber that overflows its stack is named before the process dies of it; every other fault goes
 * where it went before. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shard/context.h"
#include "shard/stack_fault.h"

static struct stack_pool small_pool, large_pool;
static struct context thread_context, fiber_context;

/* Stands for the control block at the top of a fiber's stack. */
struct control {
    const char *name;
};

static const char *name_of(const void *top)
{
    return ((const struct control *)top - 1)->name;
}

static struct stack_fault_context fault_context = {
    .shard = 7, .pools = {&small_pool, NULL, &large_pool}, .task_name = name_of};

static volatile unsigned bottom = 1u << 31; /* never reached */

static __attribute__((noinline)) unsigned recurse(unsigned depth)
{
    volatile unsigned frame[64];

    frame[depth % 64] = depth;
    if (depth == bottom)
        return 0;
    return recurse(depth + 1) + frame[depth % 64];
}

static void overflow(void *arg)
{
    (void)arg;
    recurse((unsigned)(uintptr_t)arg);
}

static volatile char *volatile stray;

static void touch_stray(void *arg)
{
    (void)arg;
    *stray = 1;
}

/* In a child: run entry as a fiber called `name` on a stack of this pool. */
static void run_fiber(struct stack_pool *pool, const char *name, void (*entry)(void *arg))
{
    void *top;

    if (stack_alloc(pool, &top))
        _exit(3);
    ((struct control *)top - 1)->name = name;
    context_make_thread(&thread_context);
    context_make(&fiber_context, stack_limit(pool, top), (struct control *)top - 1, entry, NULL);
    context_switch(&thread_context, &fiber_context, NULL);
}

static void make_pools(enum stack_guard guard)
{
    struct stack_pool_options options = {.guard = guard};

    if (stack_pool_init(&small_pool, &options))
        _exit(3);
    options.stack_bytes = 1 << 20;
    options.size_option = "options.large_stack_bytes";
    if (stack_pool_init(&large_pool, &options))
        _exit(3);
}

static char said[4096];

/* Runs `child` in a child process; what it wrote to stderr is in `said`. Returns its status. */
static int run_child(void (*child)(void))
{
    int status, ends[2];
    size_t length = 0;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_int_not_equal(pid, -1);
    if (!pid) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGSEGV, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        child();
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)n;
    said[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_killed_by_segv(int status)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* The line's fixed parts, around an address we do not know. */
static void assert_said_overflow(const char *name, const char *size, const char *option)
{
    char expected[256];
    const char *address;

    snprintf(expected, sizeof expected,
             "ouro: stack overflow in task '%s' on shard 7: %s bytes at 0x", name, size);
    assert_int_equal(strncmp(said, expected, strlen(expected)), 0);
    address = said + strlen(expected);
    snprintf(expected, sizeof expected, "; raise %s\n", option);
    address += strspn(address, "0123456789abcdef");
    assert_int_equal(strncmp(address, expected, strlen(expected)), 0);
    assert_null(strstr(address, "ouro: ")); /* frames follow, and no second report */
}

static enum stack_guard guard_wanted;

static void overflow_small(void)
{
    make_pools(guard_wanted);
    if (stack_fault_thread_init())
        _exit(3);
    stack_fault_watch(&fault_context);
    run_fiber(&small_pool, "digger", overflow);
}

static void overflow_large(void)
{
    make_pools(guard_wanted);
    if (stack_fault_thread_init() || stack_fault_thread_init())
        _exit(3);
    stack_fault_thread_fini(); /* the outer call still stands */
    stack_fault_watch(&fault_context);
    run_fiber(&large_pool, NULL, overflow);
}

static void overflows_are_reported(void **state)
{
    (void)state;
    for (guard_wanted = STACK_GUARD_AUTO; guard_wanted < STACK_GUARD_NONE; guard_wanted++) {
        assert_killed_by_segv(run_child(overflow_small));
        assert_said_overflow("digger", "65536", "options.stack_bytes");
        assert_killed_by_segv(run_child(overflow_large));
        assert_said_overflow("?", "1048576", "options.large_stack_bytes");
    }
}

static void *overflow_in_thread(void *arg)
{
    (void)arg;
    overflow_small();
    return NULL;
}

static void overflow_elsewhere(void)
{
    pthread_t thread;

    if (stack_fault_thread_init() || pthread_create(&thread, NULL, overflow_in_thread, NULL))
        _exit(3);
    pthread_join(thread, NULL);
}

static void other_threads_report_too(void **state)
{
    (void)state;
    guard_wanted = STACK_GUARD_AUTO;
    assert_killed_by_segv(run_child(overflow_elsewhere));
    assert_said_overflow("digger", "65536", "options.stack_bytes");
}

/* From here on: what is no overflow. */
static void wild_access(void)
{
    make_pools(STACK_GUARD_AUTO);
    if (stack_fault_thread_init())
        _exit(3);
    stack_fault_watch(&fault_context);
    stray = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    run_fiber(&small_pool, "wild", touch_stray);
}

static void access_to_anothers_guard(void)
{
    void *top;

    make_pools(STACK_GUARD_AUTO);
    if (stack_fault_thread_init() || stack_alloc(&small_pool, &top))
        _exit(3);
    stack_fault_watch(&fault_context);
    stray = (char *)stack_limit(&small_pool, top) - 8;
    run_fiber(&small_pool, "wild", touch_stray);
}

static void overflow_not_watched(void)
{
    make_pools(STACK_GUARD_AUTO);
    if (stack_fault_thread_init())
        _exit(3);
    stack_fault_watch(&fault_context);
    if (stack_fault_watch(NULL) != &fault_context)
        _exit(3);
    run_fiber(&small_pool, "digger", overflow);
}

static void signal_sent(void)
{
    if (stack_fault_thread_init())
        _exit(3);
    raise(SIGSEGV);
}

static void other_faults_take_the_default_action(void **state)
{
    void (*const children[])(void) = {wild_access, access_to_anothers_guard, overflow_not_watched,
                                      signal_sent};

    (void)state;
    for (size_t i = 0; i < array_size(children); i++) {
        assert_killed_by_segv(run_child(children[i]));
        assert_int_equal(strncmp(said, "ouro: SIGSEGV", 13), 0);
        assert_non_null(strstr(said, " on a thread that is no shard\n"));
        assert_null(strstr(said, "overflow"));
    }
}

static void exit_41(int number, siginfo_t *info, void *ucontext)
{
    (void)ucontext;
    _exit(number == SIGSEGV && info->si_addr == (void *)stray ? 41 : 1);
}

static void exit_42(int number)
{
    _exit(number == SIGSEGV ? 42 : 1);
}

static void wild_access_with_action(void)
{
    struct sigaction action = {.sa_sigaction = exit_41, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    wild_access();
}

static void wild_access_with_handler(void)
{
    signal(SIGSEGV, exit_42);
    wild_access();
}

static void wild_access_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    wild_access();
}

static void signal_sent_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    signal_sent();
}

static void former_dispositions_are_honoured(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(run_child(wild_access_with_action)), 41);
    assert_int_equal(WEXITSTATUS(run_child(wild_access_with_handler)), 42);
    assert_killed_by_segv(run_child(wild_access_ignored));
    assert_int_equal(run_child(signal_sent_ignored), 0);
}

static void init_and_fini(void)
{
    struct sigaction now;
    stack_t stack;

    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL); /* a sanitizer's */
    for (int i = 0; i < 3; i++) {
        signal(SIGSEGV, exit_42);
        if (stack_fault_thread_init() || sigaltstack(NULL, &stack) || stack.ss_flags & SS_DISABLE)
            _exit(1);
        stack_fault_thread_fini();
        if (sigaltstack(NULL, &stack) || !(stack.ss_flags & SS_DISABLE))
            _exit(2);
        if (sigaction(SIGSEGV, NULL, &now) || now.sa_handler != exit_42)
            _exit(3);
    }
    if (stack_fault_thread_init())
        _exit(4);
    signal(SIGSEGV, SIG_IGN); /* somebody else's, on top of ours: not ours to undo */
    stack_fault_thread_fini();
    if (sigaction(SIGSEGV, NULL, &now) || now.sa_handler != SIG_IGN)
        _exit(5);
}

static void everything_is_put_back(void **state)
{
    (void)state;
    assert_int_equal(run_child(init_and_fini), 0);
}

static void keep_alternate_stack(void)
{
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};

    sigaltstack(&stack, NULL);
    if (stack_fault_thread_init() || sigaltstack(NULL, &stack) || stack.ss_sp != memory)
        _exit(1);
    stack_fault_thread_fini();
    if (sigaltstack(NULL, &stack) || stack.ss_sp != memory || stack.ss_flags & SS_DISABLE)
        _exit(2);
}

static void an_alternate_stack_is_kept(void **state)
{
    (void)state;
    assert_int_equal(run_child(keep_alternate_stack), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflows_are_reported),
        cmocka_unit_test(other_threads_report_too),
        cmocka_unit_test(other_faults_take_the_default_action),
        cmocka_unit_test(former_dispositions_are_honoured),
        cmocka_unit_test(everything_is_put_back),
        cmocka_unit_test(an_alternate_stack_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
