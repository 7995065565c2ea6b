/* SPDX-License-Identifier: MIT */
/* Starting and ending: glue between options, threads and shards. */
#include "runtime.h"
#include "shard/fiber.h"
#include "shard/stack_fault.h"
#include "shard/wake_trial.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

__thread struct worker *worker_self;
static __thread char start_error[320];

static struct runtime *_Atomic running;
static _Atomic uint32_t holders; /* foreign threads that look at `running` */

const char *ouro_start_error(void)
{
    return start_error;
}

/* --- holding the runtime from outside -------------------------------------------------------- */

struct runtime *runtime_hold(void)
{
    struct runtime *rt;

    if (load_relaxed(&running) == NULL)
        return NULL; /* not counted: threads that keep asking must not hold up retire() */
    fetch_add_relaxed(&holders, 1);
    fence_seq_cst(); /* pairs with the fence in retire(): it sees our count, or we see NULL */
    rt = load_acquire(&running); /* pairs with the release in ouro_run() */
    if (rt == NULL)
        runtime_release();
    return rt;
}

void runtime_release(void)
{
    fetch_sub_release(&holders, 1); /* pairs with the acquire in retire() */
}

/* Nobody outside reaches the runtime after this. */
static void retire(void)
{
    store_relaxed(&running, NULL);
    fence_seq_cst();                    /* pairs with the fence in runtime_hold() */
    while (load_acquire(&holders) != 0) /* pairs with runtime_release() */
        sched_yield();
}

/* --- one thread ------------------------------------------------------------------------------ */

static const char *task_name_at(const void *top)
{
    return fiber_at(top)->task.name;
}

static void prepare_thread(const struct worker *w)
{
    char name[16];

    snprintf(name, sizeof name, "%.10s-%u", w->runtime->options.thread_prefix, w->number % 1000);
    prctl(PR_SET_NAME, name);
    /* The kernel may delay a wait's end by this; its 50 µs would be most of a tick of the wheel. */
    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
}

static int pin(struct worker *w, char *why, size_t why_bytes)
{
    unsigned node;
    cpu_set_t set;

    if (w->runtime->options.no_pinning)
        return 0;
    CPU_ZERO(&set);
    CPU_SET(w->runtime->cpu[w->number], &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0) {
        if (getcpu(NULL, &node) == 0) /* it runs there now */
            store_relaxed(&w->node, (int32_t)node);
        return 0;
    }
    snprintf(why, why_bytes, "cannot pin a thread to CPU %u: %s", w->runtime->cpu[w->number],
             strerror(errno));
    return -errno;
}

static int main_fiber(void *arg)
{
    struct runtime *rt = arg;
    int value = rt->main_fn(rt->main_arg);

    rt->value = value;
    runtime_stop(rt);
    return value;
}

/* Page-aligned memory of the shard, made on its own thread so that it is local. */
static struct shard *shard_memory(void)
{
    void *p = mmap(NULL, sizeof(struct shard), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, sizeof(struct shard), MADV_DONTFORK);
    return p;
}

static int worker_init(struct worker *w)
{
    struct shard_place place = {
        .number = w->number, .mesh = &w->runtime->mesh, .options = &w->runtime->options};
    int error = pin(w, w->why, sizeof w->why);

    if (error != 0)
        return error;
    w->shard = shard_memory();
    if (w->shard == NULL)
        return -ENOMEM;
    error = shard_init(w->shard, &place, w->why, sizeof w->why);
    if (error != 0) {
        munmap(w->shard, sizeof *w->shard);
        w->shard = NULL;
    }
    return error;
}

/* Whoever interrupts the thread finds a worker where it finds a shard, and neither after its memory
 * has gone: ouro_current_shard() and the like may be called in a signal handler. */
static void become(struct worker *w, struct shard *s)
{
    *(struct shard *volatile *)&shard_self = NULL;
    *(struct worker *volatile *)&worker_self = w;
    *(struct shard *volatile *)&shard_self = s;
}

static void worker_fini(struct worker *w)
{
    bool leak;

    if (w->shard == NULL)
        return;
    leak = !shard_quiet(w->shard) || w->shard->root.live != 0; /* [RUN-2] */
    shard_destroy(w->shard);
    become(NULL, NULL);
    if (!leak)
        munmap(w->shard, sizeof *w->shard);
    w->shard = NULL;
}

/* Tells how the start went and waits for the others. True: go. */
static bool report_and_wait(struct worker *w)
{
    struct runtime *rt = w->runtime;
    bool go;

    pthread_mutex_lock(&rt->lock);
    rt->reported++;
    rt->failed += w->error != 0;
    pthread_cond_broadcast(&rt->changed);
    while (rt->reported < rt->n)
        pthread_cond_wait(&rt->changed, &rt->lock);
    go = rt->failed == 0;
    pthread_mutex_unlock(&rt->lock);
    return go;
}

static void begin_main(struct worker *w)
{
    struct ouro_spawn_options o = {.size = sizeof o, .name = "main", .must_run = true};

    if (w->number != 0)
        return;
    w->runtime->value = ouro_spawn_with(NULL, main_fiber, w->runtime, 0, &o, NULL);
    if (w->runtime->value != 0)
        runtime_stop(w->runtime);
    else
        w->runtime->value = -ETIMEDOUT; /* until it has ended */
}

static void worker_loop(struct worker *w)
{
    for (;;) {
        exceptions_end_here(); /* cancelled as a thread outside of any task */
        shard_work(w->shard);
        if (OURO_UNLIKELY(w->phase != RUNNING))
            stop_step(w);
        if (w->phase == EXITING)
            break;
        shard_submit(w->shard, true);
    }
    mesh_flush(&w->shard->mesh, w->shard);
    check(!mesh_outbox_full(&w->shard->mesh)); /* [RUN-3] */
}

static void worker_run(struct worker *w)
{
    struct stack_fault_context faults = {.shard = w->number, .task_name = task_name_at};
    const struct stack_fault_context *former_faults = NULL;
    struct exceptions outer; /* ouro_run() was called in a catch block, say */
    bool faults_on = false;

    w->error = worker_init(w);
    if (w->error == 0) {
        become(w, w->shard);
        w->error = w->number == 0 ? signals_start(w->shard, w->runtime) : 0;
    }
    if (report_and_wait(w)) {
        check(w->shard != NULL);
        outer = exceptions_take(w->shard->exceptions);
        begin_main(w);
        faults.pools[0] = &w->shard->stacks[0];
        faults.pools[1] = &w->shard->stacks[1];
        if (!w->runtime->options.leave_signals && !w->runtime->options.no_fatal_report)
            faults_on = stack_fault_thread_init() == 0;
        former_faults = stack_fault_watch(&faults);
        worker_loop(w);
        stack_fault_watch(former_faults);
        if (faults_on)
            stack_fault_thread_fini();
        exceptions_give(w->shard->exceptions, outer);
    } else if (w->number == 0) {
        signals_undo();
    }
    worker_fini(w);
}

static void *worker_thread(void *arg)
{
    struct worker *w = arg;

    prepare_thread(w);
    worker_run(w);
    return NULL;
}

/* --- the process ----------------------------------------------------------------------------- */

/* What ouro_run() changes of the calling thread and the process, and puts back. */
struct surroundings {
    sigset_t mask;
    cpu_set_t affinity;
    struct rlimit nofile;
    char name[16];
    int slack_ns;
    bool masked, raised;
};

static void change_surroundings(struct surroundings *was, const struct ouro_options *o)
{
    uint64_t bits = signals_blocked(o);
    struct rlimit all;
    sigset_t set;

    sched_getaffinity(0, sizeof was->affinity, &was->affinity);
    prctl(PR_GET_NAME, was->name);
    was->slack_ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    if (!o->leave_signals) {
        sigemptyset(&set);
        for (int n = 1; n <= 64; n++)
            if ((bits & OURO_SIGNAL_BIT(n)) != 0)
                sigaddset(&set, n);
        was->masked = pthread_sigmask(SIG_BLOCK, &set, &was->mask) == 0;
    }
    if (!o->keep_nofile && getrlimit(RLIMIT_NOFILE, &was->nofile) == 0) {
        all = was->nofile;
        all.rlim_cur = all.rlim_max;
        was->raised = was->nofile.rlim_cur < all.rlim_max && setrlimit(RLIMIT_NOFILE, &all) == 0;
    }
}

/* A write to a connection that was closed may have left a blocked SIGPIPE: it must not strike now.
 */
static void drop_pending_sigpipe(void)
{
    struct timespec none = {0};
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (sigtimedwait(&pipe, NULL, &none) > 0)
        continue;
}

static void restore_surroundings(const struct surroundings *was)
{
    sched_setaffinity(0, sizeof was->affinity, &was->affinity);
    prctl(PR_SET_NAME, was->name);
    if (was->slack_ns > 0)
        prctl(PR_SET_TIMERSLACK, was->slack_ns, 0, 0, 0);
    if (was->raised)
        setrlimit(RLIMIT_NOFILE, &was->nofile);
    if (was->masked) {
        if (!sigismember(&was->mask, SIGPIPE))
            drop_pending_sigpipe();
        pthread_sigmask(SIG_SETMASK, &was->mask, NULL);
    }
}

/* Sets the sentence and returns the error. */
static int refuse(int error, const char *sentence)
{
    snprintf(start_error, sizeof start_error, "%s", sentence);
    return error;
}

static int refuse_mesh(int error, unsigned n)
{
    if (error == -EMFILE || error == -ENFILE)
        snprintf(start_error, sizeof start_error, "too few descriptors for %u shards: %s; raise %s",
                 n, strerror(-error),
                 error == -EMFILE ? "RLIMIT_NOFILE (ulimit -n)" : "fs.file-max (sysctl)");
    else
        snprintf(start_error, sizeof start_error, "cannot make the lanes between %u shards: %s", n,
                 strerror(-error));
    return error;
}

static enum mesh_wake choose_wake(const struct runtime *rt)
{
    struct wake_trial trial;

    if (rt->options.wake != OURO_WAKE_TRIED)
        return rt->options.wake == OURO_WAKE_RING ? WAKE_RING : WAKE_EVENTFD;
    if (rt->n == 1)
        return WAKE_EVENTFD; /* there are only foreign threads, which have no ring */
    wake_trial(&trial, rt->cpu[0], rt->cpu[1]);
    return trial.better;
}

static int runtime_init(struct runtime *rt, const struct ouro_options *options)
{
    int n = options_take(&rt->options, options, start_error, sizeof start_error);

    if (n == 0)
        n = options_place(&rt->options, rt->cpu, start_error, sizeof start_error);
    if (n < 0)
        return n;
    rt->n = (unsigned)n;
    rt->workers = calloc(rt->n, sizeof *rt->workers);
    if (rt->workers == NULL)
        return refuse(-ENOMEM, "not enough memory for the runtime");
    for (unsigned i = 0; i < rt->n; i++)
        rt->workers[i] = (struct worker){.runtime = rt, .number = i, .node = -ENODATA};
    n = mesh_init(&rt->mesh, rt->n, rt->options.lane_messages);
    if (n != 0) {
        free(rt->workers);
        return refuse_mesh(n, rt->n);
    }
    rt->mesh.wake = choose_wake(rt);
    pthread_mutex_init(&rt->lock, NULL);
    pthread_cond_init(&rt->changed, NULL);
    stop_init(rt);
    return 0;
}

/* What threads posted to shards that had ended: nobody runs it, and only what posted it knows how
 * to give it back. */
static void drop_posts(struct runtime *rt)
{
    struct mesh_message *message;

    for (unsigned i = 0; i < rt->n; i++)
        while ((message = mesh_inbox_leftover(&rt->mesh, i)) != NULL)
            message->receive(NULL, message);
}

static void runtime_fini(struct runtime *rt)
{
    drop_posts(rt);
    mesh_destroy(&rt->mesh);
    pthread_mutex_destroy(&rt->lock);
    pthread_cond_destroy(&rt->changed);
    free(rt->workers);
}

/* A thread that could not be made reports in its place. */
static void count_missing(struct runtime *rt, unsigned from, int error)
{
    pthread_mutex_lock(&rt->lock);
    rt->workers[from].error = error;
    snprintf(rt->workers[from].why, sizeof rt->workers[from].why, "cannot make a thread: %s",
             strerror(-error));
    rt->reported += rt->n - from;
    rt->failed += rt->n - from;
    pthread_cond_broadcast(&rt->changed);
    pthread_mutex_unlock(&rt->lock);
}

/* Runs every shard to its end; shard 0 on this thread. Returns the first error of a start. */
static int run_workers(struct runtime *rt)
{
    unsigned made = 1;
    int error = 0;

    while (made < rt->n && error == 0) {
        error = -pthread_create(&rt->workers[made].thread, NULL, worker_thread, &rt->workers[made]);
        made += error == 0;
    }
    if (error != 0)
        count_missing(rt, made, error);
    prepare_thread(&rt->workers[0]);
    worker_run(&rt->workers[0]);
    for (unsigned i = 1; i < made; i++)
        pthread_join(rt->workers[i].thread, NULL);
    for (unsigned i = 0; i < rt->n; i++)
        if (rt->workers[i].error != 0) {
            snprintf(start_error, sizeof start_error, "shard %u: %s", i,
                     rt->workers[i].why[0] != '\0' ? rt->workers[i].why
                                                   : strerror(-rt->workers[i].error));
            return rt->workers[i].error;
        }
    return 0;
}

int ouro_run(const struct ouro_options *options, ouro_task_fn *main_fn, void *arg, int *value)
{
    struct runtime *rt, *none = NULL;
    struct surroundings was = {0};
    int error;

    start_error[0] = '\0';
    if (shard_self != NULL)
        return refuse(-EDEADLK, "ouro_run() was called on a shard");
    if (main_fn == NULL)
        return refuse(-EINVAL, "ouro_run: main_fn is NULL");
    rt = calloc(1, sizeof *rt);
    if (rt == NULL)
        return refuse(-ENOMEM, "not enough memory for the runtime");
    error = runtime_init(rt, options);
    if (error != 0) {
        free(rt);
        return error;
    }
    rt->main_fn = main_fn;
    rt->main_arg = arg;
    if (!cas_acq_rel(&running, &none, rt)) { /* pairs with runtime_hold() */
        error = refuse(-EBUSY, "a runtime runs in this process already");
    } else {
        change_surroundings(&was, &rt->options);
        error = run_workers(rt);
        restore_surroundings(&was);
        retire();
        if (error == 0 && value != NULL)
            *value = rt->value;
    }
    runtime_fini(rt);
    free(rt);
    return error;
}
