/* SPDX-License-Identifier: MIT */
/* Signals: blocked in every thread of the runtime, read from a signalfd by a task of shard 0. */
#include "runtime.h"
#include "shard/op.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define STOPPERS (OURO_SIGNAL_BIT(SIGINT) | OURO_SIGNAL_BIT(SIGTERM))

/* Shard 0's; one runtime at a time. */
static struct signals {
    struct ouro_task task;
    struct ouro_op poll;
    struct runtime *runtime;
    struct ouro_signal_wait *waits;
    uint64_t handled; /* what the signalfd delivers */
    uint64_t claimed; /* somebody has waited for these */
    uint64_t kept;    /* came while nobody waited */
    unsigned interrupts;
    int fd;
} signals = {.fd = -1};

uint64_t signals_blocked(const struct ouro_options *o)
{
    return STOPPERS | OURO_SIGNAL_BIT(SIGPIPE) | o->signals;
}

static bool deliver(struct shard *s, int number)
{
    struct ouro_signal_wait *w = signals.waits, *next;
    bool delivered = false;

    for (; w != NULL; w = next) {
        next = w->next;
        if ((w->set & OURO_SIGNAL_BIT(number)) == 0)
            continue;
        *w->pprev = next;
        if (next != NULL)
            next->pprev = w->pprev;
        op_complete(s, &w->op, number);
        delivered = true;
    }
    return delivered;
}

static void arrived(struct shard *s, int number)
{
    uint64_t bit = OURO_SIGNAL_BIT(number);
    bool unheard;

    signals.interrupts += number == SIGINT;
    if (deliver(s, number))
        return;
    /* Nobody has taken the last one, or it stops already. */
    unheard = (signals.kept & bit) != 0 || load_relaxed(&signals.runtime->stopping) != 0;
    if ((signals.claimed & bit) != 0)
        signals.kept |= bit;
    else if ((bit & STOPPERS) != 0)
        runtime_stop(signals.runtime);
    if (number == SIGINT && signals.interrupts > 1 && unheard) {
        runtime_stop(signals.runtime);
        runtime_abandon(signals.runtime);
    }
}

/* Readiness, and then plain reads: before Linux 6.10 a read of a signalfd in the ring would keep a
 * worker thread of the kernel. */
static void poll_start(struct shard *s)
{
    struct io_uring_sqe *sqe = op_begin(s, &signals.poll, IORING_OP_POLL_ADD, NULL);

    if (sqe == NULL)
        return;
    io_uring_prep_poll_add(sqe, signals.fd, POLLIN);
    op_go(&signals.poll, sqe, NULL, TAG_OP);
}

static void take_all(struct shard *s)
{
    struct signalfd_siginfo info;

    while (read(signals.fd, &info, sizeof info) == (ssize_t)sizeof info)
        arrived(s, (int)info.ssi_signo);
}

void signals_undo(void)
{
    if (signals.fd >= 0)
        close(signals.fd);
    signals.fd = -1;
}

static void resume(struct ouro_task *task)
{
    struct shard *s = shard_self;

    check(s != NULL);
    OURO_BEGIN(task);
    for (;;) {
        poll_start(s);
        OURO_AWAIT(task, &signals.poll.future);
        if (signals.poll.future.result == -EINTR)
            continue;
        if (signals.poll.future.result < 0)
            break; /* cancelled: the runtime ends */
        take_all(s);
    }
    OURO_BEGIN_END;
    signals_undo();
    task_finish(s, task, 0);
    if (signals.runtime->stopped == signals.runtime->n)
        runtime_exit(signals.runtime);
}

int signals_start(struct shard *s, struct runtime *rt)
{
    uint64_t bits = signals_blocked(&rt->options) & ~OURO_SIGNAL_BIT(SIGPIPE);
    sigset_t set;

    memset(&signals, 0, sizeof signals);
    signals.runtime = rt;
    signals.fd = -1;
    if (rt->options.leave_signals)
        return 0;
    sigemptyset(&set);
    for (int n = 1; n <= 64; n++)
        if ((bits & OURO_SIGNAL_BIT(n)) != 0)
            sigaddset(&set, n);
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals.fd < 0)
        return -errno;
    signals.handled = bits;
    signals.task = (struct ouro_task){.resume = resume, .name = "signals"};
    task_push(s, &signals.task);
    return 0;
}

bool signals_stop(struct shard *s)
{
    if (signals.fd < 0)
        return false;
    task_cancel(s, &signals.task);
    return true;
}

int ouro_signal_start(struct ouro_signal_wait *wait, uint64_t set)
{
    struct shard *s = shard_self;
    uint64_t kept;

    if (wait == NULL)
        return -EINVAL;
    op_refuse(&wait->op, s == NULL ? -OURO_ENOSHARD : -OURO_EOTHERSHARD);
    if (s == NULL || s->number != 0)
        return wait->op.future.result;
    wait->op.future.result = -EINVAL;
    if (set == 0 || (set & ~signals.handled) != 0)
        return -EINVAL;
    wait->op.future.result = -ECANCELED;
    if (task_cancelled(s->current))
        return -ECANCELED;
    signals.claimed |= set;
    kept = signals.kept & set;
    if (kept != 0) {
        signals.kept &= ~(kept & -kept);
        wait->op.future.result = __builtin_ctzll(kept) + 1;
        return 0;
    }
    wait->set = set;
    op_init(s, &wait->op, KIND_SIGNAL, __builtin_return_address(0));
    wait->next = signals.waits;
    wait->pprev = &signals.waits;
    if (wait->next != NULL)
        wait->next->pprev = &wait->next;
    signals.waits = wait;
    return 0;
}
