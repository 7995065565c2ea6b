/* SPDX-License-Identifier: MIT */
/* The SIGSEGV handler that names the task whose stack overflowed. Everything up to and with
 * stack_fault_handle() is async-signal-safe. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "stack_fault.h"

#define HANDLER_BYTES ((size_t)32 << 10) /* for the handler, and one that it may call */
#define NAME_BYTES    64

static _Thread_local const struct stack_fault_context *watched;
static _Thread_local unsigned thread_users;
static _Thread_local stack_t own_stack; /* ss_sp NULL: the thread had one before */

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned install_users;
static struct sigaction previous; /* constant while the handler is installed */

struct line {
    char text[256];
    size_t length;
};

static void line_add(struct line *line, const char *text, size_t most)
{
    while (*text && most-- && line->length < sizeof line->text)
        line->text[line->length++] = *text++;
}

static void line_add_number(struct line *line, uintptr_t value, unsigned base)
{
    char digits[24];
    char *digit = digits + sizeof digits - 1;

    *digit = '\0';
    do
        *--digit = "0123456789abcdef"[value % base];
    while (value /= base);
    line_add(line, digit, sizeof digits);
}

static void report(const struct stack_fault_context *context, const struct stack_pool *pool,
                   const void *top, const void *address)
{
    const char *name = context->task_name ? context->task_name(top) : NULL;
    struct line line = {.length = 0};
    ssize_t ignored;

    line_add(&line, "ouro: stack overflow in task '", SIZE_MAX);
    line_add(&line, name ? name : "?", NAME_BYTES);
    line_add(&line, "' on shard ", SIZE_MAX);
    line_add_number(&line, context->shard, 10);
    line_add(&line, ": ", SIZE_MAX);
    line_add_number(&line, pool->stack_bytes, 10);
    line_add(&line, " bytes at 0x", SIZE_MAX);
    line_add_number(&line, (uintptr_t)address, 16);
    line_add(&line, "; raise ", SIZE_MAX);
    line_add(&line, pool->size_option, NAME_BYTES);
    line_add(&line, "\n", SIZE_MAX);
    ignored = write(STDERR_FILENO, line.text, line.length);
    (void)ignored;
}

static const void *interrupted_sp(const void *ucontext)
{
    const mcontext_t *machine = &((const ucontext_t *)ucontext)->uc_mcontext;

#if defined(__x86_64__)
    return (const void *)machine->gregs[REG_RSP];
#elif defined(__aarch64__)
    return (const void *)machine->sp;
#endif
}

/* Is it an overflow: code on a pool's stack, at fault in the guard below that same stack? */
static bool report_overflow(const void *address, const void *sp)
{
    const struct stack_fault_context *context = watched;
    bool in_guard, sp_in_guard;
    void *top;

    for (size_t i = 0; context && i < STACK_FAULT_POOLS; i++) {
        if (!context->pools[i])
            continue;
        top = stack_locate(context->pools[i], address, &in_guard);
        if (top && in_guard && stack_locate(context->pools[i], sp, &sp_in_guard) == top) {
            report(context, context->pools[i], top, address);
            return true;
        }
    }
    return false;
}

static void restore_default(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigaction(SIGSEGV, &action, NULL);
}

/* A fault happens again when its handler returns; a signal that somebody sent does not. */
static void pass_on(int signal, siginfo_t *info, void *ucontext)
{
    bool sent = info->si_code <= 0;

    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(signal, info, ucontext);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(signal);
    } else if (previous.sa_handler == SIG_DFL || !sent) { /* a fault cannot be ignored */
        restore_default();
        if (sent)
            raise(signal);
    }
}

static void stack_fault_handle(int signal, siginfo_t *info, void *ucontext)
{
    int saved = errno;

    if (info->si_code > 0 && report_overflow(info->si_addr, interrupted_sp(ucontext)))
        restore_default(); /* returning repeats the fault, so that a core shows where it was */
    else
        pass_on(signal, info, ucontext);
    errno = saved;
}

static int handler_install(void)
{
    struct sigaction action = {.sa_sigaction = stack_fault_handle,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int error = 0;

    pthread_mutex_lock(&install_lock);
    if (!install_users) {
        /* Read first: the handler may be needed as soon as it is in place. */
        if (sigaction(SIGSEGV, NULL, &previous) || sigaction(SIGSEGV, &action, NULL))
            error = -errno;
    }
    if (!error)
        install_users++;
    pthread_mutex_unlock(&install_lock);
    return error;
}

/* Leaves the handler to whoever has replaced it since, and who may call it. */
static void handler_remove(void)
{
    struct sigaction now;

    pthread_mutex_lock(&install_lock);
    if (!--install_users && !sigaction(SIGSEGV, NULL, &now) && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == stack_fault_handle)
        sigaction(SIGSEGV, &previous, NULL);
    pthread_mutex_unlock(&install_lock);
}

static int signal_stack_set(void)
{
    stack_t present;
    size_t bytes = HANDLER_BYTES + (size_t)sysconf(_SC_MINSIGSTKSZ);
    void *memory;
    int error;

    own_stack = (stack_t){0};
    if (!sigaltstack(NULL, &present) && !(present.ss_flags & SS_DISABLE))
        return 0;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    own_stack = (stack_t){.ss_sp = memory, .ss_size = bytes};
    if (!sigaltstack(&own_stack, NULL))
        return 0;
    error = -errno;
    munmap(memory, bytes);
    own_stack = (stack_t){0};
    return error;
}

static void signal_stack_unset(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    stack_t present;

    if (!own_stack.ss_sp)
        return;
    if (!sigaltstack(NULL, &present) && present.ss_sp == own_stack.ss_sp)
        sigaltstack(&none, NULL);
    munmap(own_stack.ss_sp, own_stack.ss_size);
    own_stack = (stack_t){0};
}

int stack_fault_thread_init(void)
{
    int error;

    if (thread_users) {
        thread_users++;
        return 0;
    }
    error = signal_stack_set();
    if (error)
        return error;
    error = handler_install();
    if (error) {
        signal_stack_unset();
        return error;
    }
    watched = NULL;
    thread_users = 1;
    return 0;
}

void stack_fault_thread_fini(void)
{
    ensure(thread_users, "stack_fault_thread_fini() without stack_fault_thread_init()");
    if (--thread_users)
        return;
    watched = NULL;
    handler_remove();
    signal_stack_unset();
}

const struct stack_fault_context *stack_fault_watch(const struct stack_fault_context *context)
{
    const struct stack_fault_context *former = watched;

    watched = context;
    return former;
}
