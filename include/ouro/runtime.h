/* SPDX-License-Identifier: MIT */
/* The runtime: starting shards, running functions on them, signals, stopping. */
#ifndef OURO_RUNTIME_H
#define OURO_RUNTIME_H

#include <stdio.h>
#include <ouro/timer.h>

OURO_BEGIN_DECLS

#define OURO_MAX_SHARDS 256

/* A set of signals: bits of these, or-ed. */
#define OURO_SIGNAL_BIT(n) (UINT64_C(1) << ((n)-1))

/* How shards wake each other. */
enum ouro_wake {
    OURO_WAKE_TRIED = 0,   /* both are tried for about 2 ms at start, and the faster one is taken */
    OURO_WAKE_EVENTFD = 1, /* a write to an eventfd that the sleeper's ring watches */
    OURO_WAKE_RING = 2,    /* a message from ring to ring, submitted with what the sender submits */
};

/* Zero means the default, so that `struct ouro_options o = {.size = sizeof o};` is a valid start.
 * Copied and checked before use; what is out of its bounds is an error that names the field. */
struct ouro_options {
    size_t size;      /* sizeof(struct ouro_options) of the caller's header */
    const char *cpus; /* which CPUs, in which order: a list such as "0-3,8", or "all", "cores",
                         "spread", "compact", "spread:8" and the like, "node:1", "near:eth0"; enum
                         ouro_cpus_policy (ouro/parse.h) says what they mean. NULL: "all". Only CPUs
                         that the thread may run on: one listed that is not is an error */
    unsigned shards; /* how many shards, on the first of these CPUs. Default: one per CPU; but where
                        a cgroup's quota (cpu.max) grants less time than that and `cpus` says no
                        number either, as many as it grants whole or begun CPUs, with a notice.
                        More than there are CPUs needs `oversubscribe`. 1 … OURO_MAX_SHARDS */
    bool oversubscribe; /* allow more shards than CPUs: they share them round-robin */
    bool no_pinning;    /* do not pin the threads */
    bool leave_signals; /* touch no signal mask or disposition: the embedding program's business */
    bool keep_nofile;   /* do not raise the soft RLIMIT_NOFILE to the hard one */
    bool quiet;         /* no report to stderr at stop and no notices at start */
    bool restrict_ring; /* the rings take only the operations that the runtime uses
                           (IORING_REGISTER_RESTRICTIONS): others, started by ouro_op_raw_start(),
                           give -EACCES */
    bool no_fatal_report; /* install no handlers of SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT: see
                             ouro_run() */

    uint64_t run_budget_ns; /* slice of a turn's run phase. Default 500 µs; 10 µs … 1 s */
    uint64_t spin_ns;       /* longest spin before a shard sleeps. Default 0 (off); up to 1 ms */
    uint64_t
        drain_deadline_ns; /* how long a stop waits for tasks to end. Default 10 s; up to 1 h */

    uint32_t sq_entries;   /* submission queue. Default 1024; 8 … 32768, rounded up to 2^n */
    uint32_t cq_entries;   /* completion queue. Default 8 × sq; sq … 65536, rounded up to 2^n */
    uint32_t descriptors;  /* direct descriptors per shard. Default 16384, or what RLIMIT_NOFILE
                              allows; 16 … 1048576 */
    uint32_t buffer_bytes; /* small receive buffers. Default 2048; 256 … 65536, 2^n */
    uint32_t buffers;      /* of them per shard at start. Default 256; 16 … 16384, 2^n */
    uint32_t buffers_max;  /* to which the pool grows when it runs dry. Default 4096; buffers …
                              32768, 2^n */
    uint32_t
        large_buffer_bytes; /* for connections that fill small ones. Default 16384; up to 1 MiB */
    uint32_t large_buffers; /* Default 64 */
    uint32_t large_buffers_max; /* Default 1024 */
    uint32_t stack_bytes;       /* of a fiber. Default 64 KiB; 16 KiB … 64 MiB */
    uint32_t
        large_stack_bytes; /* of a fiber that asks for more. Default 1 MiB; stack_bytes … 64 MiB */
    uint32_t max_fibers;   /* per shard and stack size. Default 1,048,576; 1 … 16,777,215 */
    bool track_stack_use;  /* keep the high-water mark of fiber stacks by task name; costs a
                              look at the stack at each fiber's end */
    uint32_t iowq_bounded;   /* most io-wq workers per shard for files. Default 4; 1 … 1024 */
    uint32_t iowq_unbounded; /* most for the rest. Default 4 */
    uint64_t signals; /* OURO_SIGNAL_BIT()s of what tasks will wait for besides SIGINT and SIGTERM:
                         blocked before the first thread starts */
    uint32_t lane_messages; /* from one shard to another, under way at once. Default 256; 1 … 256 */
    unsigned wake;          /* enum ouro_wake */
    const char *thread_prefix; /* threads are PREFIX-0 …; Default "ouro"; at most 10 characters */
    unsigned ring_flags_off; /* io_uring set-up flags not to ask for (IORING_SETUP_*): for tests and
                                comparisons */
};

/* Starts the shards with `options` (NULL: all defaults), runs main_fn(arg) as a fiber on shard 0
 * (in the calling thread), stops the runtime when it returns or ends by cancellation, and gives its
 * value to *value (may be NULL; -ETIMEDOUT: it had not ended at the drain deadline). Returns 0, or
 * -errno if the runtime could not start, with one sentence about it in ouro_start_error(). All
 * shards start or none does. One runtime at a time
 * (-EBUSY); not from a shard (-EDEADLK). Signals: blocks SIGPIPE, SIGINT and SIGTERM and those that
 * are waited for before it starts a thread, and restores mask, affinity and soft limits on return.
 * A signal that ends the process (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT) while a runtime runs is
 * reported on stderr first: shard, task, and the frames of the stack that it interrupted, on any
 * thread of the process; a stack overflow of a fiber by what to raise. Then it goes to the handler
 * that was there before, or to the default action, core and all. Unless options.no_fatal_report or
 * leave_signals.
 * The first SIGINT or SIGTERM that no task waits for stops the runtime (as ouro_stop()); a second
 * SIGINT stops it without draining. */
OURO_API int ouro_run(const struct ouro_options *options, ouro_task_fn *main_fn, void *arg,
                      int *value);

/* Why the last ouro_run() of this thread failed to start; "" if it did not. */
OURO_API const char *ouro_start_error(void);

/* Asks the runtime to stop: main and every task in a root scope are cancelled on every shard; what
 * has not ended at the drain deadline is reported by name and leaked, never freed. From any thread.
 */
OURO_API void ouro_stop(void);

/* True from the moment a stop was asked for. From any thread. */
OURO_API bool ouro_stopping(void);

/* The calling thread's shard number, -OURO_ENOSHARD off shards. From anywhere, as all that asks
 * where one is: any thread, before the start and after the stop, a signal handler. */
OURO_API int ouro_current_shard(void);

/* How many shards run, 0 when none does. From anywhere, as above. */
OURO_API unsigned ouro_shard_count(void);

/* How one shard's part of a call on every shard ended. */
struct ouro_each_result {
    int value;
    uint8_t how; /* enum ouro_end */
};

/* Runs fn(arg) as a fiber named `name` in each shard's root scope and waits until all have
 * returned. The result is the first error among their values (lowest shard), else 0; `results` (may
 * be NULL) gets each. When the caller is cancelled those fibers are cancelled, and their end is
 * awaited. `arg` is shared. Fiber only. Errors of its own: -OURO_ENOSHARD, -EINVAL, -ENOMEM. */
OURO_API int ouro_on_each_shard(ouro_task_fn *fn, void *arg, const char *name,
                                struct ouro_each_result *results /* [ouro_shard_count()] */);

/* Runs fn(arg) as a fiber in the root scope of `shard`; from any thread of the process, never
 * waits; with options.max_fibers live there it starts when one of them has ended. From a thread
 * that is no shard: -EAGAIN when the shard's inbox is full. Errors: -EINVAL, -ENOMEM, -ESHUTDOWN
 * when no runtime runs or it is stopping. A call that is on its way when a stop begins may find no
 * one: then fn is not called. */
OURO_API int ouro_spawn_remote(unsigned shard, ouro_task_fn *fn, void *arg, const char *name);

/* Waiting for a signal is a future; its result is the signal's number. Shard 0 only
 * (-OURO_EOTHERSHARD);
 * SIGINT, SIGTERM and options.signals only (-EINVAL). They are taken from a signalfd; while someone
 * waits for SIGINT or SIGTERM the default stop is not done. Signals that come while nobody waits
 * but someone did before are kept (one each). */
struct ouro_signal_wait {
    struct ouro_op op;
    struct ouro_signal_wait *next, **pprev;
    uint64_t set; /* bit n - 1: signal n */
};
OURO_API int ouro_signal_start(struct ouro_signal_wait *wait, uint64_t set);

static inline int ouro_signal(uint64_t set)
{
    struct ouro_signal_wait w;
    int error = ouro_signal_start(&w, set);

    return error != 0 ? error : ouro_await(&w.op.future);
}

/* Counters of one shard: a snapshot taken on that shard (or after the stop). */
#define OURO_COUNTERS(X)                                                                           \
    X(turns, "turns of the shard's loop")                                                          \
    X(enters, "io_uring_enter calls")                                                              \
    X(submitted, "SQEs handed to the kernel")                                                      \
    X(completions, "CQEs taken")                                                                   \
    X(sleeps, "times the shard blocked with nothing to do")                                        \
    X(cq_overflows, "times the kernel said that the CQ had overflowed")                            \
    X(sq_spills, "SQEs that had to wait for room in the SQ")                                       \
    X(cancels, "cancellations asked of the kernel")                                                \
    X(resumes, "task resumptions")                                                                 \
    X(spawns, "fibers spawned")                                                                    \
    X(fibers_refused, "spawns refused because max_fibers lived")                                   \
    X(timers_fired, "timers that fired")                                                           \
    X(accepts, "connections accepted")                                                             \
    X(accept_errors, "accepts that failed")                                                        \
    X(accepts_paused, "times a listener stopped accepting because nobody took")                    \
    X(descriptors_refused, "descriptors for which the table had no room")                          \
    X(buffers_dry, "times a receive found no provided buffer")                                     \
    X(buffers_grown, "times a buffer pool grew")                                                   \
    X(receives_parked, "times a receive source waited for a buffer")                               \
    X(receives_paused, "times a receive source waited for its consumer")                           \
    X(messages, "messages taken from other shards and threads")                                    \
    X(lanes_full, "messages that had to wait for room in a lane")                                  \
    X(posts_refused, "messages of other threads that found the inbox full")                        \
    X(wakes_sent, "wake-ups written to sleeping shards")                                           \
    X(stacks_unguarded, "fiber stacks without a guard")                                            \
    X(leaked_tasks, "tasks that had not ended at the drain deadline")                              \
    X(leaked_descriptors, "descriptors open at stop")

struct ouro_counters {
#define OURO_COUNTER_FIELD(name, text) uint64_t name;
    OURO_COUNTERS(OURO_COUNTER_FIELD)
#undef OURO_COUNTER_FIELD
};

/* The calling shard's counters. -OURO_ENOSHARD off shards. */
OURO_API int ouro_counters(struct ouro_counters *out);

/* The deepest use of fiber stacks by task name, on the calling shard (options.track_stack_use):
 * calls `each` for every name. */
OURO_API int ouro_stack_use(void (*each)(void *ctx, const char *name, size_t bytes), void *ctx);

/* The version of the library that runs, as "0.1.0" and as OURO_VERSION_NUMBER is made. */
OURO_API const char *ouro_version(void);
OURO_API unsigned ouro_version_number(void);

/* Whether this library serves a program that was compiled with the headers of version `number`: the
 * same ABI, and not older (docs/COMPATIBILITY.md). The macro asks for the headers it is compiled
 * with. On any thread. */
OURO_API bool ouro_version_fits(unsigned number);
#define OURO_VERSION_FITS() ouro_version_fits(OURO_VERSION_NUMBER)

OURO_END_DECLS

#endif
