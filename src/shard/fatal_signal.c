/* SPDX-License-Identifier: MIT */
#include "shard/fatal_signal.h"
#include "base/line.h"
#include "shard/fiber.h"
#include "shard/stack_fault.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#define NAME_BYTES  64
#define FRAMES_MOST 32

static const struct fatal_signal {
    int number;
    const char *name;
} fatal_signals[] = {{SIGSEGV, "SIGSEGV"},
                     {SIGBUS, "SIGBUS"},
                     {SIGILL, "SIGILL"},
                     {SIGFPE, "SIGFPE"},
                     {SIGABRT, "SIGABRT"}};

#define SIGNALS array_size(fatal_signals)

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned install_users;
static struct sigaction previous[SIGNALS]; /* constant while the handlers are installed */

static _Thread_local volatile bool reporting; /* until the signal has gone where it goes */

/* --- where it was ---------------------------------------------------------------------------- */

static void *interrupted_pc(const mcontext_t *machine)
{
#if defined(__x86_64__)
    return (void *)machine->gregs[REG_RIP];
#elif defined(__aarch64__)
    return (void *)machine->pc;
#endif
}

const void *fatal_signal_sp(const void *ucontext)
{
    const mcontext_t *machine = &((const ucontext_t *)ucontext)->uc_mcontext;

#if defined(__x86_64__)
    return (const void *)machine->gregs[REG_RSP];
#elif defined(__aarch64__)
    return (const void *)machine->sp;
#endif
}

/* Where a call has come from that led nowhere, to NULL mostly: the unwinder knows nothing of such a
 * place. */
static void *stray_caller(const mcontext_t *machine)
{
#if defined(__x86_64__)
    return *(void *const *)machine->gregs[REG_RSP];
#elif defined(__aarch64__)
    return (void *)machine->regs[30];
#endif
}

void fatal_signal_frames(const void *ucontext)
{
    const mcontext_t *machine = &((const ucontext_t *)ucontext)->uc_mcontext;
    void *frames[FRAMES_MOST], *pc = interrupted_pc(machine);
    int n = backtrace(frames, FRAMES_MOST), first = 0;

    while (first < n && frames[first] != pc) /* the handler's own frames */
        first++;
    if (first == n) { /* not even that */
        frames[0] = pc;
        first = 0;
        n = 1;
    }
    backtrace_symbols_fd(frames + first, n - first, STDERR_FILENO);
    if (first == n - 1) {
        frames[0] = stray_caller(machine);
        backtrace_symbols_fd(frames, 1, STDERR_FILENO);
    }
}

/* --- the report ------------------------------------------------------------------------------ */

static void say_signal(struct line *line, size_t i, const siginfo_t *info)
{
    line_add(line, "ouro: ", SIZE_MAX);
    line_add(line, fatal_signals[i].name, SIZE_MAX);
    if (info->si_code == SI_KERNEL) { /* a wild pointer on x86-64: it says 0 */
        line_add(line, " at an address that the machine does not tell", SIZE_MAX);
    } else if (info->si_code > 0) {
        line_add(line, " at address 0x", SIZE_MAX);
        line_add_number(line, (uintptr_t)info->si_addr, 16);
    } else if (info->si_pid != getpid()) {
        line_add(line, " from process ", SIZE_MAX);
        line_add_number(line, (uintptr_t)info->si_pid, 10);
    }
    line_say(line); /* said, whatever may be wrong with the task */
}

static void say_task(struct line *line, const struct shard *s)
{
    const struct ouro_task *t = s->current;
    bool fiber = task_is_fiber(t);
    void *resume;

    if (t == &s->idle_task) {
        line_add(line, ", outside of any task\n", SIZE_MAX);
        line_say(line);
        return;
    }
    line_add(line, fiber ? " in task '" : " in stackless task '", SIZE_MAX);
    line_add(line, t->name != NULL ? t->name : "?", NAME_BYTES);
    line_add(line, "' on shard ", SIZE_MAX);
    line_add_number(line, s->number, 10);
    line_add(line, fiber ? "\n" : ", resumed by\n", SIZE_MAX);
    line_say(line);
    if (!fiber) {
        resume = (void *)(uintptr_t)t->resume;
        backtrace_symbols_fd(&resume, 1, STDERR_FILENO);
        line_add(line, "in\n", SIZE_MAX);
        line_say(line);
    }
}

static void report(size_t i, const siginfo_t *info, const void *ucontext)
{
    const struct shard *s = shard_self;
    struct line line = {.length = 0};

    say_signal(&line, i, info);
    if (s != NULL) {
        say_task(&line, s);
    } else {
        line_add(&line, " on a thread that is no shard\n", SIZE_MAX);
        line_say(&line);
    }
    fatal_signal_frames(ucontext);
}

/* --- handlers -------------------------------------------------------------------------------- */

static void restore_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigaction(number, &action, NULL);
}

/* A fault happens again when its handler returns; a signal that somebody sent does not. */
static void pass_on(size_t i, siginfo_t *info, void *ucontext)
{
    const struct sigaction *to = &previous[i];
    int number = fatal_signals[i].number;

    if ((to->sa_flags & SA_SIGINFO) != 0) {
        to->sa_sigaction(number, info, ucontext);
    } else if (to->sa_handler != SIG_DFL && to->sa_handler != SIG_IGN) {
        to->sa_handler(number);
    } else {
        restore_default(number);
        if (info->si_code <= 0)
            raise(number);
    }
}

static bool ignored(size_t i, const siginfo_t *info)
{
    const struct sigaction *to = &previous[i];

    return info->si_code <= 0 && (to->sa_flags & SA_SIGINFO) == 0 && to->sa_handler == SIG_IGN;
}

static void handle(int number, siginfo_t *info, void *ucontext)
{
    int saved = errno;
    bool again = reporting, overflow;
    size_t i = 0;

    while (fatal_signals[i].number != number)
        i++;
    if (ignored(i, info))
        return;
    reporting = true;
    overflow = number == SIGSEGV && info->si_code > 0 && !again &&
               stack_fault_report(info->si_addr, ucontext);
    if (!overflow && !again)
        report(i, info, ucontext);
    if (overflow)
        restore_default(number); /* returning repeats the fault, so that a core shows it */
    else
        pass_on(i, info, ucontext);
    reporting = again;
    errno = saved;
}

static void handlers_remove(size_t n)
{
    struct sigaction now;

    for (size_t i = 0; i < n; i++)
        if (sigaction(fatal_signals[i].number, NULL, &now) == 0 &&
            (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handle)
            sigaction(fatal_signals[i].number, &previous[i], NULL);
}

static int handlers_install(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    void *frame;

    (void)!backtrace(&frame, 1); /* loads the unwinder, which a handler must not */
    for (size_t i = 0; i < SIGNALS; i++) {
        int number = fatal_signals[i].number;

        /* Read first: the handler may be needed as soon as it is in place. */
        if (sigaction(number, NULL, &previous[i]) != 0 || sigaction(number, &action, NULL) != 0) {
            int error = -errno;

            handlers_remove(i);
            return error;
        }
    }
    return 0;
}

int fatal_signals_install(void)
{
    int error = 0;

    pthread_mutex_lock(&install_lock);
    if (install_users == 0)
        error = handlers_install();
    install_users += error == 0;
    pthread_mutex_unlock(&install_lock);
    return error;
}

void fatal_signals_remove(void)
{
    pthread_mutex_lock(&install_lock);
    if (--install_users == 0)
        handlers_remove(SIGNALS);
    pthread_mutex_unlock(&install_lock);
}
